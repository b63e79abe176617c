"""The comm `workbench.v1` of a real kernel, with a front end that sends what labextension/ sends."""

from __future__ import annotations

import queue
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from jupyter_client.manager import KernelManager

PATIENCE_S = 90.0

MODEL = """%%triton model add_one --in X:FP32[4] --out Y:FP32[4]
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        out = []
        for r in requests:
            x = pb_utils.get_input_tensor_by_name(r, "X").as_numpy()
            print("adding", flush=True)
            assert x[0] >= 0, "negative"
            out.append(pb_utils.InferenceResponse([pb_utils.Tensor("Y", x + 1)]))
        return out
"""


class Kernel:
    """A kernel and its messages, sorted: of each comm, and of each cell."""

    def __init__(self, manager: KernelManager) -> None:
        self.manager = manager
        self.client = manager.client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=PATIENCE_S)
        self.comms: dict[str, list[dict[str, Any]]] = {}
        self.closed: set[str] = set()
        self.cells: dict[str, list[dict[str, Any]]] = {}

    def pump(self) -> None:
        """Take in what has come within a moment."""
        try:
            message = self.client.get_iopub_msg(timeout=0.05)
        except queue.Empty:
            return
        kind, content = message["msg_type"], message["content"]
        if kind == "comm_msg":
            self.comms.setdefault(content["comm_id"], []).append(content["data"])
        elif kind == "comm_close":
            self.closed.add(content["comm_id"])
        else:
            self.cells.setdefault(message["parent_header"].get("msg_id", ""), []).append(message)

    def wait(self, condition: Callable[[], Any], what: str) -> Any:
        """What the condition gives, once that is true."""
        deadline = time.monotonic() + PATIENCE_S
        while not (found := condition()):
            assert time.monotonic() < deadline, f"waited in vain for {what}; {str(self.comms)[-2000:]}"
            self.pump()
        return found

    def start(self, cell: str) -> str:
        return str(self.client.execute(cell))

    def has_ended(self, cell: str) -> bool:
        return any(
            each["msg_type"] == "status" and each["content"]["execution_state"] == "idle"
            for each in self.cells.get(cell, ())
        )

    def run(self, cell: str) -> list[dict[str, Any]]:
        started = self.start(cell)
        self.wait(lambda: self.has_ended(started), "the cell to end")
        return self.cells[started]

    def text(self, cell: str) -> str:
        """What is printed by a cell that does not fail."""
        messages = self.run(cell)
        assert not [each["content"] for each in messages if each["msg_type"] == "error"]
        return "".join(each["content"]["text"] for each in messages if each["msg_type"] == "stream")

    def subshell(self) -> str:
        message = self.client.session.msg("create_subshell_request")
        self.client.control_channel.send(message)
        reply = self.client.control_channel.get_msg(timeout=PATIENCE_S)
        return str(reply["content"]["subshell_id"])


class Front:
    """One front end: a comm of its own, messages through a subshell of its own where there is one."""

    def __init__(self, kernel: Kernel, versions: Any = (1,), subshell: str | None = None) -> None:
        self.kernel = kernel
        self.comm = uuid.uuid4().hex
        self._subshell = subshell
        self._sent = 0
        opening = {"comm_id": self.comm, "target_name": "workbench.v1", "data": {"v": versions}}
        self._send("comm_open", opening)

    def _send(self, kind: str, content: dict[str, Any]) -> None:
        message = self.kernel.client.session.msg(kind, content)
        if self._subshell:
            message["header"]["subshell_id"] = self._subshell
        self.kernel.client.shell_channel.send(message)

    def send(self, kind: str, **body: Any) -> None:
        self._sent += 1
        data = {"v": 1, "kind": kind, "seq": self._sent, "body": body}
        self._send("comm_msg", {"comm_id": self.comm, "data": data})

    def close(self) -> None:
        self._send("comm_close", {"comm_id": self.comm, "data": {}})

    def bodies(self, kind: str) -> list[dict[str, Any]]:
        return [each["body"] for each in self.kernel.comms.get(self.comm, ()) if each["kind"] == kind]

    def last(self, kind: str) -> dict[str, Any]:
        return dict(self.kernel.wait(lambda: self.bodies(kind), f"a message {kind}")[-1])

    def model(
        self, name: str, then: Callable[[dict[str, Any]], bool] = lambda model: True, **wanted: Any
    ) -> dict[str, Any]:
        """The model as told last, once it has these values, and the condition holds."""

        def found() -> dict[str, Any] | None:
            model = None
            for message in self.kernel.comms.get(self.comm, ()):
                for each in message["body"].get("models", ()) if message["kind"] == "models" else ():
                    model = each if each["name"] == name else model
                if message["kind"] == "model" and message["body"]["model"]["name"] == name:
                    model = message["body"]["model"]
            fits = model and all(model[key] == value for key, value in wanted.items()) and then(model)
            return model if fits else None

        return dict(self.kernel.wait(found, f"{name} with {wanted}"))

    def do(self, verb: str, **arguments: Any) -> str:
        job = uuid.uuid4().hex
        self.send("do", job=job, verb=verb, args=arguments)
        return job

    def outcome(self, job: str) -> dict[str, Any]:
        def found() -> dict[str, Any] | None:
            ended = [each for each in self.bodies("job") if each["id"] == job and each["state"] != "running"]
            return ended[-1] if ended else None

        return dict(self.kernel.wait(found, f"the job {job} to end"))


