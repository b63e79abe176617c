// Finding out which release a parent speaks; the wire does not say (architecture.md §2, protocol.md §9.3).
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <regex>

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

// Path of the parent's executable, and the paths of its mapped libraries whose name contains "triton".
std::vector<std::string> ParentFiles(int pid) {
  std::vector<std::string> files;
  char target[PATH_MAX];
  const std::string proc = "/proc/" + std::to_string(pid);
  const ssize_t length = readlink((proc + "/exe").c_str(), target, sizeof(target));
  if (length > 0) files.emplace_back(target, static_cast<std::size_t>(length));
  std::ifstream maps(proc + "/maps");
  std::string line;
  while (std::getline(maps, line)) {
    const auto slash = line.find('/');
    if (slash == std::string::npos) continue;
    std::string path = line.substr(slash);
    const auto name = path.substr(path.rfind('/') + 1);
    if (name.find("triton") == std::string::npos) continue;
    if (files.empty() || files.back() != path) files.push_back(std::move(path));
  }
  return files;
}

std::string Directory(const std::string& path) { return path.substr(0, path.rfind('/')); }

// The server keeps its version as a string constant of the form "2.51.0" next to its name "triton"; only a number
// that is a row of the table counts, so other libraries' versions are not mistaken for it.
const Release* SearchBinary(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return nullptr;
  const std::string content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  const Release* found = nullptr;
  for (const Release& row : Releases()) {
    const std::string wanted = std::string(1, '\0') + std::string(row.server_version) + std::string(1, '\0');
    if (content.find(wanted) == std::string::npos) continue;
    if (found) return nullptr;  // ambiguous: refuse rather than guess
    found = &row;
  }
  return found;
}

}  // namespace

const Release& DetectRelease(const std::string& stub_directory, int parent_pid, std::string* how) {
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
  const auto files = ParentFiles(parent_pid);
  if (!files.empty()) {
    const std::string bin = Directory(files.front());
    for (const std::string& folder : {bin, Directory(bin)}) {
      const std::string text = FirstLine(folder + "/TRITON_VERSION");
      if (!text.empty()) {
        sources.push_back({folder + "/TRITON_VERSION", text});
        break;
      }
    }
  }
  for (const Source& source : sources) {
    const Release* row = FindRelease(source.text);
    if (!row) {
      throw Error("Triton release '" + source.text + "' (from " + source.description +
                  ") is not supported: this stub speaks " + std::string(Releases().front().name) + " to " +
                  std::string(Releases().back().name) + ".\nhint: set TRITON_WORKBENCH_RELEASE=YY.MM");
    }
    if (how) *how = source.description;
    return *row;
  }
  for (const std::string& file : files) {
    if (const Release* row = SearchBinary(file)) {
      if (how) *how = "version string in " + file;
      return *row;
    }
  }
  throw Error(
      "cannot tell which Triton release this server is.\n"
      "hint: set TRITON_WORKBENCH_RELEASE=YY.MM in the server's environment, or write it into a file 'triton_release' "
      "beside the stub");
}

}  // namespace wb
