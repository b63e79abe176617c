"""Debuggers that were left in a model."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from workbench.lint.report import Finding
from workbench.lint.source import ModelTree, called

__all__ = ["left_breakpoints"]

_STOPS = ("breakpoint", "set_trace")  # the second of pdb, and of what builds on it


def left_breakpoints(model: ModelTree) -> Iterator[Finding]:
    """W402: a call that stops in a debugger. On a server pdb reads an empty input and raises BdbQuit."""
    for node in model.walk():
        if isinstance(node, ast.Call) and called(node) in _STOPS:
            yield Finding(
                node.lineno,
                "W402",
                f"{called(node)}() fails on a server: nobody answers there",
                "take it out",
            )