@contextmanager
def running_kernel() -> Iterator[Kernel]:
    with tempfile.TemporaryDirectory(prefix="wb-kernel-") as sockets:
        manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel")
        manager.start_kernel()
        try:
            kernel = Kernel(manager)
            try:
                yield kernel
            finally:
                kernel.client.stop_channels()
        finally:
            manager.shutdown_kernel()
            manager.cleanup_resources()


@pytest.fixture
def kernel() -> Iterator[Kernel]:
    with running_kernel() as kernel:
        yield kernel


def test_link_tells_of_models_from_load_to_unload(kernel: Kernel) -> None:
    # GIVEN a kernel that does not have the extension: it takes no link
    early = Front(kernel)
    kernel.wait(lambda: early.comm in kernel.closed, "the comm to be refused")

    # WHEN it has it
    assert kernel.text("%load_ext workbench") == ""
    front = Front(kernel)
    hello = front.last("hello")
    assert hello["versions"]["protocol"] == 1
    assert {"models", "reload", "replay", "lint"} <= set(hello["features"])
    front.send("subscribe", topics=["models", "no such topic"], hz=10)
    assert front.last("models") == {"models": []}

    # THEN models are told of as they come, serve, fail and go
    kernel.run(MODEL)
    model = front.model("add_one", state="READY")
    assert model["cell"] == "Cell In[2]" and model["signature"] == "in: X FP32[4]  out: Y FP32[4]"
    assert model["failed_src"] is None and f"src:{model['cell_text_hash']}" == model["src"]
    assert model["region"].startswith("wb_") and model["reload_ms"] is None

    kernel.text("r = %triton infer add_one X=[1,2,3,4]")
    front.model("add_one", requests={"success": 1, "failure": 0})

    kernel.run("%triton infer add_one X=[-1,2,3,4]")
    error = front.last("error")
    assert error["ename"] == "ModelExecutionError" and error["line"] == 9 and error["cell"] == "Cell In[2]"

    kernel.run(MODEL.replace("+ 1", "+ +"))
    failed = front.model("add_one", lambda each: each["failed_src"] is not None)
    assert failed["state"] == "READY" and failed["src"] == model["src"] != failed["failed_src"]
    assert failed["error"]["line"] == 10 and failed["error"]["op"] == "load"

    kernel.run(MODEL.replace("+ 1", "+ 2"))
    mended = front.model("add_one", failed_src=None)
    assert mended["src"] != model["src"] and mended["reload_ms"] > 0

    kernel.run("%triton unload add_one")
    kernel.wait(lambda: front.bodies("models")[-1] == {"models": []}, "an empty list")
    sequence = [each["seq"] for each in kernel.comms[front.comm]]
    assert sequence == list(range(1, len(sequence) + 1))


