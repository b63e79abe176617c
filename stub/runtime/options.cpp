#include "runtime/options.hpp"

#include <algorithm>
#include <cstdlib>

#include "protocol/error.hpp"

namespace wb {

namespace {

long long Number(const std::string& text, const char* what) {
  char* end = nullptr;
  const long long value = std::strtoll(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0' || value < 0) {
    throw Error(std::string("argument '") + what + "' must be a number, got '" + text + "'");
  }
  return value;
}

std::string Parent(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? std::string() : path.substr(0, slash);
}

std::vector<std::string> Split(const std::string& path) {
  std::vector<std::string> parts;
  std::size_t start = 0;
  while (start <= path.size()) {
    const auto slash = std::min(path.find('/', start), path.size());
    if (slash > start) parts.push_back(path.substr(start, slash - start));
    start = slash + 1;
  }
  return parts;
}

}  // namespace

Options ParseOptions(const std::vector<std::string>& arguments) {
  constexpr std::size_t kArguments = 9;
  if (arguments.size() < kArguments) {
    throw Error("expected 9 arguments, got " + std::to_string(arguments.size()) +
                ": this program is started by a Triton server or a workbench, not by hand");
  }
  Options options;
  options.model_file = arguments[0];
  options.region_name = arguments[1];
  Number(arguments[2], "default region size");
  options.region_growth = static_cast<std::size_t>(Number(arguments[3], "region growth size"));
  options.parent_pid = static_cast<pid_t>(Number(arguments[4], "parent process"));
  options.python_lib = arguments[5];
  options.control = Number(arguments[6], "control block handle");
  options.name = arguments[7];
  if (arguments[8] != "DEFAULT") options.runtime_model_dir = arguments[8];

  const auto parts = Split(options.model_file);
  if (parts.size() < 2) throw Error("model file '" + options.model_file + "' names no version folder");
  options.version = parts[parts.size() - 2];
  options.version_dir = Parent(options.model_file);
  options.model_dir = Parent(options.version_dir);
  options.model_path =
      options.is_python_based() ? options.runtime_model_dir + "/model.py" : options.model_file;
  return options;
}

}  // namespace wb
