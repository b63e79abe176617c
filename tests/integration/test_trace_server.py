"""Traces of requests to a real server: its own spans and what our stubs write down, in one tree."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.pipeline import (
    PIPELINE,
    PIPELINE_TEXT,
    PIPELINE_TREE,
    check_nesting,
    define_pipeline,
    shape_of,
)
from workbench.errors import InputError, ModelNotFound
from workbench.server_install import ServerInstall
from workbench.session.workbench import Workbench
from workbench.targets.live import LiveTarget
from workbench.targets.local import LocalTarget

pytestmark = pytest.mark.server


def _define_broken(live: LiveTarget) -> None:
    text = PIPELINE.replace("            out.append(", "            score /= 0\n            out.append(")
    live.define("broken", text, ["TEXT:STRING[1]"], ["SCORE:FP32[1]"])


@pytest.fixture(scope="module")
def server(triton_2410: ServerInstall) -> Iterator[LocalTarget]:
    """A server with the pipeline on it."""
    with Workbench() as workbench:
        live = LiveTarget(workbench)
        define_pipeline(live.define)
        _define_broken(live)
        server = LocalTarget(install=triton_2410)
        try:
            for host in workbench.hosts.values():
                server.push(host.entry)
            yield server
        finally:
            server.close()


def test_the_tree_is_the_one_written_by_hand_as_on_the_live_host(server: LocalTarget) -> None:
    for _ in range(2):
        trace = server.trace("pipeline", {"TEXT": ["hi"]})
        assert repr(trace) == PIPELINE_TEXT
        assert shape_of(trace.root) == PIPELINE_TREE
        check_nesting(trace)
        assert {each.cell for each in trace.calls} == {"source"}


def test_only_what_is_traced_is_recorded(server: LocalTarget) -> None:
    server.trace("pipeline", {"TEXT": ["hi"]})
    assert server._tracing is not None
    before = server._tracing._records("")
    server.infer("pipeline", {"TEXT": ["hi"]})
    assert before == server._tracing._records("") == []
    with server.process.http() as client:
        assert client.get_trace_settings("pipeline")["trace_level"] == ["OFF"]


def test_a_failure_is_part_of_the_trace_as_on_the_live_host(server: LocalTarget) -> None:
    with Workbench() as workbench:
        live = LiveTarget(workbench)
        define_pipeline(live.define)
        _define_broken(live)
        here = workbench.models["broken"].trace(TEXT=["hi"])
    there = server.trace("broken", {"TEXT": ["hi"]})
    assert repr(there) == repr(here)
    assert here.root.error == there.root.error == "ZeroDivisionError: float division by zero"
    assert [each.model for each in there.errors] == ["broken"]


def test_what_cannot_be_sent_is_no_trace(server: LocalTarget) -> None:
    with pytest.raises(InputError):
        server.trace("pipeline", {"TEXT": ["hi", "there"]})
    with pytest.raises(ModelNotFound):
        server.trace("absent", {"TEXT": ["hi"]})
