"""Tab completion for ``%triton`` lines: subcommands, options, and names of models, inputs and targets."""

from __future__ import annotations

import argparse
import re
from collections.abc import Mapping, Sequence
from typing import Any

from IPython.core.completer import SimpleCompletion, SimpleMatcherResult, context_matcher

from workbench.magics.arguments import Command
from workbench.targets import servers

__all__ = ["TritonMatcher", "candidates"]

# On a line of its own, as a cell magic, or behind an assignment. IPython's own hook for magics sees only the
# first.
_LINE = re.compile(r"\s*(?:[\w.\[\]'\", ]+=\s*)?%{1,2}triton\s(?P<rest>.*)\Z", re.DOTALL)
_MODEL, _SERVERS = "NAME", ("TARGET", "SERVER")  # as the parsers' help calls them


def candidates(
    line: str, commands: dict[str, Command], models: dict[str, list[str]], servers: Sequence[str] = ()
) -> list[str] | None:
    """What can stand at the end of a line.

    Args:
        line: The line up to the cursor.
        commands: Subcommands by name.
        models: Input names by model name.
        servers: Names of targets.

    Returns:
        Whole words that begin with the last one of the line; None if the line is none of ours, or if what
        stands there is Python or a path.
    """
    match = _LINE.match(line)
    if match is None:
        return None
    words = match["rest"].split(" ")
    word, before = words[-1], [each for each in words[:-1] if each]
    if not before:
        return sorted(name for name in commands if name.startswith(word))
    command = commands.get(before[0])
    if command is None:
        return []
    options = {name: each for each in command.parser()._actions for name in each.option_strings}
    if word.startswith("-"):
        return sorted(each for each in options if each.startswith(word) and each.startswith("--"))
    last = options.get(before[-1])
    if last is not None and last.nargs is None and last.const is None:  # it takes one value
        known = last.choices or (servers if last.metavar in _SERVERS else None)
        return None if known is None else sorted(each for each in known if each.startswith(word))
    if "=" in word:
        return None  # an expression: the notebook's own completion knows its names
    places = [each for each in command.parser()._actions if not each.option_strings]
    names = _names(before[1:], options)
    if places and places[0].metavar == _MODEL and (not names or places[0].nargs == "+"):
        return sorted(name for name in models if name.startswith(word) and name not in names)
    if any(each.dest == "tensors" for each in places):
        given = {each.partition("=")[0] for each in before}
        inputs = models.get(names[0], []) if names else []
        return [f"{name}=" for name in inputs if name.startswith(word) and name not in given]
    return []


def _names(words: Sequence[str], options: Mapping[str, argparse.Action]) -> list[str]:
    """The words that are neither options nor their values nor inputs."""
    found, value = [], False
    for each in words:
        if not value and not each.startswith("-") and "=" not in each:
            found.append(each)
        action = options.get(each)
        value = action is not None and action.nargs is None and action.const is None
    return found


class TritonMatcher:
    """A matcher of IPython's completer, to be added and taken away again."""

    def __init__(self, commands: dict[str, Command]) -> None:
        @context_matcher()  # type: ignore[untyped-decorator]
        def triton_matcher(context: Any) -> Any:
            line = context.line_with_cursor[: context.cursor_position]
            found = candidates(line, commands, _models(), sorted({"live", "local", *servers.names()}))
            if found is None:
                return SimpleMatcherResult(completions=[], suppress=False)
            # The completer replaces its own idea of the last word, which ends at fewer characters than ours.
            extra = len(line.split(" ")[-1]) - len(context.token)
            return SimpleMatcherResult(
                completions=[SimpleCompletion(text=each[max(extra, 0) :], type="magic") for each in found],
                suppress=bool(found),
            )

        self._matcher = triton_matcher

    def add(self, shell: Any) -> None:
        completer = getattr(shell, "Completer", None)
        if completer is not None and self._matcher not in completer.custom_matchers:
            completer.custom_matchers.append(self._matcher)

    def remove(self, shell: Any) -> None:
        completer = getattr(shell, "Completer", None)
        if completer is not None and self._matcher in completer.custom_matchers:
            completer.custom_matchers.remove(self._matcher)


def _models() -> dict[str, list[str]]:
    """Names of the live models with their inputs; asks nobody."""
    from workbench import api

    hosts = api.current().hosts
    return {
        name: [spec.name for spec in host.current.config.inputs] if host.current is not None else []
        for name, host in sorted(hosts.items())
    }
