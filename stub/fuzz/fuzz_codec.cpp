// Every decoder of the codecs on objects whose content another process has changed: an error or a result,
// never a read or a write outside of the region.
//
// A region is filled with one valid object of each kind, once. The input then says which is read, and which
// bytes of which blocks are other ones first. Only what lies in blocks is changed: the allocator's own books
// are trusted, since Boost's code walks them unchecked (SECURITY.md).
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "codec/request.hpp"
#include "codec/response.hpp"
#include "codec/service.hpp"
#include "codec/tensor.hpp"
#include "protocol/error.hpp"
#include "protocol/segment.hpp"

namespace {

using namespace wb;

constexpr std::size_t kSize = 1 << 20;

struct Case {
  Handle root;
  std::function<void(Handle)> read;
};

struct World {
  std::shared_ptr<Pool> pool;
  Refs keep;
  std::vector<Case> cases;
  std::string saved;
  std::vector<std::pair<std::size_t, std::size_t>> blocks;  // begin and end of what may be changed

  World() {
    const std::string name = "wb_fuzz_" + std::to_string(getpid());
    pool = Pool::Create(name, kSize, kSize);
    pool->Unlink();
    Fill();
    char* base = Base();
    saved.assign(base, kSize);
    for (const Ref& each : keep) {
      const auto begin = static_cast<std::size_t>(each.handle());
      wire::BlockHeader header;
      std::memcpy(&header, base + begin - sizeof(header), sizeof(header));
      const std::uint64_t units = header.units_and_flags & wire::kUnitsMask;
      blocks.emplace_back(begin, begin - sizeof(header) + units * wire::kUnit);
    }
  }

  char* Base() { return keep.front().data() - wire::kOwnershipHeader - keep.front().handle(); }

  TensorValue Tensor() {
    static const float numbers[4] = {1, 2, 3, 4};
    TensorValue tensor;
    tensor.name = "INPUT0";
    tensor.dtype = static_cast<decltype(tensor.dtype)>(11);
    tensor.dims = {2, 2};
    tensor.data = reinterpret_cast<const char*>(numbers);
    tensor.byte_size = sizeof(numbers);
    return tensor;
  }

  void Fill() {
    Pool* p = pool.get();
    const auto add = [this](Handle root, std::function<void(Handle)> read) {
      cases.push_back({root, std::move(read)});
    };
    add(WriteString(p, "a text", &keep), [p](Handle at) { ReadString(p, at); });
    add(WriteMap(p, {{"one", "two"}, {"three", "four"}}, &keep), [p](Handle at) { ReadMap(p, at); });
    add(WriteError(p, ErrorValue{ErrorCode::kInternal, "wrong"}, &keep),
        [p](Handle at) { ReadError(p, at); });
    add(WriteTensor(p, Tensor(), &keep), [this](Handle at) { Look(ReadTensor(pool, at)); });
    RequestValue request;
    request.id = "7";
    request.model_name = "model";
    request.requested_outputs = {"OUTPUT0", "OUTPUT1"};
    request.inputs = {Tensor(), Tensor()};
    const Handle written = WriteRequest(p, request, &keep);
    add(written, [this](Handle at) {
      for (const TensorValue& each : ReadRequest(pool, at).inputs) Look(each);
    });
    add(WriteRequestBatch(p, {written, written}, &keep), [p](Handle at) {
      for (const Handle each : ReadRequestBatch(p, at)) ReadReleaseFlags(p, each);
    });
    for (const Release& release : {std::cref(Releases().front()), std::cref(Releases().back())}) {
      const Release* r = &release;
      ResponseValue response;
      response.outputs = {Tensor()};
      response.error = ErrorValue{ErrorCode::kInternal, "wrong"};
      response.parameters = "{}";
      const Handle answer = WriteResponse(p, *r, response, &keep);
      add(answer, [this, r](Handle at) {
        for (const TensorValue& each : ReadResponse(pool, *r, at).outputs) Look(each);
      });
      ResponseBatchValue batch;
      batch.responses = {answer, answer};
      batch.has_error = true;
      batch.error = "wrong";
      add(WriteResponseBatch(p, *r, batch, &keep), [p, r](Handle at) { ReadResponseBatch(p, *r, at); });
      MetricValue metric;
      add(WriteMetric(p, *r, metric, &keep), [p, r](Handle at) { ReadMetric(p, *r, at); });
    }
    keep.push_back(NewLog(p, LogValue{LogLevel::kInfo, "model.py", 3, "a line"}, &keep));
    add(keep.back().handle(), [p](Handle at) { ReadLog(p, at); });
    MetricFamilyValue family;
    family.name = "family";
    add(WriteMetricFamily(p, family, &keep), [p](Handle at) { ReadMetricFamily(p, at); });
    ModelLoaderValue loader;
    loader.name = "model";
    loader.files = {{"file:1/model.py", "code"}};
    add(WriteModelLoader(p, loader, &keep), [p](Handle at) { ReadModelLoader(p, at); });
  }

  // As a handler would: every byte.
  static void Look(const TensorValue& tensor) {
    volatile char sum = 0;
    for (std::uint64_t i = 0; i < tensor.byte_size && tensor.data; ++i)
      sum = static_cast<char>(sum + tensor.data[i]);
  }
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static World* world = new World;
  if (size < 1) return 0;
  const Case& one = world->cases[data[0] % world->cases.size()];
  // Then changes: which block (1 byte), where in it (2), how many bytes (1), and those.
  std::size_t at = 1;
  while (at + 4 < size) {
    const auto& [begin, end] = world->blocks[data[at] % world->blocks.size()];
    const std::size_t offset = begin + (data[at + 1] | data[at + 2] << 8) % (end - begin);
    std::size_t count = data[at + 3] % 8 + 1;
    at += 4;
    if (count > size - at) count = size - at;
    if (count > end - offset) count = end - offset;
    std::memcpy(world->Base() + offset, data + at, count);
    at += count;
  }
  try {
    one.read(one.root);
  } catch (const Error&) {
  }
  std::memcpy(world->Base(), world->saved.data(), kSize);
  if (world->pool->broken()) {
    for (Ref& each : world->keep) each = Ref();
    delete world;
    world = new World;
  }
  return 0;
}
