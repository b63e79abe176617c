"""In a real kernel: the sign of life, completion, help, and output that comes after its cell."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.support.live import ECHO, source

PATIENCE_S = 60
WIDGET = "application/vnd.jupyter.widget-view+json"
SLOW = "def initialize(self, args):\n    time.sleep(1.5)"
HEAD = "%%triton model m --in X:FP32[2] --out Y:FP32[2]\n"
CELL = HEAD + source(ECHO, more=SLOW)
QUICK = HEAD + source(f"pb_utils.Logger.log_info('hi')\n{ECHO}")


class Kernel:
    """A kernel with the extension loaded."""

    def __init__(self, client: BlockingKernelClient) -> None:
        self.client = client

    def run(self, cell: str, *, watched: bool = False) -> list[dict[str, Any]]:
        """What a cell sends until it is done, but for its status. ``watched``: somebody looks at it."""
        request = self.client.execute(cell, allow_stdin=watched)
        found: list[dict[str, Any]] = []
        while True:
            message = self.client.get_iopub_msg(timeout=PATIENCE_S)
            if message["parent_header"].get("msg_id") != request:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return found
            assert message["msg_type"] != "error", "\n".join(message["content"]["traceback"])
            if message["msg_type"] not in ("status", "execute_input"):
                found.append(message)

    def text(self, cell: str) -> str:
        """The result of a cell, as text."""
        [result] = [each for each in self.run(cell) if each["msg_type"] == "execute_result"]
        return str(result["content"]["data"]["text/plain"])

    def complete(self, line: str) -> list[str]:
        """The line's last word, as each completion would leave it."""
        self.client.complete(line, len(line))
        content = self.client.get_shell_msg(timeout=PATIENCE_S)["content"]
        while "matches" not in content:
            content = self.client.get_shell_msg(timeout=PATIENCE_S)["content"]
        return [(line[: content["cursor_start"]] + each).split(" ")[-1] for each in content["matches"]]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    folder = tmp_path_factory.mktemp("kernel")
    manager = KernelManager(kernel_name="python3", transport="ipc", ip=str(folder / "k"))
    manager.start_kernel(cwd=str(Path.cwd()))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=PATIENCE_S)
        yield Kernel(client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


@pytest.fixture
def kernel(running: Kernel) -> Iterator[Kernel]:
    running.run("%load_ext workbench")
    yield running
    running.run("%unload_ext workbench")


def test_a_sign_of_life_is_for_people_and_goes_away(kernel: Kernel) -> None:
    kernel.run("import workbench.magics.progress as progress; progress.AFTER_SECONDS = 0.2")
    sent = kernel.run(CELL, watched=True)
    shown = [each for each in sent if each["msg_type"] == "display_data"]
    assert [sorted(each["content"]["data"]) for each in shown] == [[WIDGET, "text/plain"]]
    assert shown[0]["content"]["data"]["text/plain"] == ""
    model = shown[0]["content"]["data"][WIDGET]["model_id"]
    comms = [
        each["msg_type"] for each in sent if each["content"].get("comm_id") == model
    ]  # of the label itself
    assert comms[0] == "comm_open"
    assert comms[-1] == "comm_close"
    kernel.run("%triton unload m")
    assert [each["msg_type"] for each in kernel.run(CELL)] == ["execute_result"]


def test_short_work_shows_none(kernel: Kernel) -> None:
    kernel.run("import workbench.magics.progress as progress; progress.AFTER_SECONDS = 60")
    sent = kernel.run(QUICK, watched=True)
    assert [each["msg_type"] for each in sent] == ["execute_result"]


def test_completion(kernel: Kernel) -> None:
    kernel.run(QUICK)
    kernel.run("some_input = [1, 2]")
    assert kernel.complete("%triton inf") == ["infer"]
    assert kernel.complete("%%triton mod") == ["model", "models"]
    assert kernel.complete("x = %triton replay ") == ["m"]
    assert kernel.complete("%triton infer m ") == ["X="]
    assert kernel.complete("%triton infer m --on ") == ["live", "local"]
    assert kernel.complete("%triton logs --level wa") == ["warning"]
    assert "X=some_input" in kernel.complete("%triton infer m X=some_in")


def test_help(kernel: Kernel) -> None:
    overview = kernel.text("%triton")
    assert "%triton logs" in overview
    kernel.client.inspect("%triton", 7)
    content = kernel.client.get_shell_msg(timeout=PATIENCE_S)["content"]
    while "found" not in content:
        content = kernel.client.get_shell_msg(timeout=PATIENCE_S)["content"]
    assert overview.splitlines()[2].strip() in content["data"]["text/plain"]
    assert "--watch, --no-watch" in kernel.text("%triton model -h")


def test_log_lines_are_followed_under_their_cell(kernel: Kernel) -> None:
    kernel.run(QUICK)
    following = kernel.client.execute("%triton logs m --follow")
    kernel.client.execute("%triton infer m X=[1,2]")
    message = kernel.client.get_iopub_msg(timeout=PATIENCE_S)
    while message["msg_type"] != "stream":
        message = kernel.client.get_iopub_msg(timeout=PATIENCE_S)
    assert message["parent_header"]["msg_id"] == following
    assert message["content"]["text"].startswith("[m] INFO model.py:")
    assert "INFO model.py" in kernel.text("%triton logs m")
