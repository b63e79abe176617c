// Finding out which release a parent speaks; the wire does not say (protocol.md §9.3).
//
// The server's binaries do not hold their version as a string that could be searched for (seen with 24.07
// and 24.10), so the environment and the files of an installation are all there is.
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <fstream>
#include <vector>

#include "protocol/error.hpp"
#include "protocol/releases.hpp"

namespace wb {

namespace {

std::string FirstLine(const std::string& path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.pop_back();
  return line;
}

// Folder of the parent's executable, or "".
std::string ParentFolder(int pid) {
  char target[PATH_MAX];
  const ssize_t length = readlink(("/proc/" + std::to_string(pid) + "/exe").c_str(), target, sizeof(target));
  if (length <= 0) return {};
  const std::string path(target, static_cast<std::size_t>(length));
  return path.substr(0, path.rfind('/'));
}

}  // namespace

DetectedRelease DetectRelease(const std::string& stub_directory, int parent_pid) {
  struct Source {
    std::string description;
    std::string text;
  };
  std::vector<Source> sources;
  const auto add_environment = [&](const char* name) {
    const char* value = std::getenv(name);
    if (value && *value) sources.push_back({std::string("environment variable ") + name, value});
  };
  add_environment("TRITON_WORKBENCH_RELEASE");
  if (!stub_directory.empty()) {
    const std::string marker = stub_directory + "/triton_release";
    const std::string text = FirstLine(marker);
    if (!text.empty()) sources.push_back({"marker file " + marker, text});
  }
  add_environment("NVIDIA_TRITON_SERVER_VERSION");
  add_environment("TRITON_SERVER_VERSION");
  // <install>/bin/tritonserver lies one folder below the installation's version file.
  const std::string bin = ParentFolder(parent_pid);
  if (!bin.empty()) {
    for (const std::string& folder : {bin, bin.substr(0, bin.rfind('/'))}) {
      const std::string text = FirstLine(folder + "/TRITON_VERSION");
      if (text.empty()) continue;
      sources.push_back({folder + "/TRITON_VERSION", text});
      break;
    }
  }
  for (const Source& source : sources) {
    bool newer = false;
    const Release* row = FindRelease(source.text, &newer);
    if (!row) {
      throw Error("Triton release '" + source.text + "' (from " + source.description +
                  ") is not supported: this stub speaks " + std::string(Releases().front().name) + " to " +
                  std::string(Releases().back().name) + ".\nhint: set TRITON_WORKBENCH_RELEASE=YY.MM");
    }
    return {row, source.text, source.description, newer};
  }
  throw Error(
      "cannot tell which Triton release this server is.\n"
      "hint: set TRITON_WORKBENCH_RELEASE=YY.MM in the server's environment, or write it into a file "
      "'triton_release' "
      "beside the stub");
}

}  // namespace wb
