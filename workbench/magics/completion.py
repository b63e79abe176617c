"""Tab completion for ``%triton`` lines: subcommands, options, model and input names."""

from __future__ import annotations

import re
from typing import Any

from IPython.core.completer import SimpleCompletion, SimpleMatcherResult, context_matcher

from workbench.magics.arguments import Command

__all__ = ["TritonMatcher", "candidates"]

# On a line of its own, as a cell magic, or behind an assignment. IPython's own hook for magics sees only the
# first.
_LINE = re.compile(r"\s*(?:[\w.\[\]'\", ]+=\s*)?%{1,2}triton\s(?P<rest>.*)\Z", re.DOTALL)
_TAKES_MODEL = frozenset({"infer", "unload", "config", "model"})


def candidates(line: str, commands: dict[str, Command], models: dict[str, list[str]]) -> list[str] | None:
    """What can stand at the end of a line.

    Args:
        line: The line up to the cursor.
        commands: Subcommands by name.
        models: Input names by model name.

    Returns:
        Whole words that begin with the last one of the line; None if the line is none of ours, or if what
        stands there is Python.
    """
    match = _LINE.match(line)
    if match is None:
        return None
    words = match["rest"].split(" ")
    word, before = words[-1], [each for each in words[:-1] if each]
    if "=" in word:
        return None  # an expression: the notebook's own completion knows its names
    if not before:
        return sorted(name for name in commands if name.startswith(word))
    command = commands.get(before[0])
    if command is None:
        return []
    if word.startswith("-"):
        options = {option for action in command.parser()._actions for option in action.option_strings}
        return sorted(each for each in options if each.startswith(word) and each.startswith("--"))
    names = [each for each in before[1:] if not each.startswith("-") and "=" not in each]
    if command.name in _TAKES_MODEL and not names:
        return sorted(name for name in models if name.startswith(word))
    if command.name == "infer":
        given = {each.partition("=")[0] for each in before}
        inputs = models.get(names[0], [])
        return [f"{name}=" for name in inputs if name.startswith(word) and name not in given]
    return []


class TritonMatcher:
    """A matcher of IPython's completer, to be added and taken away again."""

    def __init__(self, commands: dict[str, Command]) -> None:
        @context_matcher()  # type: ignore[untyped-decorator]
        def triton_matcher(context: Any) -> Any:
            found = candidates(context.line_with_cursor[: context.cursor_position], commands, _models())
            if found is None:
                return SimpleMatcherResult(completions=[], suppress=False)
            # The completer replaces its own idea of the last word, which ends at fewer characters than ours.
            extra = len(context.line_with_cursor[: context.cursor_position].split(" ")[-1]) - len(
                context.token
            )
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
