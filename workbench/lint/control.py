"""Calls that load and unload other models, at a time that a server does not survive."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from workbench.lint.report import Finding
from workbench.lint.source import ModelTree, own_nodes

__all__ = ["unload_while_loading"]


def unload_while_loading(model: ModelTree) -> Iterator[Finding]:
    """W403: ``pb_utils.unload_model`` in ``initialize``.

    A server of 24.10 crashed in 27 of 851 such loads, with its own stub and with ours, and in none of 394
    that only loaded the other model. The live host does what the model says.
    """
    initialize = model.method("initialize")
    if initialize is None:
        return
    for node in own_nodes(initialize):
        if isinstance(node, ast.Call) and model.utils_name(node.func) == "unload_model":
            yield Finding(
                node.lineno,
                "W403",
                "unload_model while this model loads: a server crashes in about one of thirty such loads",
                "unload the other model in execute",
            )
