#include "inspect/classify.hpp"

#include <algorithm>

#include "protocol/datatypes.hpp"
#include "protocol/segment.hpp"

namespace wb {

namespace {

constexpr std::uint64_t kSlack = 64;          // a block may be this much larger than what was asked for
constexpr std::uint64_t kLargestHeader = 64;  // bytes of the block of a string's or a map's two words
constexpr std::uint64_t kMostDims = 64;
constexpr std::uint64_t kMostName = 4096;
constexpr std::uint32_t kMostEntries = 1u << 20;
constexpr std::int32_t kMostCommands = 64;
constexpr std::array<const char*, 5> kQueueNames = {"stub", "parent", "stub to parent", "parent to stub",
                                                    "memory manager"};

// One pass over the blocks; every Find… marks what it is sure of.
class Classifier {
 public:
  Classifier(RegionReader* reader, const Walk& walk, Contents* contents)
      : reader_(reader), blocks_(contents->blocks), contents_(contents) {
    for (const Block& block : walk.blocks) {
      if (!block.used) continue;
      UsedBlock used;
      used.handle = block.handle;
      used.bytes = block.bytes;
      blocks_.push_back(std::move(used));
    }
  }

  void Run() {
    FindNamed();
    FindControl();
    ForUnknown([this](UsedBlock& block) { FindTensor(&block); });
    ForUnknown([this](UsedBlock& block) { FindRequest(&block); });  // before what parts of it look like too
    ForUnknown([this](UsedBlock& block) { IsString(block.handle); });
    for (const UsedBlock& block : blocks_) {
      if (block.kind == Kind::kString) MarkText(block);
    }
    ForUnknown([this](UsedBlock& block) { FindMap(&block); });
    ForUnknown([this](UsedBlock& block) { FindResponse(&block); });
    ForUnknown([this](UsedBlock& block) { FindBatch(&block); });
    ForUnknown([this](UsedBlock& block) { FindMessage(&block); });
    ReadHeaders();
  }

 private:
  template <typename Find>
  void ForUnknown(Find find) {
    for (UsedBlock& block : blocks_) {
      if (block.kind == Kind::kUnknown) find(block);
    }
  }

  UsedBlock* At(Handle handle) {
    const auto found =
        std::lower_bound(blocks_.begin(), blocks_.end(), handle,
                         [](const UsedBlock& block, Handle wanted) { return block.handle < wanted; });
    return found != blocks_.end() && found->handle == handle ? &*found : nullptr;
  }

  static std::uint64_t Usable(const UsedBlock& block) { return wire::UsableBytes(block.bytes / wire::kUnit); }
  static std::uint64_t Room(const UsedBlock& block) { return Usable(block) - wire::kOwnershipHeader; }

  // Whether the block may have been allocated for a payload of `size` bytes.
  static bool Fits(const UsedBlock& block, std::uint64_t size) {
    return size <= Room(block) && Room(block) - size < kSlack;
  }

  bool Fits(Handle handle, std::uint64_t size) {
    const UsedBlock* block = At(handle);
    return block && Fits(*block, size);
  }

  template <typename T>
  bool Payload(const UsedBlock& block, T* to, std::uint64_t offset = 0) {
    if (offset > Room(block) || sizeof(T) > Room(block) - offset) return false;
    return reader_->Read(static_cast<std::uint64_t>(block.handle) + wire::kOwnershipHeader + offset, to,
                         sizeof(T));
  }

  // `count` handles behind the first `offset` bytes.
  bool Handles(const UsedBlock& block, std::uint64_t offset, std::uint64_t count, std::vector<Handle>* to) {
    if (offset > Room(block) || count > (Room(block) - offset) / sizeof(Handle)) return false;
    to->resize(count);
    return reader_->Read(static_cast<std::uint64_t>(block.handle) + wire::kOwnershipHeader + offset,
                         to->data(), count * sizeof(Handle));
  }

  void Mark(Handle handle, Kind kind) {
    UsedBlock* block = At(handle);
    if (block && block->kind == Kind::kUnknown) block->kind = kind;
  }

  // -- what stays ---------------------------------------------------------------------------------------

