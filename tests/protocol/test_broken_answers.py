"""A stub whose answer names what does not lie in the region: an error, and the stub is let go on."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from tests.protocol import harness
from tests.protocol.harness import ANSWER_TIMEOUT, make_request
from workbench import _host

# Says that it runs, answers a question with an error text out of this world, and waits for "you may release
# it", as every stub does. Questions before that one are answered as they should be.
_STUB = """
import ctypes, mmap, os, sys
from workbench import _host

_, region, _, _, _, _, control, _, _ = sys.argv[1:]
with open("/dev/shm/" + region, "r+b") as file:
    memory = mmap.mmap(file.fileno(), 0)
layout, libc = _host.layout("24.10"), ctypes.CDLL(None)
HEADER = 16

def number(at, size, value=None):
    if value is not None:
        memory[at : at + size] = value.to_bytes(size, "little")
    return int.from_bytes(memory[at : at + size], "little")

def field(kind, handle, name, value=None):
    at, size = layout[kind]["fields"][name]
    return number(HEADER + handle + at, size, value)

def wait(handle, name):
    at = ctypes.byref(ctypes.c_char.from_buffer(memory), HEADER + handle + layout["Queue"]["fields"][name][0])
    return libc.sem_wait(at)

def post(handle, name):
    at = ctypes.byref(ctypes.c_char.from_buffer(memory), HEADER + handle + layout["Queue"]["fields"][name][0])
    return libc.sem_post(at)

def turn(queue, name, value=None):
    place = field("Queue", queue, name)
    field("Queue", queue, name, (place + 1) % field("Queue", queue, "size"))
    return number(HEADER + field("Queue", queue, "buffer") + 8 * place, 8, value)

def push(queue, value):
    wait(queue, "empty")
    turn(queue, "head", value)
    post(queue, "full")

def pop(queue):
    wait(queue, "full")
    value = turn(queue, "tail")
    post(queue, "empty")
    return value

asks, answers = (field("Control", int(control), name) for name in ("stub_mq", "parent_mq"))
push(answers, int(control))  # what is in the first message does not matter
while True:
    asked = field("Message", pop(asks), "command")
    names = ("Initialize", "AutoComplete", "Execute")
    name = next(each for each in names if _host.command_number("24.10", f"{each}Request") == asked)
    answer = len(memory) - 4096  # nobody has allocated that much
    field("Message", answer, "command", _host.command_number("24.10", f"{name}Response"))
    kind, at = f"{name}Response", answer + 1024
    if name == "Execute":  # it lies behind its message
        kind, at = "ResponseBatch", answer + layout["Message"]["size"]
    is_broken = os.environ["BROKEN"] == name
    field("Message", answer, "args", at)
    for each, value in {"has_error": 1, "is_error_set": 1, "error": 1 << 40}.items():
        field(kind, at, each, value * is_broken)
    push(answers, answer)
    dummy = pop(asks)
    if is_broken:
        sys.exit(dummy)
"""


@pytest.mark.parametrize("question", ["Initialize", "AutoComplete", "Execute"])
def test_an_answer_that_cannot_be_read_ends_the_conversation(question: str, tmp_path: Path) -> None:
    ours = harness.our_stub("24.10")
    kind = harness.StubKind(
        "broken", (sys.executable, "-c", _STUB), ours.python_lib, "24.10", {"BROKEN": question}
    )
    request = make_request(np.zeros(1, dtype=np.float32))
    with harness.start(kind, tmp_path, "", initialize=question == "Execute") as stub:
        with pytest.raises(_host.ProtocolError, match="lies outside of shared-memory region"):
            if question == "Initialize":
                stub.channel.initialize({}, ANSWER_TIMEOUT)
            elif question == "AutoComplete":
                stub.channel.auto_complete("{}", ANSWER_TIMEOUT)
            else:
                stub.channel.execute([request], ANSWER_TIMEOUT)
        assert stub.process.wait(ANSWER_TIMEOUT) == 0
        with pytest.raises(_host.ProtocolError):
            stub.channel.execute([make_request(np.zeros(1, dtype=np.float32))], ANSWER_TIMEOUT)
