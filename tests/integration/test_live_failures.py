"""What a live model does wrong is one clear error, and the model goes on."""

from __future__ import annotations

import gc
import mmap
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from tests.support.gate import Gate
from tests.support.leaks import mapped_regions
from tests.support.live import ECHO, define, source
from workbench.errors import (
    InferTimeout,
    InputError,
    ModelConfigError,
    ModelExecutionError,
    ModelLoadError,
    ShmExhausted,
    StubCrashedError,
    WorkbenchError,
    WorkbenchUsageError,
)
from workbench.session import environments, request_runner
from workbench.session.model import Model
from workbench.targets.live import LiveTarget


def failing(model: Model, *values: float) -> ModelExecutionError:
    with pytest.raises(ModelExecutionError) as caught:
        model.infer(X=list(values) or [1, 0])
    return caught.value


def line_of(model: Model, text: str) -> int:
    return next(number for number, line in enumerate(model.source.splitlines(), start=1) if text in line)


def test_an_exception_is_shown_at_its_line(live: LiveTarget) -> None:
    model = define(live, "q = float(x[0]) / float(x[1])\n" + ECHO)
    error = failing(model)
    assert str(error) == "ZeroDivisionError: float division by zero (m)"
    assert error.frames[-1].line == line_of(model, "q = float")
    assert error.frames[-1].function == "TritonPythonModel.execute"
    assert error.request is not None
    assert error.request.inputs == "X FP32[2]"
    assert model.infer(X=[1, 1])["Y"].tolist() == [1.0, 1.0]
    assert live.statistics("m") == {"success": 1, "failure": 1}


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return (1,)", "Expected a list in the execute return, found type '<class 'tuple'>'. (m)"),
        (
            "return ['a']",
            "Expected an 'InferenceResponse' object in the execute function return list, found type "
            "'<class 'str'>'. (m)",
        ),
        (
            "return []",
            "Number of InferenceResponse objects do not match the number of InferenceRequest objects. "
            "InferenceRequest(s) size is:1, and InferenceResponse(s) size is:0 (m)",
        ),
    ],
)
def test_wrong_returns(live: LiveTarget, body: str, message: str) -> None:
    model = define(live, body)
    error = failing(model)
    assert str(error) == message
    assert error.hint
    assert error.frames[0].line == line_of(model, "def execute")


def test_no_response_is_an_error_not_a_hang(live: LiveTarget) -> None:
    assert "returned no response" in str(failing(define(live, "return [None]")))
    assert "returned no response" in str(failing(define(live, "return None")))


def test_a_decoupled_model_without_a_final_flag(live: LiveTarget) -> None:
    model = define(live, "requests[0].get_response_sender().send(reply(None, x))", decoupled=True)
    error = failing(model)
    assert str(error) == "m sent 1 response but no final flag, and gave up the request"
    assert [each["Y"][0] for each in error.responses] == [1.0]
    kept = define(
        live,
        "self.kept = requests[0].get_response_sender()",
        name="kept",
        decoupled=True,
    )
    with pytest.raises(InferTimeout, match=r"kept sent 0 responses but no final flag within 0\.5 s"):
        kept.infer(X=[1, 1], timeout=0.5)


def test_the_models_own_errors(live: LiveTarget) -> None:
    error = failing(
        define(
            live,
            "return [pb_utils.InferenceResponse(error=pb_utils.TritonError('no user', "
            "pb_utils.TritonError.NOT_FOUND))]",
        )
    )
    assert (str(error), error.code) == ("no user (m)", "NOT_FOUND")