  // The allocator's own first objects: the lock and the size word.
  void FindNamed() {
    const std::size_t looked_at = std::min<std::size_t>(blocks_.size(), 8);
    for (std::size_t i = 0; i < looked_at; ++i) {
      UsedBlock& block = blocks_[i];
      wire::NamedHeader header;
      const auto start = static_cast<std::uint64_t>(block.handle);
      if (block.bytes < sizeof(header) || !reader_->Read(start, &header)) continue;
      if (header.type_and_character_size != wire::kNamedType || header.value_alignment != 8) continue;
      if (header.value_bytes > Usable(block) || header.name_length > 64) continue;
      std::string name(header.name_length, '\0');
      const std::uint64_t at = wire::kNamedValue + header.value_bytes;
      if (at + name.size() > Usable(block) || !reader_->Read(start + at, name.data(), name.size())) continue;
      if (name != "shm_mutex" && name != "total size") continue;
      block.kind = Kind::kControl;
      block.label = name;
    }
  }

  bool IsQueue(Handle handle, wire::Queue* queue) {
    const UsedBlock* block = At(handle);
    if (!block || !Fits(*block, sizeof(wire::Queue)) || !Payload(*block, queue)) return false;
    const auto inside = [&](std::int32_t slot) {
      return slot >= 0 && static_cast<std::uint64_t>(slot) < queue->size;
    };
    return queue->size > 0 && queue->size <= kMostEntries && inside(queue->head) && inside(queue->tail) &&
           Fits(queue->buffer, queue->size * sizeof(Handle));
  }

  // The block that names five queues. There is one; it is among the first.
  void FindControl() {
    for (UsedBlock& block : blocks_) {
      wire::Control control;
      if (block.kind != Kind::kUnknown || !Fits(block, sizeof(control)) || !Payload(block, &control))
        continue;
      const std::array<Handle, 5> handles = {control.stub_mq, control.parent_mq, control.stub_to_parent_mq,
                                             control.parent_to_stub_mq, control.memory_manager_mq};
      std::array<wire::Queue, 5> queues;
      bool all = true;
      for (std::size_t i = 0; all && i < handles.size(); ++i) all = IsQueue(handles[i], &queues[i]);
      if (!all) continue;
      block.kind = Kind::kControl;
      contents_->control_found = true;
      for (std::size_t i = 0; i < handles.size(); ++i) {
        Mark(handles[i], Kind::kQueue);
        Mark(queues[i].buffer, Kind::kQueue);
        // glibc keeps a semaphore's value in the lower half of its first word.
        const auto value = *reinterpret_cast<const std::uint32_t*>(&queues[i].full);
        contents_->queues.push_back(
            {kQueueNames[i], queues[i].size, std::min<std::uint64_t>(value, queues[i].size)});
      }
      return;
    }
  }

  // -- tensors, strings -----------------------------------------------------------------------------------

  static std::uint64_t MemorySize(const wire::Memory& memory) {
    constexpr std::uint64_t kCudaHandle = 64;
    constexpr std::int32_t kGpu = 2;
    return sizeof(memory) + (memory.memory_type == kGpu ? kCudaHandle : memory.byte_size);
  }

  static bool IsPlausible(const wire::Memory& memory) {
    constexpr std::uint64_t kMost = std::uint64_t{1} << 48;
    return memory.memory_type >= 0 && memory.memory_type <= 2 && memory.byte_size < kMost;
  }

  void FindTensor(UsedBlock* block) {
    wire::Tensor tensor;
    if (!Payload(*block, &tensor) || tensor.dims_count > kMostDims) return;
    if (tensor.dtype <= 0 || tensor.dtype > static_cast<std::int32_t>(DataType::kBf16)) return;
    std::vector<std::int64_t> dims;
    static_assert(sizeof(Handle) == sizeof(std::int64_t));
    std::uint64_t at = sizeof(tensor);
    if (!Handles(*block, at, tensor.dims_count, &dims)) return;
    if (std::any_of(dims.begin(), dims.end(), [](std::int64_t dim) { return dim < 0; })) return;
    at += dims.size() * sizeof(std::int64_t);
    wire::String name;
    if (!Payload(*block, &name, at) || name.length > kMostName) return;
    at += sizeof(name) + name.length;
    std::uint64_t size = at;
    UsedBlock* separate = nullptr;
    wire::Memory memory;
    if (tensor.memory == 0) {
      if (!Payload(*block, &memory, at) || !IsPlausible(memory)) return;
      size += MemorySize(memory);
    } else {
      separate = At(tensor.memory);
      if (!separate || !Payload(*separate, &memory) || !IsPlausible(memory)) return;
      if (!Fits(*separate, MemorySize(memory))) return;
    }
    if (!Fits(*block, size)) return;
    block->kind = Kind::kTensor;
    if (separate) separate->kind = Kind::kTensor;
    block->label = Label(*block, tensor, dims, at - name.length, name.length);
  }

