"""A model's syntax tree with what every rule asks of it."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from functools import cached_property

__all__ = ["Function", "ModelTree", "called", "own_nodes"]

Function = ast.FunctionDef | ast.AsyncFunctionDef

_UTILS = "triton_python_backend_utils"


class ModelTree:
    """Parsed source. Raises SyntaxError where the source is none."""

    def __init__(self, text: str) -> None:
        self.text = text
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.tree = ast.parse(text)

    @cached_property
    def utils(self) -> frozenset[str]:
        """Names under which pb_utils was imported."""
        found = set()
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                found |= {
                    alias.asname or alias.name
                    for alias in node.names
                    if alias.name.partition(".")[0] == _UTILS
                }
        return frozenset(found)

    @cached_property
    def from_utils(self) -> dict[str, ast.ImportFrom]:
        """Names taken out of pb_utils by ``from ... import``, with the statement."""
        return {
            alias.asname or alias.name: node
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ImportFrom) and node.module == _UTILS
            for alias in node.names
        }

    @cached_property
    def model_class(self) -> ast.ClassDef | None:
        classes = [node for node in ast.walk(self.tree) if isinstance(node, ast.ClassDef)]
        return next((node for node in reversed(classes) if node.name == "TritonPythonModel"), None)

    @property
    def has_foreign_base(self) -> bool:
        """Whether methods may come from a class that is not in this source."""
        model = self.model_class
        return model is None or any(not self._is_plain(base) for base in model.bases)

    def _is_plain(self, base: ast.expr) -> bool:
        return isinstance(base, ast.Name) and base.id == "object"

    def method(self, name: str) -> Function | None:
        """A method of TritonPythonModel defined in its own body."""
        model = self.model_class
        for node in reversed(model.body if model is not None else []):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == name:
                return node
        return None

    @cached_property
    def future_annotations(self) -> bool:
        return any(
            isinstance(node, ast.ImportFrom)
            and node.module == "__future__"
            and any(alias.name == "annotations" for alias in node.names)
            for node in self.tree.body
        )

    def utils_name(self, node: ast.AST) -> str:
        """``Tensor`` for ``pb_utils.Tensor`` or an imported ``Tensor``; "" for anything else."""
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.value, ast.Name)
            and node.value.id in self.utils
        ):
            return node.attr
        if isinstance(node, ast.Name) and node.id in self.from_utils:
            statement = self.from_utils[node.id]
            return next(each.name for each in statement.names if (each.asname or each.name) == node.id)
        return ""

    def walk(self) -> Iterator[ast.AST]:
        return ast.walk(self.tree)


def called(node: ast.AST) -> str:
    """``exec`` for ``request.exec(...)`` and for ``exec(...)``; "" for anything that is no call."""
    if not isinstance(node, ast.Call):
        return ""
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def own_nodes(function: Function) -> Iterator[ast.AST]:
    """Nodes of a function's body, but not of functions and classes inside it."""
    waiting: list[ast.AST] = list(function.body)
    while waiting:
        node = waiting.pop(0)
        yield node
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)):
            waiting += ast.iter_child_nodes(node)
