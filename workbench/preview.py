"""Short, repeatable text for values, sizes and tables, and the same as plain HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import Any

import numpy as np

__all__ = [
    "columns",
    "format_bytes",
    "format_seconds",
    "format_values",
    "html_notes",
    "html_table",
    "mimebundle",
]

_VALUES = 8  # shown of a tensor
_TEXT = 40  # characters shown of one string element


def format_values(array: np.ndarray) -> str:
    """The first eight values on one line, whatever the user's print options are."""
    cut = array.size > _VALUES
    shown = array.reshape(-1)[:_VALUES] if cut else array
    if shown.dtype == np.object_:
        flat = [_element(each) for each in shown.reshape(-1)]
        texts = np.empty(len(flat), dtype=np.object_)
        texts[:] = flat
        shown = texts.reshape(shown.shape)
        formatter: dict[str, Any] | None = {"object": str}
    else:
        formatter = None
    with np.printoptions(
        precision=6, suppress=False, floatmode="maxprec", sign="-", nanstr="nan", infstr="inf", legacy=False
    ):
        text = np.array2string(
            shown,
            max_line_width=100_000,
            threshold=1_000,
            edgeitems=3,
            formatter=formatter,  # type: ignore[arg-type]
        )
    if shown.dtype == np.object_:
        text = text.replace("\n", "")
    else:  # no padding: it would only line up rows that are now one
        text = " ".join(text.split()).replace(" ]", "]").replace("[ ", "[")
    return text[:-1] + " ...]" if cut else text


def _element(value: Any) -> str:
    raw = value if isinstance(value, bytes) else str(value).encode()
    try:
        text = repr(raw.decode())
    except UnicodeDecodeError:
        text = repr(raw)
    return text if len(text) <= _TEXT else text[: _TEXT - 4] + "..." + text[-1]


def format_bytes(count: int) -> str:
    """IEC units, three significant digits: ``1.67 MiB``."""
    size, unit = float(count), "B"
    for unit in ("B", "KiB", "MiB", "GiB", "TiB"):
        if size < 1024 or unit == "TiB":
            break
        size /= 1024
    return f"{_three_digits(size)} {unit}"


def format_seconds(seconds: float) -> str:
    """Three significant digits, in the unit that suits: ``1.23 ms``."""
    for unit, factor in (("s", 1.0), ("ms", 1e3)):
        if seconds * factor >= 0.9995:
            return f"{_three_digits(seconds * factor)} {unit}"
    return f"{_three_digits(seconds * 1e6)} us"


def _three_digits(value: float) -> str:
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def columns(rows: Sequence[Sequence[str]], indent: str = "  ") -> list[str]:
    """Rows as left-aligned columns, two blanks apart, no trailing blanks."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows if i < len(row)) for i in range(max(map(len, rows)))]
    return [
        (indent + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False))).rstrip()
        for row in rows
    ]


def html_table(rows: Iterable[Sequence[str]], head: Sequence[str] = (), caption: str = "") -> str:
    """A bare ``<table>``: no script, no ids, no styles."""
    parts = ["<table>"]
    if caption:
        parts.append(f"<caption>{escape(caption)}</caption>")
    if head:
        parts.append("<tr>" + "".join(f"<th>{escape(cell)}</th>" for cell in head) + "</tr>")
    parts += ["<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows]
    parts.append("</table>")
    return "\n".join(parts)


def html_notes(notes: Iterable[str]) -> list[str]:
    """Notes under a table."""
    return [f"<p>note: {escape(note)}</p>" for note in notes]


def mimebundle(text: str, html: str = "") -> dict[str, str]:
    """What ``_repr_mimebundle_`` of every result gives: text/plain and text/html of the same content."""
    return {"text/plain": text, "text/html": html or f"<pre>{escape(text)}</pre>"}
