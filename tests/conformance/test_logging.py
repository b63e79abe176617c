"""What models and stubs write, and in which form. Section 8."""

from __future__ import annotations

import re

import numpy as np
import pytest

from tests.conformance.lab import Lab
from tests.conformance.targets import LoadError, Model, Target, config, until

_SOURCE = """\
import triton_python_backend_utils as pb_utils

def say(where):
    logger = pb_utils.Logger
    for name, log in (("info", logger.log_info), ("warn", logger.log_warn),
                      ("error", logger.log_error), ("verbose", logger.log_verbose)):
        log(f"{where} {name}")
    logger.log(f"{where} specific", logger.WARNING)

class TritonPythonModel:
    def initialize(self, args):
        say("initialize")

    def execute(self, requests):
        say("execute")
        return [pb_utils.InferenceResponse([]) for _ in requests]

    def finalize(self):
        say("finalize")
"""
_CONFIG = config([("IN", "INT32", [1])], [("OUT", "INT32", [1])])
_ONE = np.array([1], dtype=np.int32)


def test_levels_and_places(target: Target) -> None:
    """In initialize, execute and finalize: level letter, file, line, text. Verbose is silent by default."""
    mark = target.log_mark()
    model = target.load(_SOURCE, _CONFIG, name="logging")
    for _ in range(2):
        assert model.infer(IN=_ONE).error is None
    model.unload()
    target.wait_log("finalize specific", mark)
    seen = [line for line in target.log_lines(mark) if line.file == "model.py"]

    def one(where: str) -> list[tuple[str, int, str]]:
        levels = (("I", 7, "info"), ("W", 7, "warn"), ("E", 7, "error"), ("W", 8, "specific"))
        return [(letter, line, f"{where} {name}") for letter, line, name in levels]

    assert [(line.level, line.line, line.text) for line in seen] == [
        *one("initialize"), *one("execute"), *one("execute"), *one("finalize")
    ]  # fmt: skip


def test_verbose(target: Target) -> None:
    """Shown at verbosity 1, with the letter I."""
    with target.another(log_verbose=1) as other:
        mark = other.log_mark()
        model = other.load(_SOURCE, _CONFIG, name="logging")
        model.infer(IN=_ONE)
        other.wait_log("execute specific", mark)
        seen = [
            line
            for line in other.log_lines(mark)
            if line.text.endswith(" verbose") and line.file == "model.py"
        ]
    assert [(line.level, line.text) for line in seen] == [
        ("I", "initialize verbose"),
        ("I", "execute verbose"),
    ]


def test_settings_at_run_time(target: Target) -> None:
    """A server's log settings, changed while it runs."""
    if target.host != "server":
        pytest.skip("log settings are the server's")
    import json
    import urllib.request

    from tests.conformance.server_target import ServerTarget

    with target.another() as other:
        assert isinstance(other, ServerTarget)

        def settings(**values: object) -> None:
            address = f"http://{other.server.http_address}/v2/logging"
            urllib.request.urlopen(
                urllib.request.Request(address, json.dumps(values).encode(), method="POST"), timeout=10
            )

        model = other.load(_SOURCE, _CONFIG, name="logging")
        other.wait_log("initialize specific", 0)
        settings(log_verbose_level=1)
        mark = other.log_mark()
        model.infer(IN=_ONE)
        assert "execute verbose" in other.wait_log("execute specific", mark)
        settings(log_info=False, log_warning=False, log_error=False, log_verbose_level=0)
        mark = other.log_mark()
        model.infer(IN=_ONE)
        model.infer(IN=_ONE)
        assert not [line for line in other.log_lines(mark) if line.file == "model.py"]


def test_text_is_kept(target: Target, lab: Lab) -> None:
    mark = target.log_mark()
    lab.run("pb_utils.Logger.log_info('several\\nlines, \"quotes\", back\\\\slash')")
    wanted = 'several\nlines, "quotes", back\\slash'
    assert until(lambda: wanted in [line.text for line in target.log_lines(mark)]), target.log_text(mark)
    (line,) = [line for line in target.log_lines(mark) if line.text == wanted]
    assert line.file == "case.py"


def test_order_and_number(target: Target, lab: Lab) -> None:
    """Asynchronous, in order, none lost."""
    mark = target.log_mark()
    lab.run("for i in range(500): pb_utils.Logger.log_info(f'message number {i}.')")
    target.wait_log("message number 499.", mark)
    seen = [line.text for line in target.log_lines(mark) if line.text.startswith("message number")]
    assert seen == [f"message number {i}." for i in range(500)]


def test_before_the_message_threads(target: Target) -> None:
    """In the constructor: the stub writes itself, all levels, unquoted, with its own pid.

    While model.py is being imported, NVIDIA's module has no Logger yet: a model that logs then does not load there.
    """
    source = """\
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def __init__(self):
        pb_utils.Logger.log_info("in the")
        pb_utils.Logger.log_verbose("in the constructor")
    def execute(self, requests):
        return [pb_utils.InferenceResponse([]) for _ in requests]
"""
    mark = target.log_mark()
    model = target.load(source, _CONFIG, name="early")
    text = target.wait_log("in the constructor", mark)
    if target.host == "live":  # which has taken the lines apart
        lines = [(each.line, each.text) for each in target.log_lines(mark) if each.file == "model.py"]
        assert lines == [(4, "in the"), (5, "in the constructor")]
        return
    for line, words in ((4, "in the"), (5, "in the constructor")):
        found = re.search(
            rf"^I\d{{4}} \d\d:\d\d:\d\d\.\d{{6}} (\d+) model\.py:{line}\]  {words}$", text, re.MULTILINE
        )
        assert found, text
        assert int(found[1]) == model.pid
    target.drop(model.name)


def test_standard_error(target: Target, lab: Lab) -> None:
    mark = target.log_mark()
    lab.run("print('straight to stderr', file=sys.stderr)")
    assert "straight to stderr" in target.wait_log("straight to stderr", mark)


def test_standard_output_by_the_line(target: Target, lab: Lab) -> None:
    """Prints appear when they are made; with NVIDIA's stub only once it exits."""
    if target.stub == "nvidia":
        pytest.skip("NVIDIA's stub: stdout is block-buffered, prints appear when the process ends")
    mark = target.log_mark()
    lab.run("print('straight to stdout')")
    assert "straight to stdout" in target.wait_log("straight to stdout", mark)


def test_lines_of_a_failed_load(target: Target) -> None:
    source = "class TritonPythonModel:\n    def initialize(self, args):\n        raise ValueError('loud')\n"
    model = target.load(source, _CONFIG, name="loud", loaded=False)
    mark = target.log_mark()
    with pytest.raises(LoadError):
        target.load_named(model.name)
    text = target.wait_log("ValueError: loud", mark)
    assert "Failed to initialize Python stub: ValueError: loud" in text
    if target.host == "server":
        assert f"failed to load '{model.name}' version 1: Internal: ValueError: loud" in text


def test_finalize_messages(target: Target) -> None:
    source = """\
import triton_python_backend_utils as pb_utils
class TritonPythonModel:
    def execute(self, requests):
        return [pb_utils.InferenceResponse([]) for _ in requests]
    def finalize(self):
        for i in range(3):
            pb_utils.Logger.log_info("Finalize invoked")
            pb_utils.Logger.log_info("Finalize complete...")
"""
    mark = target.log_mark()
    model: Model = target.load(source, _CONFIG, name="farewell")
    model.unload()
    text = target.wait_log("Finalize complete...", mark, count=3)
    assert (text.count("Finalize invoked"), text.count("Finalize complete...")) == (3, 3)
