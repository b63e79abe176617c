"""file: more files of a model than model.py."""

from __future__ import annotations

import importlib.machinery
import sys
from typing import TYPE_CHECKING, Any

from workbench import preview
from workbench.capture.cell import source_from_cell
from workbench.magics.arguments import Command, Parser
from workbench.model_source import ModelSource

if TYPE_CHECKING:
    from workbench.magics.triton import Call
    from workbench.session.model import Model

__all__ = ["COMMANDS", "ModelFile"]


class ModelFile:
    """A file beside a model's model.py. ``loaded`` is the model, loaded again with it, or None."""

    def __init__(self, name: str, model: str, loaded: Model | None, notes: tuple[str, ...] = ()) -> None:
        self.name = name
        self.model = model
        self.loaded = loaded
        self.notes = notes

    def __repr__(self) -> str:
        if self.loaded is None:
            head = f"File {self.name} of {self.model}: kept until the model's cell is run"
        else:
            head = f"File {self.name} of {self.model}: {self.loaded.src} serves with it"
        return "\n".join([head, *(f"  note: {each}" for each in self.notes)])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self))


def _arguments(parser: Parser) -> None:
    parser.add_argument("name", metavar="FILE", help="its name, seen from model.py: utils.py")
    parser.add_argument("--model", metavar="NAME", required=True, help="the model it belongs to")


def _file(call: Call) -> ModelFile:
    given = call.arguments
    body = call.body or ""
    if given.name.endswith(".py"):
        first = call.line.split("\n", 1)[0]
        source = source_from_cell(
            f"%%triton {first}", body, label=call.cell_label, leading=call.leading_lines
        )
    else:
        source = ModelSource(body, call.cell_label)  # data: not a line more than the user's
    loaded = call.target.set_file(given.model, given.name, source)
    return ModelFile(given.name, given.model, loaded, tuple(_notes(given.name)))


def _notes(file: str) -> list[str]:
    """What importing the file by its plain name would find in its place."""
    stem = file.removesuffix(".py")
    if stem == file or not stem.isidentifier():
        return []
    installed = [each for each in sys.path if each.endswith(("site-packages", "dist-packages"))]
    taken = stem in sys.stdlib_module_names or importlib.machinery.PathFinder.find_spec(stem, installed)
    if not taken:
        return []
    # A stub appends the model's folder to sys.path, so everything else goes before.
    return [f"import {stem} finds an installed module of that name; write: from . import {stem}"]


COMMANDS = (Command("file", "Put a file beside a model's model.py.", ("cell",), _arguments, _file),)
