"""A trace as a result: text, table, data, files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench import preview
from workbench.trace.critical import mark_critical
from workbench.trace.span import CALLS, Span

__all__ = ["Trace"]

_ROWS = 200  # of the text; the file has all


class Trace:
    """One request to a model and every call it led to.

    Attributes:
        root: The request.
        id: 32 hex digits, as OpenTelemetry has them.
        started_unix_ns: When it began, nanoseconds since 1970.
        notes: What could not be seen.
    """

    def __init__(
        self,
        root: Span,
        *,
        id: str,
        started_unix_ns: int = 0,
        notes: tuple[str, ...] = (),
        times: bool = False,
    ) -> None:
        self.root = root
        self.id = id
        self.started_unix_ns = started_unix_ns
        self.notes = notes
        self._times = times
        mark_critical(root)

    @property
    def model(self) -> str:
        return self.root.model

    @property
    def ok(self) -> bool:
        """The request succeeded; calls inside may have failed all the same, see `errors`."""
        return self.root.error is None

    @property
    def calls(self) -> list[Span]:
        """Every call, those of called models too, callers before what they called."""
        return [each for each in self.root.walk() if each.kind in CALLS]

    @property
    def errors(self) -> list[Span]:
        """The request and the calls that failed, outermost first."""
        return [each for each in self.root.walk() if each.error is not None]

    def critical_path(self) -> list[Span]:
        """The spans that the request's duration is made of, in order of their start."""
        return sorted((each for each in self.root.walk() if each.critical), key=lambda each: each.start_ns)

    def with_times(self, times: bool = True) -> Trace:
        """The same trace, shown with durations."""
        return Trace(
            self.root,
            id=self.id,
            started_unix_ns=self.started_unix_ns,
            notes=self.notes,
            times=times,
        )

    # -- files ---------------------------------------------------------------------------------------------

    def save(self, path: str | Path, format: str = "event") -> Path:
        """Write it to a file that other viewers open.

        Args:
            path: The file; overwritten.
            format: ``event``: trace-event JSON, for Perfetto and chrome://tracing. ``otlp``: OTLP JSON, for
                anything that speaks OpenTelemetry.

        Raises:
            WorkbenchUsageError: another format.
        """
        from workbench.trace.files import write

        return write(self, Path(path), format)

    @classmethod
    def load(cls, path: str | Path) -> Trace:
        """Read what `save` wrote, in either format.

        Raises:
            WorkbenchError: the file is missing, or not ours.
        """
        from workbench.trace.files import read

        return read(Path(path))

    def to_data(self) -> dict[str, Any]:
        """JSON for widgets, the JupyterLab panel and ``--json``."""
        return {
            "id": self.id,
            "model": self.model,
            "ok": self.ok,
            "error": self.root.error,
            "wall_ns": self.root.duration_ns,
            "calls": len(self.calls),
            "root": self.root.to_data(),
        }

    @classmethod
    def from_data(cls, data: Mapping[str, Any], started_unix_ns: int = 0) -> Trace:
        return cls(Span.from_data(data["root"]), id=str(data["id"]), started_unix_ns=started_unix_ns)

    # -- shown ---------------------------------------------------------------------------------------------

    def view(self) -> None:
        """Display tree and timeline as a widget; where widgets are not, the same text and table."""
        from workbench.widgets.trace_view import show

        show(self)

    def _head(self) -> str:
        kinds = [each.kind for each in self.calls]
        counts = []
        if "step" in kinds:
            count = kinds.count("step")
            counts.append(f"{count} step{'' if count == 1 else 's'}")
        if "bls" in kinds or not counts:
            count = kinds.count("bls")
            counts.append(f"{count or 'no'} BLS call{'' if count == 1 else 's'}")
        return f"Trace {self.model}: {'ok' if self.ok else 'failed'}, {', '.join(counts)}"

    def _rows(self) -> list[tuple[str, str, str, str]]:
        """(branches and model, how, signature, time) of every line."""
        rows: list[tuple[str, str, str, str]] = []

        def add(span: Span, first: str, further: str) -> None:
            rows.append(
                (
                    first + span.model,
                    span.how_text,
                    span.signature,
                    preview.format_seconds(span.duration_ns / 1e9),
                )
            )
            calls = span.calls
            for each in calls:
                last = each is calls[-1]
                add(each, further + ("`- " if last else "|- "), further + ("   " if last else "|  "))

        add(self.root, "", "")
        return rows

    def __repr__(self) -> str:
        rows = self._rows()
        cut, rows = len(rows) - _ROWS, rows[:_ROWS]
        # The two columns of a call are two blanks apart, the tensors one more.
        calls = rows[1:]
        how = max((len(each[1]) for each in calls), default=0)
        names = max((len(each[0]) for each in calls), default=0)
        width = max(names + 2 + how if calls else 0, len(rows[0][0]))
        lines = [self._head()]
        longest = max(len(each[2]) for each in rows)
        for name, form, signature, time in rows:
            left = f"{name.ljust(names)}  {form}" if form else name
            line = f"{left.ljust(width)}   {signature}"
            lines.append(f"{line.ljust(width + 3 + longest)}   {time}" if self._times else line)
        if cut > 0:
            lines.append(f"... {cut} more")
        return "\n".join([*lines, *(f"note: {each}" for each in self.notes)])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        head = ["model", "how", "tensors", *(["time"] if self._times else [])]
        rows = self._rows()
        shown = [each if self._times else each[:3] for each in rows[:_ROWS]]
        notes = list(self.notes)
        if len(rows) > _ROWS:
            notes.append(f"{len(rows) - _ROWS} more")
        table = preview.html_table(shown, head, caption=self._head())
        return preview.mimebundle(repr(self), "\n".join([table, *preview.html_notes(notes)]))
