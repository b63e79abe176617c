"""What models log and print outside requests: a ring of records."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar
from dataclasses import dataclass, replace
from pathlib import PurePath

__all__ = ["OUTPUT_TO_LOGS", "LogRecord", "LogRing", "OutputRoute"]

LEVELS = ("info", "warning", "error", "verbose")

# What a stub writes to stderr before its log queue runs: `I1123 09:08:48.480365 4086 model.py:8]  text`.
_LOG_LINE = re.compile(
    r"(?P<level>[IWEFV])\d{4} [0-9:.]+ \d+ (?P<file>[^\s:]+):(?P<line>\d+)\]\s+(?P<text>.*)$"
)
# Lines that go on with such a message: the frames of an exception.
_LOG_MORE = re.compile(r"$|At:$|  \S.*\(\d+\): ")
# What faulthandler prints of a crash. It has addresses and paths in it, and its frames go into the crash
# report.
_DUMP_START = re.compile(r"Fatal Python error: |(Current thread|Thread) 0x[0-9a-f]+ .*most recent call first")
_DUMP_MORE = re.compile(
    r"$|  File \"|  \.\.\.$|(Current thread|Thread) 0x|Extension modules: |<invalid frame>"
)
_LETTERS = {"I": "info", "W": "warning", "E": "error", "F": "error", "V": "verbose"}


#: From the least important to the most; what was printed outside requests counts as information.
_RANKS = {"verbose": 0, "output": 1, "info": 1, "warning": 2, "error": 3}


@dataclass(frozen=True)
class LogRecord:
    """One line. ``level`` is info, warning, error, verbose, or output for what was printed; ``seq`` is its
    number in the ring. ``raw`` is the text as the model's process sent it, where ``text`` names the cell in
    its place.
    """

    model: str
    level: str
    text: str
    file: str = ""
    line: int = 0
    seq: int = 0
    raw: str = ""

    def __str__(self) -> str:
        place = f" {PurePath(self.file).name}:{self.line}" if self.file else ""
        return f"[{self.model}] {self.level.upper()}{place} {self.text}"

    def is_at_least(self, level: str) -> bool:
        """Whether it is as important as a level."""
        return _RANKS[self.level] >= _RANKS[level]


class LogRing:
    """The last records of all models, oldest first. Thread-safe."""

    def __init__(self, size: int = 2000) -> None:
        self._records: deque[LogRecord] = deque(maxlen=size)
        self._lock = threading.Lock()
        self._count = 0  # of all records there ever were
        self._listeners: tuple[Callable[[LogRecord], None], ...] = ()
        self._end_following: Callable[[], None] = lambda: None

    @property
    def dropped(self) -> int:
        """How many records are gone: pushed out by later ones, or cleared."""
        with self._lock:
            return self._count - len(self._records)

    def add(self, record: LogRecord) -> None:
        with self._lock:
            self._count += 1
            record = replace(record, seq=self._count)
            self._records.append(record)
            listeners = self._listeners
        for each in listeners:
            each(record)

    def records(self, model: str = "", count: int = 0, level: str = "verbose") -> list[LogRecord]:
        """The last `count` (0: all), of one model or of all, that are at least of a level."""
        with self._lock:
            found = [
                each
                for each in self._records
                if (not model or each.model == model) and each.is_at_least(level)
            ]
        return found[-count:] if count else found

    def clear(self, model: str = "") -> None:
        """Forget the records of a model, or all."""
        with self._lock:
            kept = [each for each in self._records if model and each.model != model]
            self._records.clear()
            self._records.extend(kept)

    def subscribe(self, listener: Callable[[LogRecord], None]) -> Callable[[], None]:
        """Call `listener` with each record from now on, from any thread; it must not raise.

        Returns:
            What ends that.
        """
        with self._lock:
            self._listeners = (*self._listeners, listener)

        def end() -> None:
            with self._lock:
                self._listeners = tuple(each for each in self._listeners if each is not listener)

        return end

    def follow(self, show: Callable[[LogRecord], None]) -> None:
        """Subscribe `show` in the place of whoever followed before: there is one at a time."""
        self.unfollow()
        self._end_following = self.subscribe(show)

    def unfollow(self) -> None:
        """End what `follow` began. Idempotent."""
        self._end_following()
        self._end_following = lambda: None


#: Set in a context whose requests no cell made: what models print for them goes to the logs.
OUTPUT_TO_LOGS: ContextVar[bool] = ContextVar("output_to_logs", default=False)


class OutputRoute:
    """Where the lines one stub prints go: to the cell that asked, or to the logs.

    ``context`` is the context of the request being served (None: no request). A notebook finds the cell to
    print under through it, also from the thread that reads the pipe.
    """

    __slots__ = ("_more", "context", "logs", "model", "sink")

    def __init__(
        self, model: str, logs: LogRing, sink: Callable[[], Callable[[str, str], None] | None]
    ) -> None:
        self.model = model
        self.logs = logs
        self.sink = sink
        self.context: Context | None = None
        self._more: re.Pattern[str] | None = None  # what a line looks like that belongs to the one before

    def __call__(self, line: str) -> None:
        if self._more is not None:
            if self._more.match(line):
                self.logs.add(LogRecord(self.model, "output", line))
                return
            self._more = None
        match = _LOG_LINE.match(line)
        if _DUMP_START.match(line):
            self._more = _DUMP_MORE
            self.logs.add(LogRecord(self.model, "error", line))
            return
        if match:
            self._more = _LOG_MORE
            self.logs.add(
                LogRecord(
                    self.model, _LETTERS[match["level"]], match["text"], match["file"], int(match["line"])
                )
            )
            return
        context, sink = self.context, self.sink()
        if context is None or sink is None or context.get(OUTPUT_TO_LOGS, False):
            self.logs.add(LogRecord(self.model, "output", line))
        else:
            context.copy().run(sink, self.model, line)