def test_no_execute_fails_at_the_first_request(live: LiveTarget) -> None:
    model = live.define("m", "class TritonPythonModel:\n    pass\n", ["X:FP32[2]"], ["Y:FP32[2]"])
    assert "does not implement `execute` method" in str(failing(model))
    assert "/" not in str(failing(model)).replace("m/1/model.py", "")


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("os._exit(7)", "exit code 7"),
        ("os.kill(os.getpid(), 9)", "SIGKILL"),
        ("import ctypes; ctypes.string_at(0)", "SIGSEGV"),
        ("os.abort()", "SIGABRT"),
    ],
)
def test_a_crash_names_its_cause_and_the_model_comes_back(live: LiveTarget, body: str, reason: str) -> None:
    model = define(live, f"if x[1] == 0:\n    print('last words'); {body}\n" + ECHO)
    for _ in range(2):
        with pytest.raises(StubCrashedError) as caught:
            model.infer(X=[1, 0])
        assert str(caught.value) == f"m died ({reason}) in execute; restarted with {model.src}"
        assert "last words" in caught.value.output
        if reason in ("SIGSEGV", "SIGABRT"):
            assert caught.value.frames[-1].line == line_of(model, "last words")
        assert model.infer(X=[1, 1])["Y"].tolist() == [1.0, 1.0]
        assert model.state == "READY"


def test_a_process_killed_between_requests(live: LiveTarget) -> None:
    model = define(live, ECHO)
    [instance] = live.workbench.hosts["m"].current.instances  # type: ignore[union-attr]
    assert instance.process is not None
    instance.process.kill()
    instance.process.wait(60)
    with pytest.raises(StubCrashedError, match=r"m died \(SIGKILL\) between requests; restarted with src:"):
        model.infer(X=[1, 1])
    assert model.infer(X=[1, 1])["Y"].tolist() == [1.0, 1.0]


def test_every_request_under_way_gets_the_error(live: LiveTarget) -> None:
    model = define(live, "time.sleep(0.3)\nif x[1] == 0: os._exit(1)\n" + ECHO)
    errors: list[Exception] = []

    def ask(value: float) -> None:
        try:
            model.infer(X=[1, value])
        except StubCrashedError as error:
            errors.append(error)

    askers = [threading.Thread(target=ask, args=(value,)) for value in (0, 0, 1)]
    for each in askers:
        each.start()
    for each in askers:
        each.join()
    assert len(errors) == 2  # the one that waited its turn was answered by the new process


def test_a_model_that_dies_again_when_restarted(live: LiveTarget) -> None:
    model = define(
        live,
        "open(self.mark, 'w').close(); os._exit(1)",
        more="""
        def initialize(self, args):
            self.mark = os.path.join(args["model_repository"], "mark")
            if os.path.exists(self.mark):
                raise RuntimeError("not again")
        """,
    )
    with pytest.raises(StubCrashedError, match="it did not come up again"):
        model.infer(X=[1, 1])
    assert model.state == "FAILED"
    lengths = set()
    for _ in range(3):
        with pytest.raises(ModelLoadError, match="RuntimeError: not again") as caught:
            model.infer(X=[1, 1])
        lengths.add(len(caught.traceback))
    assert len(lengths) == 1  # not the traceback of each time before
    define(live, ECHO)
    assert model.infer(X=[1, 1])["Y"].tolist() == [1.0, 1.0]


def test_an_endless_loop_is_stopped_and_shown(live: LiveTarget) -> None:
    model = define(live, "while x[1] == 0: pass\n" + ECHO)
    with pytest.raises(InferTimeout) as caught:
        model.infer(X=[1, 0], timeout=0.5)
    assert str(caught.value) == f"m did not answer within 0.5 s; its process is restarted with {model.src}"
    assert caught.value.frames[-1].line == line_of(model, "while x[1]")
    assert model.infer(X=[1, 1])["Y"].tolist() == [1.0, 1.0]


