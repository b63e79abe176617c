// The extension module workbench._host: the channel, the release table and the layouts. Bindings only; what
// they mean is in workbench/_host.pyi.
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bindings/bytes_array.hpp"
#include "host/channel.hpp"
#include "host/python_services.hpp"
#include "host/python_tap.hpp"
#include "host/python_values.hpp"
#include "inspect/bind_inspector.hpp"
#include "protocol/describe.hpp"

namespace py = pybind11;

namespace wb {

namespace {

const Release& ReleaseNamed(const std::string& name) {
  const Release* release = FindRelease(name);
  if (!release) {
    throw py::value_error(
        "'" + name + "' is not a release or server version this workbench knows\nhint: releases are " +
        std::string(Releases().front().name) + " to " + std::string(Releases().back().name));
  }
  return *release;
}

// What Python calls Channel: the conversation, and the handlers, which only Python's garbage collector can
// see.
class ChannelObject {
 public:
  ChannelObject(const LinkOptions& options, std::size_t threads, std::shared_ptr<PythonServices> services)
      : services_(std::move(services)), channel_(std::make_shared<Channel>(options, services_, threads)) {}

  ~ChannelObject() { Close(); }
  ChannelObject(const ChannelObject&) = delete;
  ChannelObject& operator=(const ChannelObject&) = delete;

  Channel* operator->() { return channel_.get(); }
  PythonServices& services() { return *services_; }

  // With the GIL. Threads that end may need it.
  void Close() {
    {
      const py::gil_scoped_release release;
      channel_->Close();
    }
    services_->Clear();
  }

