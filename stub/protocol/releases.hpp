// The one table of what differs between releases of the Python backend (protocol.md §9). The wire carries no
// version: whoever starts a conversation must know the release.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "protocol/commands.hpp"

namespace wb {

// How the answer to ExecuteRequest travels.
enum class ExecutePath {
  kSeparate,  // 24.04, 24.05: message → object [batch][handles]; decoupled models as kSendAll
  kSendAll,   // 24.06 to 24.09: every response by ResponseSend; message → bare batch
  kInline,    // 24.10 on: one object [message][batch][handles]
};

struct Release {
  std::string_view name;            // "24.10"
  std::string_view server_version;  // "2.51.0"
  std::string_view family;          // first release with this layout
  ExecutePath execute_path;
  bool has_histogram;            // 24.08: command Observe, buckets in Metric
  bool services_on_s2p;          // 24.10: commands 8, 9, 12 on s2p, before on parent_mq
  bool has_response_parameters;  // 25.02
  bool has_cancel_bls;           // 25.04
  bool has_user_readiness;       // 26.03

  // Size of ResponseBatch on the wire; response handles follow it.
  std::size_t response_batch_size() const { return services_on_s2p ? 120 : 112; }
  // Response factories exist for every request, not only those of decoupled models.
  bool factories_for_all() const { return execute_path != ExecutePath::kSeparate; }
  // Number on the wire, or nothing if this release has no such command.
  std::optional<int> ToWire(Command command) const;
  Command FromWire(int number) const;
};

const std::vector<Release>& Releases();

// Row for a release ("24.10") or server version ("2.51.0", "2.51.0dev"). Newer than the table: the newest
// row, and *newer is set. Older than the table or unreadable: nullptr.
const Release* FindRelease(std::string_view name_or_version, bool* newer = nullptr);

// Which release a stub started by `parent_pid` has to speak. Sources, in this order:
// TRITON_WORKBENCH_RELEASE; a file "triton_release" in `stub_directory`; NVIDIA_TRITON_SERVER_VERSION and
// TRITON_SERVER_VERSION, which the server's images set; the TRITON_VERSION file of the parent's installation.
// Throws Error that says how to set it.
struct DetectedRelease {
  const Release* release;
  std::string text;    // as found
  std::string source;  // where it was found
  bool newer;          // than the table: the newest row is taken instead
};
DetectedRelease DetectRelease(const std::string& stub_directory, int parent_pid);

}  // namespace wb
