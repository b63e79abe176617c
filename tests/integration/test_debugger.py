"""pdb in a model's process, answered from here: a list of lines stands for the user at the prompt."""

from __future__ import annotations

import asyncio
import json
import socket
import textwrap
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.interrupts import check_interrupted_starts
from tests.support.live import define
from workbench.errors import DebuggerError, ModelExecutionError, ModelLoadError
from workbench.model_source import ModelSource
from workbench.session import debugging
from workbench.session.debugger import Attachment
from workbench.session.model import Model
from workbench.targets.live import LiveTarget

CELL = """# %%triton model m
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        x = pb_utils.get_input_tensor_by_name(requests[0], "X").as_numpy()
        scale = 2
{stop}
        return [pb_utils.InferenceResponse([pb_utils.Tensor("Y", x * scale)])]
"""


class User:
    """Answers prompts in order; what the debugger shows is in ``seen``."""

    def __init__(self, live: LiveTarget) -> None:
        self.lines: list[str | type[BaseException]] = []
        self.seen = ""
        live.workbench.debugger.ask = self.ask
        live.workbench.debugger.show = self.show

    def show(self, text: str) -> None:
        self.seen += text

    def ask(self, prompt: str) -> str:
        line = self.lines.pop(0)
        self.seen += f"{prompt}{line if isinstance(line, str) else line.__name__}\n"
        if isinstance(line, str):
            return line
        raise line


@pytest.fixture
def user(live: LiveTarget) -> Iterator[User]:
    user = User(live)
    yield user
    assert not user.lines, f"prompts did not come; seen: {user.seen}"


def stopping(live: LiveTarget, stop: str = "breakpoint()", name: str = "m", **options: Any) -> Model:
    text = CELL.format(stop=textwrap.indent(stop, "        "))
    return live.define(name, ModelSource(text, "Cell In[2]"), ["X:FP32[2]"], ["Y:FP32[2]"], **options)


def test_nobody_attached(live: LiveTarget) -> None:
    model = stopping(live)
    with pytest.raises(ModelExecutionError) as caught:
        model.infer(X=[1, 2])
    assert caught.value.render() == [
        "ModelExecutionError: NoDebugger: breakpoint() was reached, and no debugger is attached (m)",
        "  m.execute, request 1 of 1",
        "  Cell In[2], line 8, in TritonPythonModel.execute",
        '          6 x = pb_utils.get_input_tensor_by_name(requests[0], "X").as_numpy()',
        "          7 scale = 2",
        "  ---->   8 breakpoint()",
        "  inputs: X FP32[2]",
        "  hint: %triton debug m",
    ]


def test_a_breakpoint_in_the_cell(live: LiveTarget, user: User) -> None:
    model = stopping(live, "breakpoint()\npass")
    live.workbench.debugger.attach("m", Attachment())
    user.lines = ["p scale", "l 7,9", "w", "scale = 5", "c"]
    assert model.infer(X=[1, 2], timeout=0.001)["Y"].tolist() == [5.0, 10.0]
    assert "(Pdb) p scale\n2\n" in user.seen
    assert "> Cell In[2](" in user.seen
    assert "execute()\n" in user.seen
    assert "7  \t        scale = 2\n" in user.seen
    assert "_stub_boot" not in user.seen
    assert "/tmp" not in user.seen
    user.lines = ["c"]  # the next request stops again
    assert model.infer(X=[1, 2])["Y"].tolist() == [2.0, 4.0]


def test_stepping_out_of_execute_ends_it(live: LiveTarget, user: User) -> None:
    model = stopping(live, "if x[0] == 1:\n    breakpoint()\npass")
    live.workbench.debugger.attach("m", Attachment())
    user.lines = ["r", "n"]
    assert model.infer(X=[1, 2])["Y"].tolist() == [2.0, 4.0]
    assert "--Return--" in user.seen
    assert model.infer(X=[3, 4])["Y"].tolist() == [6.0, 8.0]


@pytest.mark.parametrize("end", ["q", EOFError, KeyboardInterrupt])
def test_ending_the_debugger(live: LiveTarget, user: User, end: Any) -> None:
    model = stopping(live, "if x[0] == 1:\n    breakpoint()\n    pass")
    live.workbench.debugger.attach("m", Attachment())
    user.lines = [end]
    with pytest.raises(ModelExecutionError) as caught:
        model.infer(X=[1, 2])
    assert str(caught.value) == "the debugger ended the request (m)"
    assert caught.value.hint == "%triton debug m"
    pid = live.workbench.debugger._instance("m").process.pid  # type: ignore[union-attr]
    assert model.infer(X=[2, 2])["Y"].tolist() == [4.0, 4.0]
    assert live.workbench.debugger._instance("m").process.pid == pid  # type: ignore[union-attr]