  // Only what prints; the name comes from somebody else's memory.
  std::string Label(const UsedBlock& block, const wire::Tensor& tensor, const std::vector<std::int64_t>& dims,
                    std::uint64_t name_at, std::uint64_t length) {
    constexpr std::uint64_t kShown = 64;
    std::string name(std::min(length, kShown), '\0');
    const std::uint64_t start = static_cast<std::uint64_t>(block.handle) + wire::kOwnershipHeader + name_at;
    if (!reader_->Read(start, name.data(), name.size())) return "";
    std::replace_if(name.begin(), name.end(), [](char c) { return c < ' ' || c > '~'; }, '?');
    name += " " + std::string(Info(static_cast<DataType>(tensor.dtype)).name) + "[";
    for (std::size_t i = 0; i < dims.size(); ++i) name += (i ? "," : "") + std::to_string(dims[i]);
    return name + "]";
  }

  bool IsString(Handle handle) {
    UsedBlock* block = At(handle);
    if (!block) return false;
    if (block->kind == Kind::kString) return true;
    if (block->kind != Kind::kUnknown) return false;
    wire::String text;
    if (block->bytes > kLargestHeader || !Payload(*block, &text)) return false;
    UsedBlock* data = text.data == handle ? nullptr : At(text.data);
    if (!data || !Fits(*data, text.length)) return false;
    if (data->kind != Kind::kUnknown && data->kind != Kind::kString) return false;
    block->kind = Kind::kString;
    data->kind = Kind::kString;
    return true;
  }

  // The text of a string that was itself taken for another's: an id that begins with a string's handle.
  void MarkText(const UsedBlock& block) {
    wire::String text;
    if (block.bytes > kLargestHeader || !Payload(block, &text) || !Fits(text.data, text.length)) return;
    Mark(text.data, Kind::kString);
  }

  void FindMap(UsedBlock* block) {
    wire::Map map;
    if (block->bytes > kLargestHeader || !Payload(*block, &map) || map.length > kMostEntries) return;
    UsedBlock* values = map.values == block->handle ? nullptr : At(map.values);
    if (!values || values->kind != Kind::kUnknown) return;
    if (!Fits(*values, map.length * sizeof(wire::Pair))) return;
    std::vector<Handle> handles;
    if (!Handles(*values, 0, std::uint64_t{map.length} * 2, &handles)) return;
    if (!std::all_of(handles.begin(), handles.end(), [this](Handle each) { return IsString(each); })) return;
    block->kind = Kind::kString;
    values->kind = Kind::kString;
  }

  // -- requests, responses --------------------------------------------------------------------------------

  void FindRequest(UsedBlock* block) {
    wire::Request request;
    if (!Payload(*block, &request)) return;
    const std::uint64_t inputs = request.input_count;
    const std::uint64_t outputs = request.requested_output_count;
    if (inputs > kMostEntries || outputs > kMostEntries) return;
    if (!Fits(*block, sizeof(request) + (inputs + outputs) * sizeof(Handle))) return;
    if (!IsString(request.model_name) || !IsString(request.request_id) || !IsString(request.parameters))
      return;
    if (!Fits(request.trace, sizeof(wire::Trace))) return;
    if (!Fits(request.correlation_id, sizeof(wire::CorrelationId))) return;
    block->kind = Kind::kRequest;
    Mark(request.trace, Kind::kRequest);
    Mark(request.correlation_id, Kind::kRequest);
  }

  void FindResponse(UsedBlock* block) {
    if (!FindResponseAs<wire::ResponseWithoutParameters>(block)) FindResponseAs<wire::Response>(block);
  }

  static bool IsBool(const bool* at) { return *reinterpret_cast<const std::uint8_t*>(at) <= 1; }

  bool IsKind(Handle handle, Kind kind) {
    const UsedBlock* block = At(handle);
    return block && block->kind == kind;
  }