 private:
  std::shared_ptr<PythonServices> services_;
  std::shared_ptr<Channel> channel_;
};

// Channels still open when the interpreter ends: their threads must not meet an interpreter that is gone.
std::vector<std::weak_ptr<ChannelObject>>& LiveChannels() {
  static auto* const channels = new std::vector<std::weak_ptr<ChannelObject>>;
  return *channels;
}

void CloseAll() {
  for (const auto& weak : std::exchange(LiveChannels(), {})) {
    if (const auto channel = weak.lock()) channel->Close();
  }
}

Deadline AfterOptional(std::optional<double> seconds) {
  return seconds ? Deadline::AfterSeconds(*seconds) : Deadline::Never();
}

std::shared_ptr<ChannelObject> MakeChannel(std::string name, const std::string& release,
                                           std::string region_name, std::size_t default_size,
                                           std::size_t growth, std::size_t queue_size, std::size_t threads,
                                           bool decoupled, bool uses_env, py::object on_log,
                                           py::object on_bls, py::object on_metric, py::object on_control,
                                           std::shared_ptr<Tap> tap) {
  LinkOptions options;
  options.name = std::move(name);
  options.release = &ReleaseNamed(release);
  options.region_name = std::move(region_name);
  options.default_size = default_size;
  options.growth = growth;
  options.queue_size = queue_size;
  options.decoupled = decoupled;
  options.uses_env = uses_env;
  options.tap = std::move(tap);
  if (options.region_name.empty() || options.region_name.find('/') != std::string::npos) {
    throw py::value_error("the name of a shared-memory region must not be empty or contain '/': '" +
                          options.region_name + "'");
  }
  constexpr std::size_t kLeast = 1 << 20;
  if (default_size < kLeast) throw py::value_error("a region has at least 1 MiB (shm_default_byte_size)");
  if (growth == 0) throw py::value_error("shm_growth_byte_size must be positive");
  if (queue_size < 2) throw py::value_error("queue_size must be at least 2");
  auto services = std::make_shared<PythonServices>(std::move(on_log), std::move(on_bls), std::move(on_metric),
                                                   std::move(on_control));
  std::shared_ptr<ChannelObject> channel;
  {
    const py::gil_scoped_release release_gil;  // a large region takes milliseconds to reserve
    channel = std::make_shared<ChannelObject>(options, threads, std::move(services));
  }
  auto& live = LiveChannels();
  live.erase(std::remove_if(live.begin(), live.end(), [](const auto& weak) { return weak.expired(); }),
             live.end());
  live.push_back(channel);
  return channel;
}

void Execute(ChannelObject& self, const std::vector<std::shared_ptr<Request>>& requests,
             std::optional<double> timeout) {
  std::vector<std::shared_ptr<Pending>> pending;
  pending.reserve(requests.size());
  for (const auto& request : requests) {
    if (!request) throw py::type_error("execute() takes requests, not None");
    pending.push_back(request->pending);
  }
  const py::gil_scoped_release release;
  self->link().Explain([&] { return self->Execute(pending, AfterOptional(timeout), CheckSignals()); });
}

// Handlers are often methods of an object that owns the channel: a cycle through C++.
void MakeCollectable(PyHeapTypeObject* heap_type) {
  PyTypeObject* type = &heap_type->ht_type;
  type->tp_flags |= Py_TPFLAGS_HAVE_GC;
  type->tp_traverse = [](PyObject* self, visitproc visit, void* arg) -> int {
    Py_VISIT(Py_TYPE(self));
    if (!py::detail::is_holder_constructed(self)) return 0;
    return py::cast<ChannelObject&>(py::handle(self)).services().Traverse(visit, arg);
  };
  type->tp_clear = [](PyObject* self) -> int {
    if (py::detail::is_holder_constructed(self))
      py::cast<ChannelObject&>(py::handle(self)).services().Clear();
    return 0;
  };
}

void BindChannel(py::module_& module) {
  using Released = py::call_guard<py::gil_scoped_release>;
  py::class_<ChannelObject, std::shared_ptr<ChannelObject>>(module, "Channel", py::is_final(),
                                                            py::custom_type_setup(&MakeCollectable))
      .def(py::init(&MakeChannel), py::kw_only(), py::arg("name"), py::arg("release"), py::arg("region_name"),
           py::arg("shm_default_byte_size") = 64 << 20, py::arg("shm_growth_byte_size") = 64 << 20,
           py::arg("queue_size") = 1000, py::arg("thread_pool_size") = 32, py::arg("decoupled") = false,
           py::arg("uses_env") = false, py::arg("on_log") = py::none(), py::arg("on_bls") = py::none(),
           py::arg("on_metric") = py::none(), py::arg("on_control") = py::none(),
           py::arg("tap") = std::shared_ptr<Tap>())
      .def(
          "arguments",
          [](ChannelObject& self, const std::string& model_file, const std::string& python_lib,
             const std::string& runtime_model_dir) {
            return self->Arguments(model_file, python_lib, runtime_model_dir);
          },
          py::arg("model_file"), py::arg("python_lib"), py::arg("runtime_model_dir") = "DEFAULT")
      .def(
          "attach", [](ChannelObject& self, int pid) { self->Attach(pid); }, py::arg("pid"), Released())
      .def(
          "wait_started",
          [](ChannelObject& self, double timeout) {
            self->link().Explain(
                [&] { return self->WaitStarted(Deadline::AfterSeconds(timeout), CheckSignals()); });
          },
          py::arg("timeout"), Released())
      .def(
          "auto_complete",
          [](ChannelObject& self, const std::string& config, std::optional<double> timeout) {
            return self->link().Explain(
                [&] { return self->AutoComplete(config, AfterOptional(timeout), CheckSignals()); });
          },
          py::arg("config_json"), py::arg("timeout") = py::none(), Released())
      .def(
          "initialize",
          [](ChannelObject& self, const StringMap& args, std::optional<double> timeout) {
            self->link().Explain(
                [&] { return self->Initialize(args, AfterOptional(timeout), CheckSignals()); });
          },
          py::arg("args"), py::arg("timeout") = py::none(), Released())
      .def("execute", &Execute, py::arg("requests"), py::arg("timeout") = py::none())
      .def(
          "is_ready",
          [](ChannelObject& self, double timeout) {
            return self->link().Explain(
                [&] { return self->IsReady(Deadline::AfterSeconds(timeout), CheckSignals()); });
          },
          py::arg("timeout") = 5.0, Released())
      .def(
          "finalize",
          [](ChannelObject& self, double timeout) {
            self->link().Explain(
                [&] { return self->Finalize(Deadline::AfterSeconds(timeout), CheckSignals()); });
          },
          py::arg("timeout"), Released())
      .def("close", &ChannelObject::Close)
      .def_property_readonly("region_name",
                             [](ChannelObject& self) { return self->link().options().region_name; })
      .def_property_readonly("capacity",
                             [](ChannelObject& self) {
                               const py::gil_scoped_release release;  // as free_bytes
                               return self->link().pool()->Capacity();
                             })
      .def_property_readonly("peak_bytes", [](ChannelObject& self) { return self->link().pool()->Peak(); })
      .def_property_readonly("growths", [](ChannelObject& self) { return self->link().pool()->Growths(); })
      .def_property_readonly("held_blocks", [](ChannelObject& self) { return self->link().pool()->Held(); })
      .def_property_readonly("requests_sent",
                             [](ChannelObject& self) { return self->link().requests().Sent(); })
      .def_property_readonly("free_bytes",
                             [](ChannelObject& self) {
                               const py::gil_scoped_release release;  // it waits for the region's lock
                               return self->FreeBytes();
                             })
      .def_property_readonly("open_requests",
                             [](ChannelObject& self) { return self->link().requests().size(); })
      .def_property_readonly("alive", [](ChannelObject& self) {
        return self->link().peer().attached() && !self->link().peer().Gone();
      });
  py::module_::import("atexit").attr("register")(py::cpp_function(&CloseAll));
}

void BindTables(py::module_& module) {
  py::class_<Release>(module, "Release", py::is_final())
      .def_property_readonly("name", [](const Release& self) { return self.name; })
      .def_property_readonly("server_version", [](const Release& self) { return self.server_version; })
      .def_property_readonly("family", [](const Release& self) { return self.family; })
      .def("__repr__", [](const Release& self) { return "<Release " + std::string(self.name) + ">"; });
  py::tuple releases(Releases().size());
  for (std::size_t i = 0; i < Releases().size(); ++i) {
    releases[i] = py::cast(&Releases()[i], py::return_value_policy::reference);
  }
  module.attr("RELEASES") = releases;
  // The row itself, not a second object for it.
  module.def(
      "find_release",
      [releases](const std::string& name) -> py::object {
        return releases[static_cast<std::size_t>(&ReleaseNamed(name) - Releases().data())];
      },
      py::arg("name_or_server_version"));
  module.def(
      "layout",
      [](const std::string& name) {
        py::dict layout;
        for (const StructInfo& info : DescribeLayout(ReleaseNamed(name))) {
          py::dict fields;
          for (const FieldInfo& field : info.fields) {
            fields[py::str(field.name)] = py::make_tuple(field.offset, field.size);
          }
          layout[py::str(info.name)] = py::dict(py::arg("size") = info.size, py::arg("fields") = fields);
        }
        return layout;
      },
      py::arg("release"));
  module.def(
      "command_number",
      [](const std::string& release, const std::string& command) -> std::optional<int> {
        for (int i = 0; i <= static_cast<int>(Command::kUserReadiness); ++i) {
          if (Name(static_cast<Command>(i)) == command) {
            return ReleaseNamed(release).ToWire(static_cast<Command>(i));
          }
        }
        throw py::value_error("there is no command '" + command + "'");
      },
      py::arg("release"), py::arg("command"));
  module.def("on_wait", &SetOnWait, py::arg("hook"));
  module.def(
      "encode_bytes", [](const py::array& array) { return py::bytes(EncodeBytes(array)); }, py::arg("array"));
  module.def(
      "decode_bytes",
      [](const py::object& data, std::size_t count) {
        const BufferView view(data);
        try {
          return DecodeBytes(view.data(), view.size(), count);
        } catch (const Error& error) {
          throw py::value_error(error.what());
        }
      },
      py::arg("data"), py::arg("count"));
}

void BindErrors(py::module_& module) {
  static const auto base = py::exception<Error>(module, "StubError", PyExc_RuntimeError);
  static const auto not_healthy = py::exception<PeerGone>(module, "StubNotHealthy", base);
  static const auto timeout = py::exception<TimedOut>(module, "StubTimeout", base);
  static const auto model = py::exception<ModelRefused>(module, "ModelError", base);
  static const auto exhausted = py::exception<PoolExhausted>(module, "PoolExhausted", base);
  static const auto protocol = py::exception<RegionBroken>(module, "ProtocolError", base);
  py::register_local_exception_translator([](std::exception_ptr pointer) {
    try {
      if (pointer) std::rethrow_exception(pointer);
    } catch (const PeerGone& error) {
      py::set_error(not_healthy, error.what());
    } catch (const TimedOut& error) {
      py::set_error(timeout, error.what());
    } catch (const ModelRefused& error) {
      py::set_error(model, error.what());
    } catch (const PoolExhausted& error) {
      py::set_error(exhausted, error.what());
    } catch (const RegionBroken& error) {
      py::set_error(protocol, error.what());
    } catch (const Error& error) {
      py::set_error(base, error.what());
    }
  });
}

}  // namespace

PYBIND11_MODULE(_host, module) {
  module.doc() = "Parent side of the Python backend's shared-memory protocol.";
  BindErrors(module);
  BindValues(module);
  BindServices(module);
  BindTap(module);
  BindTables(module);
  BindChannel(module);
  BindInspector(module);
}

}  // namespace wb
