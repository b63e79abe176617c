"""What models log and print outside requests: a ring of records."""

from __future__ import annotations

import re
import threading
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar
from dataclasses import dataclass
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


@dataclass(frozen=True)
class LogRecord:
    """One line. ``level`` is info, warning, error, verbose, or output for what was printed."""

    model: str
    level: str
    text: str
    file: str = ""
    line: int = 0

    def __str__(self) -> str:
        place = f" {PurePath(self.file).name}:{self.line}" if self.file else ""
        return f"[{self.model}] {self.level.upper()}{place} {self.text}"


class LogRing:
    """The last records of all models, oldest first. Thread-safe."""

    def __init__(self, size: int = 2000) -> None:
        self._records: deque[LogRecord] = deque(maxlen=size)
        self._lock = threading.Lock()
        #: Called with each record, from any thread; for views.
        self.on_record: Callable[[LogRecord], None] | None = None

    def add(self, record: LogRecord) -> None:
        with self._lock:
            self._records.append(record)
        if self.on_record is not None:
            self.on_record(record)

    def records(self, model: str = "", count: int = 0) -> list[LogRecord]:
        """The last `count` (0: all), of one model or of all."""
        with self._lock:
            found = [each for each in self._records if not model or each.model == model]
        return found[-count:] if count else found

    def clear(self) -> None:
        with self._lock:
            self._records.clear()


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
