"""From what a stub says of an exception in full to frames with variables, and the chain of causes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from workbench.errors import Cause, Frame
from workbench.model_source import ModelEntry

__all__ = ["Told", "make_frames", "told"]

_LINKS = {"cause": "caused by", "context": "while handling"}


@dataclass(frozen=True)
class Told:
    """What a chain of exceptions says."""

    frames: tuple[Frame, ...]
    causes: tuple[Cause, ...]


def make_frames(entry: ModelEntry, raw: Sequence[tuple[str, int, str]]) -> list[Frame]:
    """Frames with the cell's name and lines for the model's file."""
    frames = []
    model_file, folder = str(entry.code_file), f"{entry.path}/"
    for file, line, function in raw:
        if file == model_file:
            source = entry.source
            frames.append(Frame(file, line, source.qualified(line, function), source.label, source.lines))
        elif file.startswith(folder):
            inside = file.removeprefix(folder)
            beside = dict(entry.source.siblings).get(inside.partition("/")[2])
            if beside is None:
                frames.append(Frame(file, line, function, inside))
            else:
                frames.append(Frame(file, line, beside.qualified(line, function), beside.label, beside.lines))
        else:
            frames.append(Frame(file, line, function, file, is_model=False))
    return frames


def told(entry: ModelEntry, chain: Sequence[dict[str, Any]], clean: Callable[[str], str]) -> Told:
    """Frames of the exception itself, and everything behind it.

    Args:
        entry: The model.
        chain: As `workbench._stub_failures.describe` gives it; not empty.
        clean: Takes what varies from run to run out of a text.
    """
    first, *others = chain
    causes = [Cause("note:", clean(note)) for note in first["notes"]]
    for each in others:
        link = _LINKS.get(each["link"]) or f"exception {each['link']}:"
        text = f"{each['type']}: {each['text']}" if each["text"] else each["type"]
        causes.append(Cause(link, clean(text), tuple(_frames(entry, each))))
        causes += [Cause("note:", clean(note)) for note in each["notes"]]
    return Told(tuple(_frames(entry, first)), tuple(causes))


def _frames(entry: ModelEntry, described: dict[str, Any]) -> list[Frame]:
    rows = described["frames"]
    places = make_frames(entry, [(file, line, function) for file, line, function, _ in rows])
    frames = [replace(place, locals=dict(row[3])) for place, row in zip(places, rows, strict=True)]
    if "syntax" in described:
        file, line = described["syntax"]
        frames += make_frames(entry, [(file, line, "<module>")])
    return frames
