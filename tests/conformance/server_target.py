"""NVIDIA's server as a conformance target, over gRPC; with its own stub, or with ours placed in each model's folder."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import shutil
import signal
import sys
import threading
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import grpc
import numpy as np
from tritonclient.grpc import service_pb2 as pb
from tritonclient.grpc.service_pb2_grpc import GRPCInferenceServiceStub
from tritonclient.utils import deserialize_bytes_tensor, serialize_byte_tensor

from tests.conformance.targets import (
    NUMPY_OF,
    PATIENCE,
    Answer,
    LoadError,
    LogLine,
    Pending,
    Target,
    Value,
    datatype_of,
    until,
)
from workbench.server_install import ServerInstall
from workbench.targets.process_server import ServerProcess
from workbench.targets.server_guard import stub_pids

_CODE_OF = {"INVALID_ARGUMENT": "INVALID_ARG", "UNIMPLEMENTED": "UNSUPPORTED"}
_FRAME = re.compile(
    r"load failed for model '[^']*': version \d+ is at UNAVAILABLE state: (?:Internal|Unsupported|Invalid argument): (.*);\n*",
    re.DOTALL,
)
_LOG = re.compile(r"^([IWE])\d{4} \d\d:\d\d:\d\d\.\d+ (\d+) ([^:\]]*):(\d+)\] (.*)$")


def _parameter(value: bool | int | str | float) -> pb.InferParameter:
    if isinstance(value, bool):
        return pb.InferParameter(bool_param=value)
    if isinstance(value, int):
        return pb.InferParameter(int64_param=value)
    if isinstance(value, float):
        return pb.InferParameter(double_param=value)
    return pb.InferParameter(string_param=value)


def _answer(response: pb.ModelInferResponse) -> Answer:
    outputs = {}
    for tensor, raw in zip(response.outputs, response.raw_output_contents, strict=True):
        if tensor.datatype == "BYTES":
            array = deserialize_bytes_tensor(raw) if raw else np.array([], dtype=np.object_)
        else:
            array = np.frombuffer(raw, dtype=NUMPY_OF[tensor.datatype])
        outputs[tensor.name] = array.reshape(list(tensor.shape))
    parameters = {
        key: getattr(value, value.WhichOneof("parameter_choice"))
        for key, value in response.parameters.items()
    }
    final = bool(parameters.pop("triton_final_response", False))
    datatypes = {tensor.name: tensor.datatype for tensor in response.outputs}
    return Answer(outputs, datatypes, parameters=parameters, final=final)


class _Call(Pending):
    def __init__(self, stub: Any, request: pb.ModelInferRequest) -> None:
        self._future = stub.ModelInfer.future(request, timeout=300)

    def result(self, timeout: float = PATIENCE) -> Answer:
        try:
            answer = _answer(self._future.result(timeout=timeout))
        except grpc.FutureTimeoutError:
            raise TimeoutError(f"no answer within {timeout:g} s") from None
        except grpc.FutureCancelledError:
            return Answer(error="cancelled by the client", code="CANCELLED", final=True)
        except grpc.RpcError as error:
            code = error.code().name
            return Answer(error=error.details(), code=_CODE_OF.get(code, code), final=True)
        return Answer(answer.outputs, answer.datatypes, parameters=answer.parameters, final=True)

    def responses(self, timeout: float = PATIENCE) -> list[Answer]:
        return [self.result(timeout)]

    def cancel(self) -> None:
        self._future.cancel()


class _Stream(Pending):
    def __init__(self, stub: Any, request: pb.ModelInferRequest) -> None:
        self._done = threading.Event()
        self._answers: queue.Queue[Answer | None] = queue.Queue()

        def requests() -> Iterator[pb.ModelInferRequest]:
            yield request
            self._done.wait()

        self._stream = stub.ModelStreamInfer(requests())
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        try:
            for message in self._stream:
                answer = _answer(message.infer_response)
                if message.error_message:
                    answer = Answer(error=message.error_message, final=answer.final)
                self._answers.put(answer)
                if answer.final:
                    break
        except grpc.RpcError as error:
            code = error.code().name
            self._answers.put(Answer(error=error.details(), code=_CODE_OF.get(code, code)))
        finally:
            self._answers.put(None)
            self._done.set()

    def responses(self, timeout: float = PATIENCE) -> list[Answer]:
        found: list[Answer] = []
        while True:
            try:
                answer = self._answers.get(timeout=timeout)
            except queue.Empty:
                raise TimeoutError(f"no final response within {timeout:g} s; so far {found}") from None
            if answer is None:
                return found
            if not (answer.final and answer.empty):
                found.append(answer)

    def result(self, timeout: float = PATIENCE) -> Answer:
        try:
            answer = self._answers.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError(f"no response within {timeout:g} s") from None
        return answer or Answer(final=True)

    def cancel(self) -> None:
        self._stream.cancel()


class ServerTarget(Target):
    """One tritonserver, auto-completion off unless wanted."""

    host = "server"

    def __init__(
        self,
        folder: Path,
        install: ServerInstall,
        stub: str,
        *,
        auto_complete: bool = False,
        backend_config: Mapping[str, str | int] | None = None,
        env: Mapping[str, str] | None = None,
        log_verbose: int = 0,
        stub_file: Path | None = None,
        extra_args: Sequence[str] = (),
    ) -> None:
        self.stub = stub
        self.release = install.release or "24.10"
        self._folder = folder
        self._install = install
        self._stub_file = stub_file
        self._repository = folder / "repository"
        self._repository.mkdir(parents=True)
        self._children = 0
        self.server = ServerProcess(
            self._repository,
            install,
            auto_complete=auto_complete,
            backend_config=backend_config,
            # Our stub's launcher runs this Python; NVIDIA's stub knows nothing of the variable.
            env={"TRITON_WORKBENCH_PYTHON": sys.executable, **(env or {})},
            log_verbose=log_verbose,
            log_path=folder / "server.log",
            stop_timeout=3.0,
            extra_args=extra_args,
        )
        self._started_at = 0
        self.server.start()
        self._connect()

    def _revive(self) -> None:
        """A case that brings the server down fails; those after it get another server.

        One that crashes may also stay, stuck in its own signal handler.
        """
        if not self.server.running or "\nSignal (" in self.log_text(self._started_at):
            self.kill_host()
            self._started_at = self.log_mark()
            self.server.stop()
            self.server.start()
            self._connect()

    def _connect(self) -> None:
        limits = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]
        self._channel = grpc.insecure_channel(self.server.grpc_address, options=limits)
        self._grpc = GRPCInferenceServiceStub(self._channel)

    def write(self, name: str, files: Mapping[str, str | bytes], config: str) -> None:
        folder = self._repository / name
        for path, content in files.items():
            place = folder / path
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content if isinstance(content, bytes) else content.encode())
        if config:
            (folder / "config.pbtxt").write_text(config)
        if self._stub_file:
            place = folder / "triton_python_backend_stub"
            shutil.copy(self._stub_file, place)
            place.chmod(0o755)

    def load_named(self, name: str, wait: float = PATIENCE) -> None:
        self._revive()
        try:
            self._grpc.RepositoryModelLoad(pb.RepositoryModelLoadRequest(model_name=name), timeout=wait)
        except grpc.RpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise TimeoutError(f"{name} neither loaded nor failed within {wait:g} s") from None
            text = error.details()
            framed = _FRAME.fullmatch(text)
            raise LoadError(framed[1] if framed else text) from None

    def unload(self, name: str) -> None:
        self.server.unload(name)

    def drop(self, name: str) -> None:
        # The server takes over a second for each; nobody has to wait for it.
        self._grpc.RepositoryModelUnload.future(pb.RepositoryModelUnloadRequest(model_name=name), timeout=60)

    def ready(self, name: str) -> bool:
        return bool(self._grpc.ModelReady(pb.ModelReadyRequest(name=name), timeout=PATIENCE).ready)

    def send(
        self,
        name: str,
        inputs: Mapping[str, Value],
        *,
        stream: bool = False,
        outputs: Sequence[str] = (),
        request_id: str = "",
        parameters: Mapping[str, bool | int | str | float] | None = None,
        sequence: tuple[int | str, bool, bool] | None = None,
        timeout_us: int = 0,
        priority: int = 0,
    ) -> Pending:
        request = pb.ModelInferRequest(model_name=name, id=request_id)
        for key, value in inputs.items():
            datatype, array = datatype_of(value)
            request.inputs.add(name=key, datatype=datatype, shape=array.shape)
            if datatype == "BYTES":
                raw = serialize_byte_tensor(array).item() if array.size else b""
            else:
                raw = array.tobytes()
            request.raw_input_contents.append(raw)
        for key in outputs:
            request.outputs.add(name=key)
        for key, parameter in (parameters or {}).items():
            request.parameters[key].CopyFrom(_parameter(parameter))
        if sequence:
            correlation, start, end = sequence
            request.parameters["sequence_id"].CopyFrom(_parameter(correlation))
            request.parameters["sequence_start"].bool_param = start
            request.parameters["sequence_end"].bool_param = end
        if timeout_us:
            request.parameters["timeout"].int64_param = timeout_us
        if priority:
            request.parameters["priority"].uint64_param = priority
        if stream:
            request.parameters["triton_enable_empty_final_response"].bool_param = True
            return _Stream(self._grpc, request)
        return _Call(self._grpc, request)

    def directory(self, name: str) -> Path:
        return self._repository / name

    def stub_pids(self, name: str) -> list[int]:
        found = []
        for pid in stub_pids(self.server.region_prefix):
            with contextlib.suppress(OSError):
                arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")
                # bash -c '… stub …' runs for an instant before the stub takes its place.
                if any(re.fullmatch(rf"{re.escape(name)}(_\d+)+", each) for each in arguments):
                    found.append(pid)
        return sorted(found)

    def regions(self) -> list[Path]:
        return sorted(Path("/dev/shm").glob(f"{self.server.region_prefix}*"))

    def log_mark(self) -> int:
        return (self._folder / "server.log").stat().st_size

    def log_text(self, since: int) -> str:
        with (self._folder / "server.log").open("rb") as file:
            file.seek(since)
            return file.read().decode(errors="replace")

    def log_lines(self, since: int) -> list[LogLine]:
        found = []
        for line in self.log_text(since).splitlines():
            match = _LOG.match(line)
            if match:
                level, _, file, number, text = match.groups()
                if text.startswith('"'):
                    with contextlib.suppress(ValueError):
                        text = json.loads(text)
                found.append(LogLine(level, file, int(number), text.lstrip(" ")))
        return found

    def metrics(self) -> str:
        with urllib.request.urlopen(
            f"http://127.0.0.1:{self.server.metrics_port}/metrics", timeout=10
        ) as answer:
            return str(answer.read().decode())

    @contextlib.contextmanager
    def another(self, **options: Any) -> Iterator[ServerTarget]:
        self._children += 1
        folder = self._folder / f"another-{self._children}"
        install = options.pop("install", self._install)
        other = ServerTarget(folder, install, self.stub, stub_file=self._stub_file, **options)
        try:
            yield other
        finally:
            other.close()

    def close(self) -> None:
        self._channel.close()
        self.server.stop()

    def kill_host(self) -> None:
        assert self.server.pid is not None
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.server.pid, signal.SIGKILL)
        until(lambda: not self.server.running)