def test_waiting_for_a_busy_instance_has_an_end_too(live: LiveTarget, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    model = define(live, f"if x[1]:\n    {gate.wait}\n{ECHO}")
    slow = threading.Thread(target=lambda: model.infer(X=[1, 2]))
    slow.start()
    gate.wait_for_model()
    with pytest.raises(
        InferTimeout, match=r"did not get to the request within 0\.2 s: its only instance is busy"
    ):
        model.infer(X=[1, 0], timeout=0.2)
    gate.open()
    slow.join()
    assert model.infer(X=[1, 0])["Y"].tolist() == [1.0, 0.0]


def test_ctrl_c_ends_the_wait_and_the_model_comes_back(live: LiveTarget) -> None:
    model = define(live, "while x[1] == 0: time.sleep(0.01)\n" + ECHO)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        model.infer(X=[1, 0], timeout=60)
    timer.join()
    assert model.infer(X=[1, 1])["Y"].tolist() == [1.0, 1.0]


def test_ctrl_c_while_loading_keeps_the_old_one(live: LiveTarget) -> None:
    model = define(live, ECHO)
    src = model.src
    timer = threading.Timer(0.6, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        define(live, ECHO, more="def initialize(self, args):\n    time.sleep(60)")
    timer.join()
    assert model.src == src
    assert model.infer(X=[1, 1])["Y"].tolist() == [1.0, 1.0]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("instances", [1, 2])
def test_ctrl_c_at_any_moment_of_a_load(instances: int) -> None:
    """A process that was just started must not be forgotten: the fixtures look for what is left.

    In a process of its own: the signal may also hit the tools that run the tests.
    """
    command = [sys.executable, "-m", "tests.support.interrupted_loads", str(instances)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout == "40 loads\n"


def test_ctrl_c_before_a_load_begins_leaves_no_folder(
    live: LiveTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = define(live, ECHO)
    start = threading.Thread.start

    def refused(thread: threading.Thread) -> None:
        if thread.name == "workbench-work":
            raise KeyboardInterrupt
        start(thread)

    before = sorted(live.workbench.folder.rglob("model.py"))
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", refused)
        with pytest.raises(KeyboardInterrupt):
            define(live, ECHO, more="number = 2")
    assert sorted(live.workbench.folder.rglob("model.py")) == before
    assert model.infer(X=[1, 1])["Y"].tolist() == [1.0, 1.0]


def test_ctrl_c_while_unloading_leaves_nothing(live: LiveTarget) -> None:
    define(live, ECHO, more="def finalize(self):\n    time.sleep(60)")
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    begin = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        live.workbench.unload("m")
    assert time.monotonic() - begin < 30
    timer.join()


def test_a_region_that_cannot_grow(live: LiveTarget) -> None:
    model = live.define("m", source(ECHO), ["X:FP32[-1]"], ["Y:FP32[-1]"])
    free = os.statvfs("/dev/shm")
    # More than the file system holds, and no memory behind it until it is read.
    reserved_only = 0x4000  # MAP_NORESERVE, which the module names from Python 3.11 on
    size = free.f_blocks * free.f_frsize + (1 << 20)
    memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | reserved_only)
    huge = np.frombuffer(memory, np.float32)
    with pytest.raises(ShmExhausted, match=r"m needs .*iB, /dev/shm has .*iB free of .*iB"):
        model.infer(X=huge)
    assert model.infer(X=[1])["Y"].tolist() == [1.0]


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (
            "def initialize(self, args):\n    raise ValueError('boom')",
            "ValueError: boom (m); {src} keeps serving",
        ),
        ("def __init__(self):\n    raise ValueError('ctor')", "ValueError: ctor (m); {src} keeps serving"),
        ("def initialize(self, args):\n    sys.exit(3)", "SystemExit: 3 (m); {src} keeps serving"),
        (
            "def initialize(self, args):\n    os._exit(3)",
            "m died (exit code 3) in initialize; {src} keeps serving",
        ),
        (
            "@staticmethod\ndef auto_complete_config(c):\n    return None",
            "auto_complete_config function in model 'm' must return a valid pb.ModelConfig object. (m); "
            "{src} keeps serving",
        ),
        (
            "@staticmethod\ndef auto_complete_config(c):\n    raise KeyError('x')",
            "KeyError: 'x' (m); {src} keeps serving",
        ),
    ],
)
def test_a_failed_reload_keeps_the_old_one(live: LiveTarget, more: str, message: str) -> None:
    model = define(live, ECHO)
    src = model.src
    with pytest.raises(ModelLoadError) as caught:
        define(live, "return []", more=more)
    assert str(caught.value) == message.format(src=src)
    assert caught.value.serving == src
    assert model.state == "READY"
    assert model.src == src
    assert str(model.error) == str(caught.value)
    assert model.infer(X=[1, 1])["Y"].tolist() == [1.0, 1.0]


def test_a_failed_first_load(live: LiveTarget) -> None:
    with pytest.raises(
        ModelLoadError, match=r"ModuleNotFoundError: No module named 'nosuch' \(m\)\n"
    ) as caught:
        live.define("m", "import nosuch\n" + source(ECHO), ["X:FP32[2]"], ["Y:FP32[2]"])
    assert [frame.line for frame in caught.value.frames if frame.is_model] == [1]
    model = live.workbench.model("m")
    assert model.state == "FAILED"
    assert repr(live.workbench.models).splitlines()[1].startswith("  m  FAILED  live  -  ModuleNotFoundError")
    with pytest.raises(ModelLoadError, match="m is not loaded: ModuleNotFoundError"):
        model.infer(X=[1, 1])


@pytest.mark.parametrize("end", ["raise KeyError(1)", "os._exit(3)"])
def test_a_failed_load_keeps_no_memory(live: LiveTarget, end: str) -> None:
    model = define(live, ECHO)
    gc.collect()
    before = mapped_regions("wb_live_")
    with pytest.raises(ModelLoadError):
        define(live, ECHO, more=f"def initialize(self, args):\n    {end}\n")
    gc.collect()
    assert mapped_regions("wb_live_") <= before
    assert model.error is not None
    assert model.error.__traceback__ is None


def test_stub_timeout_seconds_is_honoured(live: LiveTarget) -> None:
    with pytest.raises(ModelLoadError, match=r"m did not get through within 0\.5 s in initialize") as caught:
        define(
            live,
            ECHO,
            more="def initialize(self, args):\n    time.sleep(60)",
            backend_config={"stub-timeout-seconds": 0.5},
        )
    assert caught.value.frames[-1].function == "TritonPythonModel.initialize"


def test_bad_inputs_never_reach_the_model(live: LiveTarget, printed: list[str]) -> None:
    model = define(live, "print('called')\n" + ECHO)
    for inputs in ({}, {"Z": [1, 2]}, {"X": [1, 2, 3]}, {"X": ["a", "b"]}, {"X": [1, 2], "Q": 1}):
        with pytest.raises(InputError):
            model.infer(inputs)
    assert printed == []


def test_bad_definitions(live: LiveTarget) -> None:
    with pytest.raises(ModelConfigError, match="illegal model name 'a b'"):
        define(live, ECHO, name="a b")
    with pytest.raises(ModelConfigError, match="both a configuration and a signature"):
        live.define("m", source(ECHO), ["X:FP32[2]"], config="max_batch_size: 1")
    with pytest.raises(WorkbenchUsageError, match="unknown backend-config key 'shm-default'"):
        define(live, ECHO, backend_config={"shm-default": 1})
    with pytest.raises(WorkbenchUsageError, match="shm-default-byte-size can't be smaller than 1 MiB"):
        define(live, ECHO, backend_config={"shm-default-byte-size": 1})
    assert not live.workbench.hosts


@pytest.mark.parametrize("failure", [OSError(24, "Too many open files"), RuntimeError("odd")])
def test_a_process_that_cannot_be_started_again_is_told(
    live: LiveTarget, monkeypatch: pytest.MonkeyPatch, failure: Exception
) -> None:
    model = define(live, ECHO)
    current = live.workbench.hosts["m"].current
    assert current is not None
    process = current.instances[0].process
    assert process is not None

    def start(*arguments: object, **options: object) -> None:
        raise failure

    monkeypatch.setattr(current.plan.launcher, "start", start)
    process.kill()
    with pytest.raises(StubCrashedError, match="it did not come up again"):
        model.infer(X=[1, 2])
    assert model.state == "FAILED"
    with pytest.raises(WorkbenchError, match=r"Too many open files|RuntimeError: odd"):
        model.infer(X=[1, 2], timeout=5.0)


def test_a_region_there_is_no_room_for(live: LiveTarget) -> None:
    shm = os.statvfs("/dev/shm")
    size = shm.f_blocks * shm.f_frsize + (1 << 30)
    with pytest.raises(ShmExhausted, match=r"m needs .*iB, /dev/shm has .*iB free of") as caught:
        define(live, ECHO, backend_config={"shm-default-byte-size": size})
    assert "shm-default-byte-size" in caught.value.hint
    assert live.workbench.model("m").error is not None


LIMITED = "import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (80 << 20, resource.RLIM_INFINITY))\n"


def test_a_response_that_the_region_cannot_be_made_to_hold(live: LiveTarget) -> None:
    # The stub itself says so, in an error response; the limit stands for a full /dev/shm.
    zeros = "return [reply(r, np.zeros(int(take(r)[0]), np.float32)) for r in requests]"
    model = live.define("m", source(LIMITED + zeros), ["X:FP32[1]"], ["Y:FP32[-1]"])
    for send in (lambda: model.infer(X=[50 << 20]), lambda: model.infer_batch([{"X": [50 << 20]}])):
        with pytest.raises(ShmExhausted, match=r"m needs .*iB, /dev/shm has .*\(File too large\)") as caught:
            send()
        assert "--shm-size" in caught.value.hint
    assert len(model.infer(X=[3])["Y"]) == 3
    ensemble = live.define(
        "e",
        config="""platform: "ensemble"
input { name: "A" data_type: TYPE_FP32 dims: [ 1 ] }
output { name: "B" data_type: TYPE_FP32 dims: [ -1 ] }
ensemble_scheduling { step {
  model_name: "m" model_version: -1
  input_map { key: "X" value: "A" } output_map { key: "Y" value: "B" }
} }""",
    )
    with pytest.raises(ShmExhausted, match=r"m needs .*\(File too large\)"):
        ensemble.infer(A=[50 << 20])


def test_a_model_that_met_a_full_region_in_its_own_code_is_shown_at_its_line(live: LiveTarget) -> None:
    body = "requests[0].get_response_sender().send(reply(None, np.zeros(50 << 20, np.float32)), flags=1)"
    model = live.define("m", source(LIMITED + body), ["X:FP32[2]"], ["Y:FP32[-1]"], decoupled=True)
    error = failing(model)
    assert "Failed to increase the shared memory pool size" in str(error)
    assert error.frames[-1].line == line_of(model, "get_response_sender")
    assert "--shm-size" in error.hint


def test_a_stream_that_is_given_up_says_how_many_came(live: LiveTarget) -> None:
    lost = (
        "sender = requests[0].get_response_sender()\n"
        "for i in range(3):\n    sender.send(reply(None, x + i))\n"
    )
    for name, ending, error, text in (
        ("gone", "del sender", ModelExecutionError, "gone sent 3 responses but no final flag, and gave up"),
        ("kept", "self.kept = sender", InferTimeout, "kept sent 3 responses but no final flag within 0.5 s"),
    ):
        model = define(live, lost + ending, name=name, decoupled=True)
        seen = []
        with pytest.raises(error, match=text):
            for each in model.stream(X=[1, 2], timeout=0.5):
                seen.append(each)
        assert len(seen) == 3


def test_an_unknown_release_is_told_of_a_model_with_an_environment_too(live: LiveTarget) -> None:
    with pytest.raises(WorkbenchUsageError, match="unknown release 'nonsense'"):
        define(
            live,
            ECHO,
            parameters={"EXECUTION_ENV_PATH": sys.prefix},
            backend_config={"release": "nonsense"},
        )
    assert not list(live.workbench.folder.iterdir())  # nor is its folder left


@pytest.mark.parametrize("value", [None, float("inf"), "many", [1]])
def test_a_setting_that_is_no_number(live: LiveTarget, value: object) -> None:
    with pytest.raises(WorkbenchUsageError, match="shm-default-byte-size takes a number, got"):
        define(live, ECHO, backend_config={"shm-default-byte-size": value})


def test_ctrl_c_beside_a_request_gives_its_instance_back(
    live: LiveTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = define(live, ECHO)

    def interrupted() -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(request_runner, "copy_context", interrupted)
        model.infer(X=[1, 2])
    assert model.infer(X=[1, 2], timeout=5.0)["Y"].tolist() == [1.0, 2.0]


def test_ctrl_c_while_an_environment_is_opened_leaves_no_folder(
    live: LiveTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(environments, "environment_at", interrupted)
    with pytest.raises(KeyboardInterrupt):
        define(live, ECHO, parameters={"EXECUTION_ENV_PATH": sys.prefix})
    assert not list(live.workbench.folder.iterdir())
