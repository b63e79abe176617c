"""What the cells of a notebook define, read from their text: ``--with`` without a kernel."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from workbench.capture.helpers import Collection
from workbench.lint.names import free_names
from workbench.lint.source import ModelTree

__all__ = ["CellNames"]

# Lines of IPython's own: magics and commands, also behind an assignment, and questions.
_MAGIC = re.compile(r"^[ \t]*(?:[%!?]|[\w., \t]+=[ \t]*[%!]).*$|^[ \t]*[%\w.*]+\?{1,2}[ \t]*$", re.MULTILINE)
_DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


@dataclass(frozen=True)
class _Import:
    statement: str


@dataclass(frozen=True)
class _Definition:
    text: str
    lazy_annotations: bool


@dataclass(frozen=True)
class _Literal:
    value: Any


class _Value:
    """Something only a running kernel could know."""


class CellNames(Mapping[str, Any]):
    """Names of a notebook's cells. A literal is itself; the rest stands for where it comes from."""

    def __init__(self) -> None:
        self._names: dict[str, _Import | _Definition | _Literal | _Value] = {}
        self._lazy = False

    def add(self, cell: str) -> None:
        """Take note of a cell: of its top level, as if it had been run after those before. A cell that is no
        Python, once its magics are left out, defines nothing.
        """
        text = _MAGIC.sub("", cell)
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return
        lines = text.splitlines(keepends=True)
        self._lazy |= ModelTree(text).future_annotations
        for node in tree.body:
            self._statement(node, lines)

    def _statement(self, node: ast.stmt, lines: list[str]) -> None:
        if isinstance(node, _DEFINITIONS):
            first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
            self._names[node.name] = _Definition("".join(lines[first - 1 : node.end_lineno]), self._lazy)
        elif isinstance(node, ast.Import):
            for each in node.names:
                bound = each.asname or each.name.partition(".")[0]
                what = f"{each.name} as {each.asname}" if each.asname and each.asname != each.name else bound
                self._names[bound] = _Import(f"import {what}")
        elif isinstance(node, ast.ImportFrom):
            for each in node.names:
                alias = f" as {each.asname}" if each.asname and each.asname != each.name else ""
                source = "." * node.level + (node.module or "")
                self._names[each.asname or each.name] = _Import(f"from {source} import {each.name}{alias}")
        else:
            for name in (each for each in ast.walk(node) if isinstance(each, ast.Name)):
                if isinstance(name.ctx, ast.Store):
                    self._names[name.id] = _Value()
            if (
                isinstance(node, ast.Assign)
                and len(node.targets) == 1
                and isinstance(node.targets[0], ast.Name)
            ):
                try:
                    self._names[node.targets[0].id] = _Literal(ast.literal_eval(node.value))
                except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
                    pass

    def new_collection(self) -> Collection:
        """What `workbench.capture.helpers.with_helpers` collects into."""
        return _CellCollection(self)

    def raw(self, name: str) -> Any:
        return self._names.get(name)

    def __getitem__(self, name: str) -> Any:
        found = self._names[name]
        return found.value if isinstance(found, _Literal) else found

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


class _CellCollection(Collection):
    def __init__(self, names: CellNames) -> None:
        super().__init__(names)
        self._cells = names

    def is_definition(self, value: Any) -> bool:
        return isinstance(value, _Definition)

    def take(self, name: str, value: Any, whose: str) -> None:
        if name in self._under_way or name in {**self._imports, **self._constants, **self._definitions}:
            return
        found = self._cells.raw(name)
        if isinstance(found, _Import):
            self._imports[name] = found.statement
        elif isinstance(found, _Definition):
            self._under_way.add(name)
            self._lazy_annotations |= found.lazy_annotations
            for each in free_names(ModelTree(found.text)):
                if each != name and each in self._cells:
                    self.take(each, None, name)
            self._definitions[name] = found.text.rstrip()
        elif isinstance(found, _Literal):
            self._constants[name] = f"{name} = {found.value!r}"
        else:
            raise self._only_in_kernel(name, "value", whose)