  template <typename Wire>
  bool FindResponseAs(UsedBlock* block) {
    Wire response;
    if (!Payload(*block, &response)) return false;
    if (!IsBool(&response.has_error) || !IsBool(&response.is_error_set)) return false;
    if (*reinterpret_cast<const std::uint8_t*>(&response.has_error) == 1) {
      wire::Error error;
      const UsedBlock* text = At(response.error);
      if (!text || !Fits(*block, sizeof(response)) || !Fits(*text, sizeof(error))) return false;
      if (!Payload(*text, &error) || error.code < 0 || error.code > 64 || !IsString(error.message)) {
        return false;
      }
      Mark(response.error, Kind::kResponse);
    } else {
      const std::uint64_t count = response.outputs_size;
      std::vector<Handle> outputs;
      if (count == 0 || count > kMostEntries) return false;
      if (!Fits(*block, sizeof(response) + count * sizeof(Handle))) return false;
      if (!Handles(*block, sizeof(response), count, &outputs)) return false;
      for (const Handle each : outputs) {
        if (!IsKind(each, Kind::kTensor)) return false;
      }
    }
    block->kind = Kind::kResponse;
    return true;
  }

  void FindBatch(UsedBlock* block) {
    wire::RequestBatch requests;
    if (!Payload(*block, &requests)) return;
    if (HoldsOnly(*block, sizeof(requests), requests.batch_size, Kind::kRequest)) {
      block->kind = Kind::kRequest;
      return;
    }
    wire::ResponseBatch batch;
    if (!Payload(*block, &batch)) return;
    constexpr std::uint64_t kShort = 112;  // up to 24.09
    for (const std::uint64_t size : {std::uint64_t{sizeof(batch)}, kShort}) {
      if (HoldsOnly(*block, size, batch.batch_size, Kind::kResponse)) block->kind = Kind::kResponse;
    }
  }

  bool HoldsOnly(const UsedBlock& block, std::uint64_t offset, std::uint64_t count, Kind kind) {
    std::vector<Handle> handles;
    if (count == 0 || count > kMostEntries || !Fits(block, offset + count * sizeof(Handle))) return false;
    if (!Handles(block, offset, count, &handles)) return false;
    return std::all_of(handles.begin(), handles.end(), [&](Handle each) { return IsKind(each, kind); });
  }

  void FindMessage(UsedBlock* block) {
    wire::Message message;
    if (!Fits(*block, sizeof(message)) || !Payload(*block, &message)) return;
    if (message.command < 0 || message.command > kMostCommands || !IsBool(&message.inline_response)) return;
    UsedBlock* args = At(message.args);
    if (*reinterpret_cast<const std::uint8_t*>(&message.inline_response) == 1) {
      if (!Fits(message.response_mutex, sizeof(pthread_mutex_t))) return;
      if (!Fits(message.response_cond, sizeof(pthread_cond_t))) return;
      Mark(message.response_mutex, Kind::kMessage);
      Mark(message.response_cond, Kind::kMessage);
    } else if (!args || args == block) {
      return;
    }
    block->kind = Kind::kMessage;
    if (args && args->kind == Kind::kUnknown) args->kind = Kind::kMessage;
  }

  // -- for all ----------------------------------------------------------------------------------------------

  void ReadHeaders() {
    bool parent = false;
    bool stub = false;
    for (UsedBlock& block : blocks_) {
      wire::Ownership header;
      if (!reader_->Read(static_cast<std::uint64_t>(block.handle), &header)) continue;
      if (block.kind == Kind::kControl && !block.label.empty()) continue;  // named: not counted
      block.references = header.count;
      block.note = ReadNote(header);
      if (!block.note) continue;
      parent |= block.note->origin == Origin::kControl && block.kind == Kind::kControl;
      if (block.note->origin == Origin::kStubHealth) {
        stub = true;
        if (block.kind == Kind::kUnknown) block.kind = Kind::kMessage;  // nobody ever fills it in
      }
    }
    contents_->noted = parent && stub;
  }

  RegionReader* reader_;
  std::vector<UsedBlock>& blocks_;
  Contents* contents_;
};

}  // namespace

const char* Name(Kind kind) {
  switch (kind) {
    case Kind::kControl:
      return "control";
    case Kind::kQueue:
      return "queue";
    case Kind::kRequest:
      return "request";
    case Kind::kTensor:
      return "tensor";
    case Kind::kString:
      return "string";
    case Kind::kResponse:
      return "response";
    case Kind::kMessage:
      return "message";
    case Kind::kUnknown:
      break;
  }
  return "unknown";
}

Contents Classify(RegionReader* reader, const Walk& walk) {
  Contents contents;
  Classifier(reader, walk, &contents).Run();
  return contents;
}

}  // namespace wb
