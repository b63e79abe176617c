#include "protocol/releases.hpp"

#include <array>
#include <cstdio>

namespace wb {

namespace {

constexpr Release Row(std::string_view name, std::string_view server, int family) {
  // family: 0 24.04, 1 24.08, 2 24.10, 3 25.02, 4 25.04, 5 26.03
  constexpr std::array<std::string_view, 6> kFamilies{"24.04", "24.08", "24.10", "25.02", "25.04", "26.03"};
  Release row{};
  row.name = name;
  row.server_version = server;
  row.family = kFamilies[static_cast<std::size_t>(family)];
  row.execute_path = family >= 2                            ? ExecutePath::kInline
                     : (name == "24.04" || name == "24.05") ? ExecutePath::kSeparate
                                                            : ExecutePath::kSendAll;
  row.has_histogram = family >= 1;
  row.services_on_s2p = family >= 2;
  row.has_response_parameters = family >= 3;
  row.has_cancel_bls = family >= 4;
  row.has_user_readiness = family >= 5;
  return row;
}

// "24.10" or "2.51.0", compared as numbers; major is -1 if unreadable.
struct Version {
  int major = -1;
  int minor = -1;
  int patch = 0;
  bool operator<(const Version& other) const {
    if (major != other.major) return major < other.major;
    if (minor != other.minor) return minor < other.minor;
    return patch < other.patch;
  }
};

Version ParseVersion(std::string_view text) {
  Version version;
  const std::string copy(text);
  if (std::sscanf(copy.c_str(), "%d.%d.%d", &version.major, &version.minor, &version.patch) < 2)
    return Version{};
  return version;
}

}  // namespace

const std::vector<Release>& Releases() {
  // Never destroyed: threads of a stub may run while the process ends.
  static const auto& rows = *new std::vector<Release>{
      Row("24.04", "2.45.0", 0), Row("24.05", "2.46.0", 0), Row("24.06", "2.47.0", 0),
      Row("24.07", "2.48.0", 0), Row("24.08", "2.49.0", 1), Row("24.09", "2.50.0", 1),
      Row("24.10", "2.51.0", 2), Row("24.11", "2.52.0", 2), Row("24.12", "2.53.0", 2),
      Row("25.01", "2.54.0", 2), Row("25.02", "2.55.0", 3), Row("25.03", "2.56.0", 3),
      Row("25.04", "2.57.0", 4), Row("25.05", "2.58.0", 4), Row("25.06", "2.59.0", 4),
      Row("25.07", "2.59.1", 4), Row("25.08", "2.60.0", 4), Row("25.09", "2.61.0", 4),
      Row("25.10", "2.62.0", 4), Row("25.11", "2.63.0", 4), Row("25.12", "2.64.0", 4),
      Row("26.01", "2.65.0", 4), Row("26.02", "2.66.0", 4), Row("26.03", "2.67.0", 5),
      Row("26.04", "2.68.0", 5), Row("26.05", "2.69.0", 5), Row("26.06", "2.70.0", 5),
      Row("26.07", "2.71.0", 5),
  };
  return rows;
}

std::optional<int> Release::ToWire(Command command) const {
  const int number = static_cast<int>(command);
  if (command == Command::kUnknown) return std::nullopt;
  if (command == Command::kCancelBls && !has_cancel_bls) return std::nullopt;
  if (command == Command::kUserReadiness && !has_user_readiness) return std::nullopt;
  if (has_histogram || number < static_cast<int>(Command::kMetricObserve)) return number;
  if (command == Command::kMetricObserve) return std::nullopt;
  return number - 1;  // Observe was inserted in the middle of the list in 24.08
}

Command Release::FromWire(int number) const {
  if (number < 0) return Command::kUnknown;
  int ours = number;
  if (!has_histogram && number >= static_cast<int>(Command::kMetricObserve)) ours = number + 1;
  if (ours > static_cast<int>(Command::kUserReadiness)) return Command::kUnknown;
  const auto command = static_cast<Command>(ours);
  return ToWire(command) ? command : Command::kUnknown;
}

const Release* FindRelease(std::string_view name_or_version, bool* newer) {
  if (newer) *newer = false;
  const Version wanted = ParseVersion(name_or_version);
  if (wanted.major < 0) return nullptr;
  const bool is_server_version = wanted.major < 10;
  const Release* best = nullptr;
  for (const Release& row : Releases()) {
    const Version have = ParseVersion(is_server_version ? row.server_version : row.name);
    if (!(wanted < have)) best = &row;
  }
  if (best == &Releases().back()) {
    const Version last = ParseVersion(is_server_version ? best->server_version : best->name);
    if (newer && last < wanted) *newer = true;
  }
  return best;
}

}  // namespace wb