def test_jobs_run_beside_a_cell_that_runs(kernel: Kernel) -> None:
    kernel.run("%load_ext workbench")
    kernel.run(MODEL)
    kernel.run("%triton infer add_one X=[1,2,3,4]")
    front = Front(kernel, subshell=kernel.subshell())
    front.last("hello")
    front.send("subscribe", topics=["models"], hz=10)
    front.model("add_one", state="READY")

    # WHEN a cell runs until it is told to stop
    busy = kernel.start(
        "import time, workbench\nwhile workbench.current().hosts['add_one'].successes < 3: time.sleep(0.01)"
    )
    kernel.wait(lambda: kernel.cells.get(busy), "the cell to start")
    jobs = [front.do("replay", model="add_one"), front.do("reload", model="add_one")]

    # THEN both directions work all the same
    replayed, reloaded = [front.outcome(job) for job in jobs]
    assert replayed["state"] == "done" and replayed["result"]["text"] == "Replay add_one: 1 request, 1 equal"
    assert reloaded["state"] == "done" and reloaded["result"]["data"]["state"] == "READY"
    assert not kernel.has_ended(busy)
    again = front.outcome(front.do("replay", model="add_one"))
    assert again["state"] == "done"
    kernel.wait(lambda: kernel.has_ended(busy), "the cell to end")
    # What the model printed for a job is no cell's output: it is in the logs.
    assert not [each for each in kernel.cells[busy] if each["msg_type"] == "stream"]
    front.send("subscribe", topics=["log", "servers"], hz=10)
    lines = front.last("log")["lines"]
    assert {"model": "add_one", "level": "output", "text": "adding", "line": None}.items() <= lines[0].items()
    assert front.last("servers") == {"servers": []}
    front.send("subscribe", topics=["shm"], hz=10)
    (region,) = front.last("shm")["reports"]
    assert region["model"] == "add_one"
    front.model("add_one", region=region["region"])
    assert 0 < region["in_use"] <= region["capacity"]
    refused = front.outcome(front.do("connect", url="http://127.0.0.1:9", name="nobody"))
    assert refused["state"] == "failed" and refused["error"]["ename"] == "ServerUnreachable"


def test_jobs_fail_and_are_cancelled_with_a_reason(kernel: Kernel) -> None:
    kernel.run("%load_ext workbench")
    slow = MODEL.replace('print("adding", flush=True)', "import time; time.sleep(0.2)")
    kernel.run(slow)
    kernel.run("import workbench\nfor _ in range(32): workbench.model('add_one').infer(X=[1, 2, 3, 4])")
    front = Front(kernel)

    unknown = front.outcome(front.do("repaly", model="add_one"))
    assert unknown["state"] == "failed" and "did you mean replay" in unknown["error"]["evalue"]
    missing = front.outcome(front.do("replay", model="nobody"))
    assert missing["error"]["ename"] == "ModelNotFound" and missing["error"]["op"] == "replay"
    assert front.outcome(front.do("unload", model="-o"))["error"]["ename"] == "WorkbenchUsageError"

    job = front.do("replay", model="add_one")
    front.send("cancel", job=job)
    assert front.outcome(job)["state"] == "cancelled"
    # A wait for a model that hangs is cut short too; its process is replaced.
    kernel.run(slow.replace("time.sleep(0.2)", "time.sleep(0.2 if x[0] else 600)"))
    hung = "import workbench\nworkbench.model('add_one').infer(X=[0, 2, 3, 4], timeout=0.5)"
    assert any(each["msg_type"] == "error" for each in kernel.run(hung))
    begun = time.monotonic()
    job = front.do("replay_error", model="add_one")
    kernel.wait(lambda: [each for each in front.bodies("job") if each["id"] == job], "the job to begin")
    front.send("cancel", job=job)
    assert front.outcome(job)["state"] == "cancelled"
    assert time.monotonic() - begun < 25  # it would have waited 30 s
    # The model serves on.
    assert front.outcome(front.do("status"))["result"]["text"].startswith("Status: stub own")
    assert "[2. 3. 4. 5.]" in kernel.text("print(workbench.model('add_one').infer(X=[1, 2, 3, 4]))")


def test_several_front_ends_and_a_restart(kernel: Kernel) -> None:
    kernel.run("%load_ext workbench")
    first, second = Front(kernel), Front(kernel)
    old = Front(kernel, versions=[0])
    new = Front(kernel, versions=[2, 3])
    assert old.last("hello").keys() == {"versions", "upgrade"} and old.last("hello")["upgrade"] == "front end"
    assert new.last("hello")["upgrade"] == "kernel"
    for each in (first, second):
        each.send("subscribe", topics=["models"], hz=10)
        each.last("models")
    first.close()
    kernel.run(MODEL)
    second.model("add_one", state="READY")
    assert not [each for each in first.bodies("models") if each["models"]]

    # A page that is opened again gets everything.
    third = Front(kernel)
    third.send("subscribe", topics=["models"], hz=10)
    third.model("add_one", state="READY")
    assert third.last("hello")["session"] == second.last("hello")["session"]

    # Taking the extension away ends the links; after a restart the kernel is another session.
    kernel.run("%unload_ext workbench")
    kernel.wait(lambda: second.comm in kernel.closed and third.comm in kernel.closed, "the links to end")
    kernel.manager.restart_kernel(now=False)
    kernel.client.wait_for_ready(timeout=PATIENCE_S)
    kernel.run("%load_ext workbench")
    fourth = Front(kernel)
    assert fourth.last("hello")["session"] != third.last("hello")["session"]
