"""Results and errors on standard output and standard error, as text or as JSON."""

from __future__ import annotations

import json
import sys
from typing import Any

from workbench.errors import WorkbenchError

__all__ = ["show", "show_error"]


def show(result: Any, as_json: bool) -> None:
    """Print a result; nothing for None.

    Args:
        result: Anything a verb gives. As JSON it is what its ``to_data()`` gives.
    """
    if result is None:
        return
    print(json.dumps(result.to_data(), indent=2, ensure_ascii=False) if as_json else result)


def show_error(error: WorkbenchError, as_json: bool = False) -> None:
    """Print an error with the lines of the model that it happened at; as JSON to standard output."""
    if as_json:
        frames = [
            {"place": each.label or each.file, "line": each.line, "function": each.function}
            for each in getattr(error, "frames", ())
        ]
        said = {"type": type(error).__name__, "text": str(error), "hint": error.hint, "frames": frames}
        print(json.dumps({"error": said}, indent=2, ensure_ascii=False))
        return
    lines = error.render()
    lines[0] = f"workbench: error: {lines[0].removeprefix(f'{type(error).__name__}: ')}"
    if error.hint:
        lines[-1] = lines[-1].lstrip()
    print("\n".join(lines), file=sys.stderr)
