"""Cells, files and classes → `ModelSource`. Line N of a model.py is line N of the cell it came from."""

from __future__ import annotations

import inspect
import linecache
import re
from pathlib import Path

from workbench.errors import ModelLoadError
from workbench.model_source import ModelSource
from workbench.text_files import read_text

__all__ = ["source_from_cell", "source_from_object", "source_from_this_cell", "split_cell"]

_THIS_CELL = re.compile(r"^[ \t]*%triton\b[^\n]*$", re.MULTILINE)  # no line but its own
_CELL_FILE = re.compile(r"ipykernel_\d+|<ipython-input-|^<stdin>$|^<string>$")


def split_cell(line: str, body: str) -> tuple[str, str]:
    r"""Join a magic line that goes on over lines ending in ``\``, and give it with a body of as many lines.

    The lines taken from the body stay in it as comments, so that line numbers keep their meaning.
    """
    head, rest, taken = line, body, []
    while head.endswith("\\") and rest:
        first, _, rest = rest.partition("\n")
        taken.append(f"# {first}".rstrip())
        head = head[:-1] + " " + first.strip()
    return head, "\n".join([*taken, rest])


def source_from_cell(line: str, body: str, *, label: str = "", leading: int = 0) -> ModelSource:
    """The source a cell magic stands for.

    Args:
        line: The magic's line, ``%%triton model …``; it becomes a comment.
        body: Everything below it.
        label: What to call the cell, ``Cell In[2]``.
        leading: Blank lines above the magic, which IPython drops before the magic sees the cell.
    """
    text = "\n" * leading + f"# {line}".rstrip() + "\n" + body
    return ModelSource(text if text.endswith("\n") else text + "\n", label or "cell")


def source_from_this_cell(cell: str, *, label: str = "") -> ModelSource:
    """The source of an ordinary cell with a ``%triton model … --this-cell`` line in it: that line is
    commented out.
    """
    text = _THIS_CELL.sub(lambda match: "# " + match[0].strip(), cell)
    return ModelSource(text if text.endswith("\n") else text + "\n", label or "cell")


def source_from_object(source: str | Path | type) -> ModelSource:
    """The source of a model given as text, as a file, or as a class.

    A class brings the whole cell or file it stands in, since its methods use the imports there.

    Raises:
        ModelLoadError: a file cannot be read, or a class's source is not to be had.
    """
    if isinstance(source, Path):
        return ModelSource(read_text(source, ModelLoadError), source.name)
    if isinstance(source, type):
        try:
            file = inspect.getsourcefile(source) or ""
            # Not inspect.getsource: the class alone would lack its imports.
            lines = linecache.getlines(file)
        except (OSError, TypeError):
            lines = []
        if not lines:
            raise ModelLoadError(
                f"the source of class {source.__name__} is not available",
                hint="define it in a cell or a file, or give the source as text",
            )
        text = "".join(lines)
        if source.__name__ != "TritonPythonModel":
            text += f"\nTritonPythonModel = {source.__name__}\n"
        return ModelSource(text, "cell" if _CELL_FILE.search(file) else Path(file).name)
    return ModelSource(source if source.endswith("\n") else source + "\n", "source")
