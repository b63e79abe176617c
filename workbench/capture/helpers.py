"""``--with f,g``: functions of other cells, taken along to where a server finds them.

They go into a file beside model.py, with everything they need: other functions and classes of the notebook,
imports, constants. The model's cell gets one import, on the line of the magic, so no line moves.
"""

from __future__ import annotations
import __future__

import ast
import inspect
import linecache
import re
import sys
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import FunctionType, ModuleType
from typing import Any, Protocol, runtime_checkable

from workbench.errors import ModelLoadError
from workbench.lint.names import free_names
from workbench.lint.source import ModelTree
from workbench.model_source import ModelSource
from workbench.suggest import did_you_mean

__all__ = ["HELPERS", "Collection", "NamesOfCells", "with_helpers"]

_MAGIC = re.compile(r"# %{1,2}triton\b")  # what capturing a cell makes of the magic's line
_CELL_FILE = re.compile(r"ipykernel_\d+|<ipython-input-")
#: The file the functions go into.
HELPERS = "notebook_helpers.py"


@runtime_checkable
class NamesOfCells(Protocol):
    """A namespace known from the text of cells alone, see `workbench.capture.cell_names`."""

    def new_collection(self) -> Collection: ...


def with_helpers(source: ModelSource, names: Sequence[str], namespace: Mapping[str, Any]) -> ModelSource:
    """A model's source together with functions of the notebook.

    Args:
        source: The model, out of a cell.
        names: Functions and classes to take along.
        namespace: The notebook's variables.

    Raises:
        ModelLoadError: there is no such function, its source is not to be had, or it uses a value that cannot
            be written into a file.
    """
    collection = namespace.new_collection() if isinstance(namespace, NamesOfCells) else Collection(namespace)
    for name in names:
        if name not in namespace:
            functions = [each for each, value in namespace.items() if collection.is_definition(value)]
            raise ModelLoadError(
                f"the notebook has no {name!r}{did_you_mean(name, functions)}",
                hint="--with takes names of functions and classes: --with scale,clip",
            )
        collection.take(name, namespace[name], f"--with {name}")
    text = _with_import(source.text, f"from .{HELPERS.removesuffix('.py')} import {', '.join(names)}")
    helpers = ModelSource(collection.text(), HELPERS)
    return replace(source, text=text, siblings=(*source.siblings, (HELPERS, helpers)))


def _with_import(text: str, statement: str) -> str:
    """The text with one more statement, and no line more."""
    lines = text.split("\n")
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError):
        return text  # loading says so, at its line
    last = [node for node in tree.body if isinstance(node, ast.ImportFrom) and node.module == "__future__"]
    if last:  # nothing may stand before it
        row = (last[-1].end_lineno or 1) - 1
        line = lines[row].encode()
        at = last[-1].end_col_offset
        lines[row] = (line[:at] + f"; {statement}".encode() + line[at:]).decode()
        return "\n".join(lines)
    row = next(number for number, line in enumerate(lines) if _MAGIC.match(line))
    lines[row] = f"{statement}  {lines[row]}"
    return "\n".join(lines)


