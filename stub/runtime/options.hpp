// The stub's command line (protocol.md §6.1), parsed once.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "protocol/layout.hpp"

namespace wb {

struct Options {
  std::string model_file;  // as given: <repository>/<model>/<version>/<file>
  std::string region_name;
  std::size_t region_growth = 0;  // bytes
  pid_t parent_pid = 0;
  std::string python_lib;  // folder of triton_python_backend_utils.py
  Handle control = 0;
  std::string name;               // instance name; model name for auto-complete
  std::string runtime_model_dir;  // empty: DEFAULT

  // Derived.
  std::string version_dir;  // <repository>/<model>/<version>: what get_model_dir() reports
  std::string model_dir;    // <repository>/<model>
  std::string version;
  std::string model_path;  // the file that is really imported

  bool is_python_based() const { return !runtime_model_dir.empty(); }
};

// `arguments`: argv without the executable. Throws Error naming what is wrong.
Options ParseOptions(const std::vector<std::string>& arguments);

}  // namespace wb
