"""The magics of a notebook's cells, read and acted on without a kernel: what `workbench extract` does."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from workbench.capture import split_cell
from workbench.capture.cell_names import CellNames
from workbench.capture.notebook import Cell, read_cells
from workbench.errors import WorkbenchError, WorkbenchUsageError
from workbench.magics.arguments import split
from workbench.magics.triton import COMMANDS, Call
from workbench.model_source import ModelEntry
from workbench.suggest import did_you_mean, listing
from workbench.targets.static import static_target

__all__ = ["cell_entries", "missing_model", "notebook_entries"]

_LINE = re.compile(r"^\s*(?:[A-Za-z_]\w*\s*=\s*)?%triton\s+(\S.*)$")


@dataclass(frozen=True)
class _Shell:
    """As much of a shell as these commands ask for."""

    user_ns: CellNames


@dataclass(frozen=True)
class _CellCall(Call):
    """A use of the magic that stands in a file."""

    cell: Cell

    @property
    def cell_label(self) -> str:
        return f"cell {self.cell.number}"

    @property
    def raw_cell(self) -> str:
        return self.cell.text


def notebook_entries(path: Path, work: Path, only: Sequence[str] = ()) -> list[ModelEntry]:
    """The models of a notebook; arguments and errors as of `cell_entries`.

    Raises:
        WorkbenchUsageError: the file cannot be read, or is no notebook.
    """
    return cell_entries(read_cells(path), path.absolute().parent, work, path.name, only)


def missing_model(title: str, name: str, known: Sequence[str]) -> WorkbenchUsageError:
    """The error for a model that a notebook does not have.

    Args:
        title: What to call the notebook.
        name: The model that was asked for.
        known: Those it has.
    """
    return WorkbenchUsageError(f"{title} has no model {name!r}{did_you_mean(name, known)}; {listing(known)}")


def cell_entries(
    cells: Sequence[Cell], folder: Path, work: Path, title: str, only: Sequence[str] = ()
) -> list[ModelEntry]:
    """The models of some cells, as running them from top to bottom would leave them.

    Args:
        cells: The notebook's code cells.
        folder: Where it lies: relative ``--file`` paths begin there.
        work: A folder for the models, which the caller removes.
        title: What to call the notebook in errors.
        only: Names of models; all by default.

    Raises:
        WorkbenchUsageError: there is no model, or a cell's arguments are wrong.
        ModelConfigError, ModelLoadError: a model's configuration or source is wrong.
    """
    target = static_target(work)
    names = CellNames()
    seen: list[str] = []
    for cell in cells:
        for line, body in _uses(cell):
            try:
                words = split(line)
                command = COMMANDS.get(words[0]) if words else None
                if command is None or command.name not in ("model", "config", "file"):
                    continue
                given = command.parser().read(words[1:])
                if given.help or (command.name == "config" and body is None):
                    continue
                owner = given.model if command.name == "file" else given.name
                if command.name == "model":
                    seen.append(owner)
                if only and command.name != "config" and owner not in only:
                    continue
                if command.name == "model" and given.file:
                    # As a kernel takes it, which runs in the notebook's folder.
                    given.file = str(folder / Path(given.file).expanduser())
                command.run(_CellCall(_Shell(names), target, given, line, body, cell))
            except WorkbenchError as error:
                error.args = (f"{title} cell {cell.number}: {error}",)
                raise
        names.add(cell.text)
    hosts = target.workbench.hosts
    missing = [each for each in only if each not in hosts]
    if missing:
        raise missing_model(title, missing[0], seen)
    if not hosts:
        raise WorkbenchUsageError(
            f"{title} holds no models", hint="a model is a cell that begins with %%triton model NAME"
        )
    return [host.entry for name, host in sorted(hosts.items()) if not only or name in only]


def _uses(cell: Cell) -> Iterator[tuple[str, str | None]]:
    """The magic's uses in a cell: line without ``%triton``, and the body of a cell magic."""
    lines = cell.text.split("\n")
    first = next((number for number, each in enumerate(lines) if each.strip()), 0)
    if lines[first].startswith("%%"):
        name, _, line = lines[first][2:].rstrip().partition(" ")
        if name == "triton":
            line, body = split_cell(line, "\n".join(lines[first + 1 :]))
            yield line.rstrip().removesuffix(";"), body
        return
    number = 0
    while number < len(lines):
        match = _LINE.match(lines[number])
        number += 1
        if match is None:
            continue
        line = match[1]
        while line.endswith("\\") and number < len(lines):
            line = f"{line[:-1]} {lines[number].strip()}"
            number += 1
        yield line.rstrip().removesuffix(";"), None
