"""Traces as files: which format is which, and reading ours back."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchError, WorkbenchUsageError
from workbench.trace import event_format, otlp_format
from workbench.trace.span import Span
from workbench.trace.trace import Trace

__all__ = ["FORMATS", "dumps", "read", "write"]

FORMATS = {"event": event_format, "otlp": otlp_format}


def dumps(trace: Trace, format: str) -> str:
    """The text of a file. Raises WorkbenchUsageError for an unknown format."""
    if format not in FORMATS:
        raise WorkbenchUsageError(f"unknown trace format {format!r}", hint=f"formats: {', '.join(FORMATS)}")
    return json.dumps(FORMATS[format].encode(trace), separators=(",", ":"))


def write(trace: Trace, path: Path, format: str) -> Path:
    """See `Trace.save`."""
    text = dumps(trace, format)
    try:
        path.expanduser().write_text(text, encoding="utf-8")
    except OSError as error:
        raise WorkbenchError(f"cannot write {path.name}: {error.strerror}") from None
    return path


def read(path: Path) -> Trace:
    """See `Trace.load`."""
    try:
        data = json.loads(path.expanduser().read_text(encoding="utf-8"))
    except OSError as error:
        raise WorkbenchError(f"cannot read {path.name}: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise _foreign(path) from None
    if not isinstance(data, dict):
        raise _foreign(path)
    try:
        for each in FORMATS.values():
            if each.KEY in data:
                id, started, rows = each.decode(data)
                return Trace(_tree(rows), id=id, started_unix_ns=started)
    except (KeyError, IndexError, TypeError, ValueError, RecursionError):  # or a span below itself
        pass
    raise _foreign(path)


def _tree(rows: list[tuple[str, dict[str, Any]]]) -> Span:
    """From (id of the parent, data of a span), in any order but siblings in theirs."""
    spans = {str(data["id"]): Span.from_data(data) for _, data in rows}
    roots: list[Span] = []
    for parent, data in rows:
        home = spans.get(parent)
        (home.children if home is not None else roots).append(spans[str(data["id"])])
    (root,) = roots
    return root


def _foreign(path: Path) -> WorkbenchError:
    return WorkbenchError(
        f"{path.name} is no trace of the workbench", hint="%triton trace NAME ... --save FILE writes one"
    )
