#include "inspect/bind_inspector.hpp"

#include <pybind11/stl.h>

#include <memory>
#include <mutex>

#include "inspect/classify.hpp"
#include "protocol/error.hpp"

namespace py = pybind11;

namespace wb {

namespace {

struct Snapshot {
  WalkResult result;
  Contents contents;
  std::uint32_t now = 0;

  const Walk& walk() const { return result.walk; }
};

class Inspector {
 public:
  explicit Inspector(const std::string& path) : reader_(path) {}

  std::shared_ptr<Snapshot> Take(double seconds, bool contents) {
    const py::gil_scoped_release release;
    const std::lock_guard lock(mutex_);
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->result = WalkRegion(&reader_, seconds);
    if (!snapshot->result.problem.empty()) {
      throw RegionBroken("this is not a region that can be read: " + snapshot->result.problem);
    }
    if (contents) snapshot->contents = Classify(&reader_, snapshot->walk());
    snapshot->now = NoteTime();
    return snapshot;
  }

  bool IsLinked() const { return reader_.IsLinked(); }

 private:
  std::mutex mutex_;
  RegionReader reader_;
};

py::list Blocks(const Snapshot& snapshot) {
  py::list blocks;
  for (const UsedBlock& block : snapshot.contents.blocks) {
    py::object origin = py::none();
    py::object line = py::none();
    py::object request = py::none();
    py::object age = py::none();
    if (snapshot.contents.noted && block.note) {
      origin = py::int_(static_cast<int>(block.note->origin));
      if (block.note->line) line = py::int_(block.note->line);
      if (block.note->request) request = py::int_(block.note->request);
      age = py::float_((snapshot.now - block.note->time) / 1000.0);
    }
    blocks.append(py::make_tuple(block.handle, block.bytes, Name(block.kind), block.references,
                                 py::str(block.label), origin, line, request, age));
  }
  return blocks;
}

py::list Queues(const Snapshot& snapshot) {
  py::list queues;
  for (const QueueState& queue : snapshot.contents.queues) {
    queues.append(py::make_tuple(queue.name, queue.depth, queue.size));
  }
  return queues;
}

}  // namespace

void BindInspector(py::module_& module) {
  py::class_<Snapshot, std::shared_ptr<Snapshot>>(module, "RegionSnapshot", py::is_final())
      .def_property_readonly("capacity", [](const Snapshot& self) { return self.walk().capacity; })
      .def_property_readonly("file_size", [](const Snapshot& self) { return self.walk().file_size; })
      .def_property_readonly("used", [](const Snapshot& self) { return self.walk().used; })
      .def_property_readonly("free", [](const Snapshot& self) { return self.walk().free; })
      .def_property_readonly("overhead", [](const Snapshot& self) { return self.walk().overhead; })
      .def_property_readonly("free_memory", [](const Snapshot& self) { return self.walk().free_memory; })
      .def_property_readonly("largest_free", [](const Snapshot& self) { return self.walk().largest_free; })
      .def_property_readonly("steady", [](const Snapshot& self) { return self.result.steady; })
      .def_property_readonly("attempts", [](const Snapshot& self) { return self.result.attempts; })
      .def_property_readonly("is_triton", [](const Snapshot& self) { return self.contents.control_found; })
      .def_property_readonly("noted", [](const Snapshot& self) { return self.contents.noted; })
      .def("blocks", &Blocks)
      .def("queues", &Queues);
  py::class_<Inspector>(module, "RegionInspector", py::is_final())
      .def(py::init<const std::string&>(), py::arg("path"))
      .def("snapshot", &Inspector::Take, py::arg("seconds") = 0.05, py::arg("contents") = true)
      .def_property_readonly("linked", &Inspector::IsLinked);
}

}  // namespace wb
