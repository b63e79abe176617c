#include "runtime/command_loop.hpp"

#include "codec/request.hpp"
#include "codec/text.hpp"
#include "runtime/without_gil.hpp"

namespace wb {

void CommandLoop::Run() {
  liveness_.Start();
  try {
    Converse();
  } catch (...) {
    StopLiveness();
    throw;
  }
  StopLiveness();
  stub_->set_phase(Phase::kOver);
  model_.Drop();
}

void CommandLoop::Converse() {
  for (;;) {
    Envelope command;
    {
      const WithoutGil release;
      command = stub_->link().NextCommand();
    }
    if (!Dispatch(&command)) return;
  }
}

void CommandLoop::StopLiveness() {
  const WithoutGil release;
  liveness_.Stop();
}

bool CommandLoop::Dispatch(Envelope* command) {
  switch (command->command()) {
    case Command::kAutoCompleteRequest:
      return AutoComplete(*command);
    case Command::kInitializeRequest:
      return Initialize(*command);
    case Command::kExecuteRequest:
      Execute(*command);
      return true;
    case Command::kLoadGpuBuffers:
      // This stub never announces outputs in GPU memory, so there is nothing to copy; the answer is owed all
      // the same.
      stub_->link().Answer(0);
      return true;
    case Command::kFinalizeRequest:
      Finalize(command);
      return false;
    default:
      WB_STUB_LOG(*stub_, LogLevel::kError,
                  "unexpected message " + std::string(Name(command->command())) + " from the parent");
      return true;
  }
}

void CommandLoop::Answer(Handle message) {
  const WithoutGil release;
  stub_->jobs().Settle();  // what was logged on the way comes before the answer
  stub_->link().Answer(message);
  stub_->link().AwaitRelease();
}

bool CommandLoop::AutoComplete(const Envelope& command) {
  Pool* pool = stub_->pool();
  HeldRefs keep(pool);
  Ref answer = pool->AllocateAs<wire::AutoCompleteResponse>();
  auto* data = answer.as<wire::AutoCompleteResponse>();
  bool succeeded = false;
  try {
    const std::string config = ReadString(pool, command.args());
    model_.Import();
    data->model_config = WriteString(pool, model_.AutoComplete(config), keep.get());
    data->has_model_config = true;
    succeeded = true;
  } catch (const ModelError& error) {
    WB_STUB_LOG(*stub_, LogLevel::kInfo,
                std::string("Failed to initialize Python stub for auto-complete: ") + error.what());
    data->has_error = true;
    data->error = WriteString(pool, error.what(), keep.get());
    data->is_error_set = true;
  }
  const Envelope message =
      Envelope::Create(pool, stub_->release(), Command::kAutoCompleteResponse, answer.handle(), false);
  Answer(message.handle());
  return succeeded;
}

bool CommandLoop::Initialize(const Envelope& command) {
  Pool* pool = stub_->pool();
  HeldRefs keep(pool);
  Ref answer = pool->AllocateAs<wire::InitializeResponse>();
  auto* data = answer.as<wire::InitializeResponse>();
  bool succeeded = false;
  try {
    const StringMap args = ReadMap(pool, command.args());
    model_.Import();
    model_.Construct();
    const auto name = args.find("model_name");
    if (name != args.end()) stub_->trace().set_model(name->second);
    stub_->jobs().Start();
    pushes_.Start([this] {
      py::gil_scoped_acquire gil;
      return model_.IsReady();
    });
    stub_->set_phase(Phase::kInitialize);
    model_.Initialize(args);
    if (stub_->release().has_user_readiness) {
      stub_->link().control()->has_user_readiness = model_.has_is_ready();
    }
    stub_->set_phase(Phase::kServing);
    succeeded = true;
  } catch (const ModelError& error) {
    WB_STUB_LOG(*stub_, LogLevel::kInfo, std::string("Failed to initialize Python stub: ") + error.what());
    data->has_error = true;
    data->error = WriteString(pool, error.what(), keep.get());
    data->is_error_set = true;
  }
  const Envelope message =
      Envelope::Create(pool, stub_->release(), Command::kInitializeResponse, answer.handle(), false);
  Answer(message.handle());
  if (!succeeded) StopThreads();
  return succeeded;
}

void CommandLoop::Execute(const Envelope& command) {
  Pool* pool = stub_->pool();
  HeldRefs keep(pool);
  ResponseBatchValue batch = model_.Execute(ReadRequestBatch(pool, command.args()), keep.get());
  Handle answer = 0;
  try {
    answer = WriteExecuteResponse(pool, stub_->release(), batch, keep.get());
  } catch (const PoolExhausted& error) {
    // Not even the list of handles fits: the text of the failure is smaller.
    batch = ResponseBatchValue{};
    batch.has_error = true;
    batch.error = error.what();
    keep.Release();
    answer = WriteExecuteResponse(pool, stub_->release(), batch, keep.get());
  }
  Answer(answer);
}

void CommandLoop::Finalize(Envelope* command) {
  stub_->set_phase(Phase::kFinalizing);
  model_.Finalize();
  StopThreads();
  const WithoutGil release;
  // The same message goes back, as upstream does it.
  command->set_command(stub_->release(), Command::kFinalizeResponse);
  stub_->link().Answer(command->handle());
}

void CommandLoop::StopThreads() {
  const WithoutGil release;
  stub_->jobs().Stop();
  stub_->set_phase(Phase::kOver);
  pushes_.Stop();
}

}  // namespace wb