class Collection:
    """What goes into the file, in an order in which it can be executed."""

    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._imports: dict[str, str] = {}
        self._constants: dict[str, str] = {}
        self._definitions: dict[str, str] = {}
        self._under_way: set[str] = set()
        self._lazy_annotations = False

    def is_definition(self, value: Any) -> bool:
        """Whether a value of the namespace is a function or a class."""
        return isinstance(value, (FunctionType, type))

    def take(self, name: str, value: Any, whose: str) -> None:
        """Take a name along, and all it needs. ``whose`` says who wants it, for the error."""
        if name in self._under_way or name in {**self._imports, **self._constants, **self._definitions}:
            return
        statement = _import_of(name, value)
        if statement:
            self._imports[name] = statement
        elif isinstance(value, (FunctionType, type)):
            self._under_way.add(name)
            self._define(name, value)
        elif _is_literal(value):
            self._constants[name] = f"{name} = {value!r}"
        else:
            raise self._only_in_kernel(name, type(value).__name__, whose)

    def _only_in_kernel(self, name: str, kind: str, whose: str) -> ModelLoadError:
        article = "an" if kind[0] in "aeiouAEIOU" else "a"
        return ModelLoadError(
            f"{whose} uses {name}, {article} {kind}: only the kernel has it",
            hint=f"make {name} in initialize and pass it to the function",
        )

    def _define(self, name: str, value: Any) -> None:
        try:
            text = _class_text(value) if isinstance(value, type) else inspect.getsource(value)
            text = textwrap.dedent(text)
            tree = ModelTree(text)
        except (OSError, TypeError, SyntaxError):
            raise ModelLoadError(
                f"the source of {name} is not available", hint="define it with def in a cell of this notebook"
            ) from None
        node = tree.tree.body[0] if tree.tree.body else None
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            raise ModelLoadError(f"{name} is no plain function", hint="define it with def, not with lambda")
        code = getattr(inspect.unwrap(value), "__code__", None)
        if code is not None and code.co_flags & __future__.annotations.compiler_flag:
            self._lazy_annotations = True
        scope = getattr(inspect.unwrap(value), "__globals__", self._namespace)
        for each in free_names(tree):
            if each in (name, node.name):
                continue
            if each in scope:
                self.take(each, scope[each], name)
            elif each in self._namespace:
                self.take(each, self._namespace[each], name)
            # Else it is missing in the notebook too: the call will say so.
        self._definitions[name] = text.rstrip() + (f"\n\n\n{name} = {node.name}" if node.name != name else "")

    def text(self) -> str:
        lazy = ["from __future__ import annotations\n"] if self._lazy_annotations else []
        head = ['"""Functions of the notebook that its model uses."""\n', *lazy]
        parts = ["\n".join(sorted(self._imports.values())), "\n".join(self._constants.values())]
        body = "\n\n".join(each for each in parts if each)
        definitions = "\n\n\n".join(self._definitions.values())
        return "\n".join(head) + ("\n" + body + "\n" if body else "") + f"\n\n{definitions}\n"


def _class_text(value: type) -> str:
    """The source of a class of a cell. Python knows of none, but its cell was kept.

    Raises OSError if no cell is found that defines it.
    """
    files = {
        each.__code__.co_filename for each in vars(value).values() if isinstance(each, FunctionType)
    } & linecache.cache.keys()
    # A class without methods of its own: the last cell that defines the name.
    for file in files or [each for each in reversed(linecache.cache) if _CELL_FILE.search(each)]:
        lines = linecache.getlines(file)
        try:
            tree = ast.parse("".join(lines))
        except (SyntaxError, ValueError):
            continue
        for node in reversed(list(ast.walk(tree))):
            if isinstance(node, ast.ClassDef) and node.name == value.__name__:
                first = min([node.lineno, *(each.lineno for each in node.decorator_list)])
                return "".join(lines[first - 1 : node.end_lineno])
    raise OSError


def _import_of(name: str, value: Any) -> str:
    """The statement that gives a value that an installed module has; "" if none does."""
    if isinstance(value, ModuleType):
        own = value.__name__
        return f"import {own}" if own == name else f"import {own} as {name}"
    module, own = getattr(value, "__module__", None), getattr(value, "__name__", "")
    if not isinstance(module, str) or not isinstance(own, str) or module == "__main__":
        return ""
    home = sys.modules.get(module)
    if home is None or getattr(home, "__file__", None) is None or getattr(home, own, None) is not value:
        return ""
    return f"from {module} import {own}" + ("" if own == name else f" as {name}")


def _is_literal(value: Any) -> bool:
    try:
        return bool(ast.literal_eval(repr(value)) == value)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return False
