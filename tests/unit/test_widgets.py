"""What all views share: updates only while shown, text where widgets are not, colours by variables alone."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import workbench
from tests.support.waiting import until
from workbench.widgets import base
from workbench.widgets.updater import Updater


class _Plain(base.View):
    _esm = "export default { render() {} }"
    _css = ""


def test_the_updater_has_no_thread_until_a_view_is_shown_and_none_when_the_last_is_hidden() -> None:
    calls: list[str] = []
    updater = Updater(lambda: calls.append(threading.current_thread().name))
    assert not updater.running
    updater.shown("a")
    updater.shown("b")
    until(lambda: len(calls) >= 2)
    assert set(calls) == {"workbench-view"}
    updater.hidden("a")
    updater.hidden("b")
    until(lambda: not updater.running)
    count = len(calls)
    time.sleep(0.6)
    assert len(calls) == count
    updater.shown("c")
    until(lambda: len(calls) > count)
    updater.close()
    assert not updater.running


def test_the_updater_keeps_its_rate_and_gives_a_slow_source_more_rest() -> None:
    starts: list[float] = []

    def slow() -> None:
        starts.append(time.monotonic())
        time.sleep(0.2)

    updater = Updater(slow)
    updater.shown("a")
    until(lambda: len(starts) >= 3)
    updater.close()
    assert min(np.diff(starts)) >= 0.75
    with pytest.raises(ValueError, match="at most 4 times"):
        Updater(slow, hz=5)


def test_a_view_follows_its_source_while_shown_and_says_why_it_stopped() -> None:
    states: list[dict[str, Any]] = [{"n": 1}, {"n": 2}]

    def poll() -> dict[str, Any] | None:
        if not states:
            raise RuntimeError("the region is gone")
        return states.pop(0)

    view = _Plain({"text/plain": "Thing"}, {"n": 0}, poll)
    assert not view.updating
    view._handle_custom_msg({"kind": "shown", "view": "v"}, [])
    until(lambda: not view.updating and bool(view.problem))
    assert view.data == {"n": 2}
    assert view.problem == "not updated any more: the region is gone"
    view.close()


def test_a_view_shows_its_results_own_text_where_widgets_are_not() -> None:
    view = _Plain({"text/plain": "Thing: 1", "text/html": "<pre>Thing: 1</pre>"}, {})
    data, _ = view._repr_mimebundle_()
    assert data["text/plain"] == "Thing: 1"
    assert data["text/html"] == "<pre>Thing: 1</pre>"
    assert "application/vnd.jupyter.widget-view+json" in data
    view.close()


def test_messages_for_controls_reach_the_view() -> None:
    seen: list[tuple[str, Any]] = []

    class Controlled(_Plain):
        def act(self, kind: str, content: Any) -> None:
            seen.append((kind, content["line"]))

    view = Controlled({}, {})
    view._handle_custom_msg({"kind": "line", "line": 7}, [])
    view._handle_custom_msg("nonsense", [])
    view._handle_custom_msg({}, [])
    assert seen == [("line", 7)]
    view.close()


@pytest.mark.parametrize("name", sorted(path.stem for path in base._FOLDER.glob("*_view.js")))
def test_modules_load_nothing_and_stay_small(name: str) -> None:
    text = base.module(name)
    for forbidden in (
        "import ",
        "import(",
        "fetch(",
        "XMLHttpRequest",
        "WebSocket",
        "http:",
        "https:",
        "eval(",
    ):
        assert forbidden not in text.replace("http://www.w3.org/2000/svg", ""), forbidden
    assert "export default" in text
    assert len(text) + len(base.style(name)) < 100_000


def test_views_and_panel_style_nothing_of_each_other() -> None:
    """Both are on one page. A height that the panel gave its map once put a view's map under its legend."""
    root = Path(workbench.__file__).parents[1]
    panel = "".join(each.read_text() for each in (root / "labextension" / "style").glob("*.css"))
    views = "".join(each.read_text() for each in (root / "workbench" / "widgets").glob("*.css"))
    names = re.compile(r"\.(jp-Triton[\w-]+)")
    assert set(names.findall(panel)) & set(names.findall(views)) == set()
