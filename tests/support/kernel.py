"""A real kernel, driven as a front end does: cells, their output, and the prompt."""

from __future__ import annotations

import queue
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

__all__ = ["Outcome", "RealKernel", "real_kernel"]

SECONDS = 90.0


@dataclass
class Outcome:
    """What a cell did."""

    stdout: str = ""
    result: str = ""
    ename: str = ""
    evalue: str = ""
    traceback: str = ""
    prompts: list[str] = field(default_factory=list)


class RealKernel:
    """A front end that waits for each cell to end."""

    def __init__(self, manager: KernelManager, client: Any) -> None:
        self.manager = manager
        self.client = client

    def run(
        self,
        cell: str,
        answers: list[str | None] | None = None,
        *,
        on_output: Callable[[Outcome], None] = lambda outcome: None,
    ) -> Outcome:
        """Run a cell.

        Args:
            cell: Its text.
            answers: What the user types at each prompt, None: the stop button. Without any nobody is there.
            on_output: Called while the cell runs, now and then.
        """
        message = self.client.execute(cell, allow_stdin=answers is not None)
        outcome = Outcome()
        end = time.monotonic() + SECONDS
        while time.monotonic() < end:
            try:
                asked = self.client.stdin_channel.get_msg(timeout=0)
                assert answers, f"a prompt too many: {asked['content']['prompt']}; so far {outcome}"
                outcome.prompts.append(asked["content"]["prompt"])
                answer = answers.pop(0)
                if answer is None:
                    self.manager.interrupt_kernel()
                else:
                    self.client.input(answer)
            except queue.Empty:
                pass
            try:
                told = self.client.iopub_channel.get_msg(timeout=0.05)
            except queue.Empty:
                on_output(outcome)
                continue
            if told["parent_header"].get("msg_id") != message:
                continue
            content, kind = told["content"], told["msg_type"]
            if kind == "stream":
                outcome.stdout += content["text"]
            elif kind == "execute_result":
                outcome.result = content["data"]["text/plain"]
            elif kind == "error":
                outcome.ename, outcome.evalue = content["ename"], content["evalue"]
                outcome.traceback = "\n".join(content["traceback"])
            elif kind == "status" and content["execution_state"] == "idle":
                return outcome
        raise AssertionError(f"the cell did not end: {cell}; so far {outcome}")


@contextmanager
def real_kernel(folder: Path) -> Iterator[RealKernel]:
    """A kernel that speaks through sockets in a folder, with the extension loaded."""
    manager = KernelManager(kernel_name="python3", transport="ipc", ip=str(folder / "kernel"))
    manager.start_kernel(cwd=str(folder))
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=SECONDS)
        kernel = RealKernel(manager, client)
        assert not kernel.run("%load_ext workbench").ename
        yield kernel
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=False)
        manager.cleanup_resources()