def test_post_mortem_of_the_last_failed_request(live: LiveTarget, user: User) -> None:
    model = stopping(live, "scale = float(x[0]) / float(x[1])")
    with pytest.raises(ModelExecutionError):
        model.infer(X=[7, 0])
    user.lines = ["p x.tolist()", "q"]
    info = debugging.debug(live.workbench, "m")
    assert repr(info) == (
        "Debug m: the last failed request, sent again, ended with "
        "ZeroDivisionError: float division by zero (m)"
    )
    assert "ZeroDivisionError: float division by zero\n> Cell In[2](8)execute()\n" in user.seen
    assert "(Pdb) p x.tolist()\n[7.0, 0.0]\n" in user.seen
    assert not live.workbench.debugger.attached
    assert len(live.workbench.hosts["m"].recorder.requests) == 1


def test_on_error_until_detached(live: LiveTarget, user: User) -> None:
    model = stopping(live, "scale = float(x[0]) / float(x[1])")
    info = debugging.debug(live.workbench, "m", on_error=True)
    assert repr(info) == (
        "Debug m: breakpoint(), and where a request fails, opens pdb in the cell that sends the request; "
        "%triton debug m --off ends it"
    )
    user.lines = ["up", "q"]
    with pytest.raises(ModelExecutionError, match="ZeroDivisionError"):
        model.infer(X=[1, 0])
    debugging.stop(live.workbench, "m")
    with pytest.raises(ModelExecutionError, match="ZeroDivisionError"):
        model.infer(X=[1, 0])


def test_a_request_of_its_own(live: LiveTarget, user: User) -> None:
    stopping(live)
    user.lines = ["c"]
    info = debugging.send(live.workbench, "m", {"X": [1, 2]})
    assert repr(info) == "Debug m: the request was answered"


def test_a_model_that_another_calls(live: LiveTarget, user: User) -> None:
    stopping(live, "breakpoint()\npass", name="child")
    call = (
        "r = pb_utils.InferenceRequest(model_name='child', requested_output_names=['Y'], "
        "inputs=[pb_utils.get_input_tensor_by_name(requests[0], 'X')]).exec()\n"
        "return [pb_utils.InferenceResponse(r.output_tensors())]"
    )
    parent = define(live, call, name="parent")
    live.workbench.debugger.attach("child", Attachment())
    user.lines = ["scale = 3", "c"]
    assert parent.infer(X=[1, 2])["Y"].tolist() == [3.0, 6.0]


def test_a_breakpoint_in_initialize(live: LiveTarget, user: User) -> None:
    more = "def initialize(self, args):\n    breakpoint()\n    self.ready = True"
    with pytest.raises(ModelLoadError, match="NoDebugger"):
        define(live, "return []", more=more)
    live.workbench.debugger.attach("m", Attachment())
    user.lines = ["p args['model_name']", "c"]
    define(live, "return []", more=more, backend_config={"stub-timeout-seconds": 0.3})
    assert "(Pdb) p args['model_name']\n'm'\n" in user.seen


def test_a_decoupled_coroutine(live: LiveTarget, user: User) -> None:
    text = textwrap.dedent(
        """
        import triton_python_backend_utils as pb_utils
        class TritonPythonModel:
            async def execute(self, requests):
                for request in requests:
                    sender = request.get_response_sender()
                    x = pb_utils.get_input_tensor_by_name(request, "X").as_numpy()
                    breakpoint()
                    sender.send(pb_utils.InferenceResponse([pb_utils.Tensor("Y", x)]))
                    sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        """
    )
    model = live.define("m", text, ["X:FP32[2]"], ["Y:FP32[2]"], decoupled=True)
    live.workbench.debugger.attach("m", Attachment())
    user.lines = ["x = x * 7", "c"]
    assert model.infer(X=[1, 2], timeout=0.001)["Y"].tolist() == [7.0, 14.0]
    user.lines = ["x = x * 3", "c"]
    assert [each["Y"].tolist() for each in model.stream(X=[1, 2])] == [[3.0, 6.0]]


def test_interact_reads_whole_blocks(live: LiveTarget, user: User) -> None:
    model = stopping(live, "breakpoint()\npass")
    live.workbench.debugger.attach("m", Attachment())
    user.lines = ["interact", "for i in range(2):", "    print('i', i)", "", EOFError, "c"]
    model.infer(X=[1, 2])
    assert "i 0\ni 1\n" in user.seen


def test_other_threads_are_not_asked(live: LiveTarget, user: User) -> None:
    model = stopping(live)
    live.workbench.debugger.attach("m", Attachment())
    errors: list[BaseException] = []

    def send() -> None:
        try:
            model.infer(X=[1, 2])
        except ModelExecutionError as error:
            errors.append(error)

    thread = threading.Thread(target=send)
    thread.start()
    thread.join()
    assert str(errors[0]).startswith("NoDebugger: breakpoint() was reached")


def test_an_interrupt_while_the_thread_begins(live: LiveTarget, monkeypatch: pytest.MonkeyPatch) -> None:
    debugger = live.workbench.debugger
    debugger.attach("m", Attachment())
    check_interrupted_starts(debugger.attend, monkeypatch)
    assert debugger.attend(lambda: 3) == 3


