"""Reading a process's output."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator

import pytest

from workbench.launch.output import OutputReader
from workbench.session.logs import LogRing, OutputRoute


@pytest.fixture
def pipe() -> Iterator[tuple[OutputReader, int]]:
    read, write = os.pipe()
    reader = OutputReader(read, "test")
    try:
        yield reader, write
    finally:
        os.close(write)
        reader.close()


def test_everything_written_before_is_there_after_a_drain(pipe: tuple[OutputReader, int]) -> None:
    reader, write = pipe
    lines: list[str] = []
    reader.on_line = lines.append
    for number in range(2000):
        os.write(write, b"line %d\n" % number)
        reader.drain()
        assert lines[-1] == f"line {number}"
    assert lines == [f"line {number}" for number in range(2000)]


def test_lines_in_pieces(pipe: tuple[OutputReader, int]) -> None:
    reader, write = pipe
    lines: list[str] = []
    reader.on_line = lines.append
    os.write(write, "gr\u00fc".encode()[:3])
    reader.drain()
    os.write(write, "gr\u00fc".encode()[3:] + b"\nnext")
    reader.drain()
    assert lines == ["gr\u00fc"]
    reader.close()
    assert lines == ["gr\u00fc", "next"]
    assert reader.tail(1) == ["next"]


def test_captured_lines_go_nowhere_else(pipe: tuple[OutputReader, int]) -> None:
    reader, write = pipe
    lines: list[str] = []
    reader.on_line = lines.append
    with reader.capture() as captured:
        os.write(write, b"stack\n")
    os.write(write, b"after\n")
    reader.drain()
    assert (captured, lines) == (["stack"], ["after"])
    assert reader.tail() == ["after"]


@pytest.mark.parametrize("act", ["drain", "close"])
def test_who_writes_without_a_pause_holds_nobody_up(act: str) -> None:
    """A thread of the model, or a process that it left behind."""
    read, write = os.pipe()
    reader = OutputReader(read, "test")
    # Taking a line takes longer than writing one: the pipe is never empty.
    reader.on_line = lambda line: time.sleep(1e-6)
    writer = subprocess.Popen(["yes", "a line"], stdout=write)
    os.close(write)
    try:
        time.sleep(0.2)
        done = threading.Thread(target=getattr(reader, act), daemon=True)
        done.start()
        done.join(10.0)
        assert not done.is_alive()
        assert reader.tail(1) == ["a line"]
    finally:
        writer.kill()
        writer.wait()
        reader.close()


def test_the_end_of_a_process_is_read_to_its_last_line() -> None:
    read, write = os.pipe()
    os.write(write, b"first\nlast")
    os.close(write)
    ended = OutputReader(read, "test")
    ended.drain()
    assert ended.tail() == ["first", "last"]
    ended.close()


def test_stub_messages_and_crash_dumps_are_not_output() -> None:
    import contextvars

    logs, shown = LogRing(), list[str]()
    route = OutputRoute("m", logs, lambda: lambda model, line: shown.append(line))
    route.context = contextvars.copy_context()
    for line in [
        "I1123 09:08:48.480365 4086 model.py:8]  log from auto_complete",
        "",
        "At:",
        "  /tmp/x/model.py(1): <module>",
        "hello",
        "Fatal Python error: Segmentation fault",
        "",
        "Current thread 0x00007fb96cdd2b80 (most recent call first):",
        '  File "/x/model.py", line 6 in execute',
        "Extension modules: numpy (total: 1)",
        "At:",  # the user's own words
    ]:
        route(line)
    assert shown == ["hello", "At:"]
    first = logs.records()[0]
    assert (first.level, first.file, first.line, first.text) == (
        "info",
        "model.py",
        8,
        "log from auto_complete",
    )


def test_output_outside_a_request_goes_to_the_logs() -> None:
    logs = LogRing()
    OutputRoute("m", logs, lambda: lambda model, line: None)("tick")
    assert [str(each) for each in logs.records("m")] == ["[m] OUTPUT tick"]
