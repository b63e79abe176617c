"""The parts of the kernel link that need no kernel."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable
from queue import Empty, SimpleQueue
from typing import Any

import pytest

from tests.support.waiting import until
from workbench import cancelling
from workbench.changes import Changes
from workbench.errors import Frame, ModelLoadError, WorkbenchError, WorkbenchUsageError
from workbench.lab.channel import Channel, fit
from workbench.lab.link import Link
from workbench.lab.log_topic import LogTopic
from workbench.lab.publisher import Publisher
from workbench.lab.topics import Message, ModelsTopic, Topic
from workbench.lab.verbs import Verbs
from workbench.session.logs import LogRecord, LogRing
from workbench.session.model_data import error_data
from workbench.session.workbench import Workbench


class FakeComm:
    """What a front end would get."""

    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []

    def send(self, data: dict[str, Any]) -> None:
        self.sent.append(data)


class Counter(Topic):
    """A topic of a number."""

    name = "counter"

    def __init__(self) -> None:
        self.value = 0
        self.changed: Callable[[], None] = lambda: None
        self.is_open = False

    def open(self, changed: Callable[[], None]) -> None:
        self.changed, self.is_open = changed, True

    def close(self) -> None:
        self.is_open = False

    def news(self) -> Iterable[Message]:
        return [("counter", {"value": self.value})]


def threads() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name == "workbench-lab"]


def test_changes_reach_those_who_listen_until_they_end_it() -> None:
    changes, heard = Changes(), []
    end = changes.subscribe(lambda name, error: heard.append((name, error)))
    error = WorkbenchError("no")
    changes.emit("a", error)
    end()
    end()
    changes.emit("b")
    assert heard == [("a", error)]


def test_messages_are_counted_and_stop_with_the_channel() -> None:
    comm = FakeComm()
    channel = Channel(comm)
    channel.send("hello", {})
    channel.send("log", {"lines": []})
    channel.end()
    channel.send("log", {"lines": [1]})
    assert comm.sent == [
        {"v": 1, "kind": "hello", "seq": 1, "body": {}},
        {"v": 1, "kind": "log", "seq": 2, "body": {"lines": []}},
    ]


@pytest.mark.parametrize(
    "body",
    [
        {"lines": [{"seq": n, "text": "x" * 50} for n in range(5000)], "dropped": 0},
        {"reports": [{"region": "r", "blocks": [{"offset": n, "size": 8} for n in range(9000)]}] * 3},
        {"id": "1", "result": {"text": "x" * 400_000, "data": None}},
        {"traces": [{"root": {"children": [{"id": n, "children": []} for n in range(20_000)]}}]},
    ],
)
def test_message_over_the_limit_is_cut_and_says_so(body: dict[str, Any]) -> None:
    before = json.dumps(body)
    cut = fit(body, 100_000)
    assert 40_000 < len(json.dumps(cut)) <= 100_000 and cut["truncated"] is True
    assert json.dumps(body) == before and fit(body, len(before)) is body
    if "lines" in body:
        assert cut["lines"][-1]["seq"] == 4999  # the newest stay
    if "reports" in body:
        assert len(cut["reports"]) == 3  # blocks go first


def test_error_data_points_at_the_innermost_line_of_the_model() -> None:
    frames = [
        Frame("m.py", 3, "execute", "Cell In[2]"),
        Frame("m.py", 7, "helper", "Cell In[2]"),
        Frame("np.py", 900, "dot", is_model=False),
    ]
    data = error_data(ModelLoadError("m failed", frames=frames, hint="mend it"), "m", "reload")
    assert data == {
        "model": "m",
        "ename": "ModelLoadError",
        "evalue": "m failed",
        "hint": "mend it",
        "line": 7,
        "cell": "Cell In[2]",
        "op": "reload",
    }
    assert error_data(ValueError("x"))["line"] is None


def test_publisher_tells_the_last_state_no_more_often_than_asked() -> None:
    told: list[tuple[float, int]] = []
    publisher = Publisher(lambda kind, body: told.append((time.monotonic(), body["value"])))
    topic = Counter()
    publisher.add(topic, 10)
    until(lambda: len(told) == 1)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        topic.value += 1
        topic.changed()
    last = topic.value
    until(lambda: told[-1][1] == last)
    elapsed = told[-1][0] - told[0][0]
    assert 2 <= len(told) - 1 <= elapsed * 10 + 1

    # Nothing new, nothing told (once more if the last change came as it was being told); nothing followed, no
    # thread.
    time.sleep(0.25)
    count = len(told)
    time.sleep(0.25)
    assert len(told) == count
    publisher.remove(topic)
    assert not topic.is_open
    until(lambda: not threads())


def test_topic_that_fails_does_not_silence_the_others(caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Counter):
        def news(self) -> Iterable[Message]:
            raise OSError("gone")

    told: list[int] = []
    publisher = Publisher(lambda kind, body: told.append(body["value"]))
    good = Counter()
    publisher.add(Broken(), 10)
    publisher.add(good, 10)
    until(lambda: told == [0])
    good.value = 1
    good.changed()
    until(lambda: told == [0, 1])
    publisher.close()
    assert "counter" in caplog.text
    until(lambda: not threads())


def test_models_topic_tells_all_then_what_changed() -> None:
    with Workbench() as workbench:
        woken: list[int] = []
        topic = ModelsTopic(workbench)
        topic.open(lambda: woken.append(1))
        assert list(topic.news()) == [("models", {"models": []})]

        workbench.refused("half", None, WorkbenchError("no model", hint="make one"))
        assert woken
        (kind, body), (error_kind, error) = topic.news()
        assert (kind, error_kind) == ("models", "error")
        assert body["models"][0]["state"] == "FAILED" and body["models"][0]["error"] == {
            **error,
            "op": "load",
        }
        assert list(topic.news()) == []

        workbench.hosts["half"].failures += 1
        assert [kind for kind, _ in topic.news()] == ["model"]
        topic.close()
        woken.clear()
        workbench.add_mock("other", lambda inputs: {})
        assert not woken


def test_log_topic_tells_each_line_once_and_counts_those_that_were_lost() -> None:
    with Workbench() as workbench:
        workbench.logs = LogRing(size=3)
        topic = LogTopic(workbench)
        for number in range(5):
            workbench.logs.add(LogRecord("m", "info", str(number), "/x/model.py", number))
        topic.open(lambda: None)
        ((_, first),) = topic.news()
        assert [each["text"] for each in first["lines"]] == ["2", "3", "4"] and first["dropped"] == 2
        assert list(topic.news()) == []
        workbench.logs.add(LogRecord("m", "info", "5"))
        ((_, second),) = topic.news()
        assert second == {
            "lines": [{"seq": 6, "model": "m", "level": "info", "text": "5", "line": None}],
            "dropped": 0,
        }
        topic.close()


def test_work_that_is_called_off_ends_in_a_wait_and_once() -> None:
    queue: SimpleQueue[int] = SimpleQueue()
    event = threading.Event()
    token = cancelling.CANCELLED.set(event)
    try:
        with pytest.raises(Empty):
            cancelling.get(queue, 0.01)
        threading.Timer(0.05, event.set).start()
        with pytest.raises(KeyboardInterrupt):
            cancelling.get(queue, None)
        queue.put(7)
        assert cancelling.get(queue, None) == 7  # what is done about it may wait
    finally:
        cancelling.CANCELLED.reset(token)
    event.set()
    queue.put(8)
    assert cancelling.get(queue, None) == 8  # in a context that nobody calls off


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("replay", {}),
        ("replay", {"model": 3}),
        ("replay", {"model": "--load"}),
        ("connect", {"url": "http://h", "name": "s", "header_env": {"--as": "x"}}),
        ("subscribe", {}),
        ("models", {}),
    ],
)
def test_verbs_refuse_what_they_do_not_understand(verb: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(WorkbenchUsageError):
        Verbs(None, ["models"]).do(verb, arguments)


def test_features_name_topics_and_verbs() -> None:
    verbs = Verbs(None, ["models"])
    assert {"models", "reload", "replay", "replay_error", "export", "status"} <= set(verbs.features)
    assert verbs.do("list_features", {})["data"] == verbs.features


@pytest.mark.parametrize("kind", ["subscribe", "unsubscribe", "do", "cancel"])
@pytest.mark.parametrize("body", [{}, {"topics": 3}, {"job": "1", "args": 3}, []])
def test_a_message_that_cannot_be_read_changes_nothing(kind: str, body: Any) -> None:
    comm = FakeComm()
    with Workbench() as workbench:
        link = Link(Channel(comm), None, workbench, "session")
        link.greet({"v": [1]})
        link.receive({"v": 1, "kind": kind, "body": body})
        link.close()
    assert [each["kind"] for each in comm.sent] == ["hello"]