def test_nobody_who_could_answer(live: LiveTarget, user: User) -> None:
    model = stopping(live, "breakpoint()\npass")
    live.workbench.debugger.attach("m", Attachment())
    user.lines = [NotImplementedError]
    with pytest.raises(
        ModelExecutionError, match="NoDebugger: the debugger needs input, and nobody is there to give it"
    ):
        model.infer(X=[1, 2])


def test_what_was_printed_comes_before_the_prompt(live: LiveTarget, user: User, printed: list[str]) -> None:
    model = stopping(live, "print('before')\nbreakpoint()\npass")
    live.workbench.debugger.attach("m", Attachment())
    asked: list[str] = []

    def answer(prompt: str) -> str:
        asked.extend(printed)
        return "c"

    live.workbench.debugger.ask = answer
    model.infer(X=[1, 2])
    assert asked == ["m: before"]


class Ide:
    """As much of an IDE as it takes to stop at a line."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 30)
        self._file = self._socket.makefile("rb")
        self._seq = 0

    def send(self, command: str, **arguments: Any) -> None:
        self._seq += 1
        body = json.dumps(
            {"seq": self._seq, "type": "request", "command": command, "arguments": arguments}
        ).encode()
        self._socket.sendall(b"Content-Length: %d\r\n\r\n%s" % (len(body), body))

    def until(self, name: str) -> dict[str, Any]:
        """The next response to, or event of, this name."""
        while True:
            length = 0
            while line := self._file.readline().strip():
                if line.lower().startswith(b"content-length"):
                    length = int(line.split(b":")[1])
            message: dict[str, Any] = json.loads(self._file.read(length))
            if name in (message.get("event"), message.get("command")):
                return message

    def close(self) -> None:
        self._file.close()
        self._socket.close()


def test_an_ide_stops_at_a_line(live: LiveTarget) -> None:
    pytest.importorskip("debugpy")
    model = stopping(live)
    info = debugging.listen(live.workbench, "m")
    settings = info.settings
    assert settings["connect"] == {"host": "127.0.0.1", "port": info.port}
    file = f"{settings['pathMappings'][0]['localRoot']}/model.py"
    assert f"Debug m: an IDE may attach to 127.0.0.1:{info.port}" in repr(info)
    ide = Ide(info.port)
    try:
        ide.send("initialize", adapterID="test", pathFormat="path")
        ide.until("initialize")
        ide.send("attach", **{key: settings[key] for key in ("pathMappings", "justMyCode")})
        ide.until("initialized")
        ide.send("setBreakpoints", source={"path": file}, breakpoints=[{"line": 7}])
        assert ide.until("setBreakpoints")["body"]["breakpoints"][0]["verified"]
        ide.send("configurationDone")
        ide.until("configurationDone")
        live.workbench.debugger.wait_client("m", 30)
        answers: list[list[float]] = []
        thread = threading.Thread(
            target=lambda: answers.append(model.infer(X=[1, 2], timeout=60)["Y"].tolist())
        )
        thread.start()
        for line in (7, 8):  # the breakpoint of the IDE, then the one in the cell
            stopped = ide.until("stopped")["body"]
            ide.send("stackTrace", threadId=stopped["threadId"])
            top = ide.until("stackTrace")["body"]["stackFrames"][0]
            assert top["source"]["path"] == file
            assert top["line"] in (line, line + 1)
            ide.send("continue", threadId=stopped["threadId"])
        thread.join(30)
        assert answers == [[2.0, 4.0]]
    finally:
        ide.close()


def test_a_port_that_is_taken(live: LiveTarget) -> None:
    pytest.importorskip("debugpy")
    stopping(live)
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(DebuggerError) as caught:
        debugging.listen(live.workbench, "m", taken.getsockname()[1])
    assert str(caught.value).startswith("m cannot listen for an IDE: ")
    assert caught.value.hint == "%triton debug m --port auto"


def test_no_request_has_a_time_limit_while_a_debugger_is_attached(live: LiveTarget) -> None:
    model = define(live, "time.sleep(0.5)\nreturn [reply(r, x) for r in requests]")
    live.workbench.debugger.attach("m", Attachment())
    assert asyncio.run(model.ainfer(X=[1, 2], timeout=0.1))["Y"].tolist() == [1.0, 2.0]
    assert model.trace(X=[1, 2], timeout=0.1).ok


def test_a_traced_request_stops_at_a_breakpoint(live: LiveTarget, user: User) -> None:
    model = live.define("m", CELL.format(stop="        breakpoint()"), ["X:FP32[2]"], ["Y:FP32[2]"])
    live.workbench.debugger.attach("m", Attachment())
    user.lines = ["scale = 5", "c"]
    trace = model.trace(X=[1, 2])
    assert trace.ok
    assert "(Pdb)" in user.seen
