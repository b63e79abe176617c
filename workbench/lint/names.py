"""W401: names that nobody defines. In a kernel they may be variables of other cells, not on a server."""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterator

from workbench.lint.report import Finding
from workbench.lint.source import ModelTree

__all__ = ["free_names", "undefined_names"]

_GIVEN = frozenset(dir(builtins)) | {
    "__file__",
    "__name__",
    "__doc__",
    "__package__",
    "__spec__",
    "__loader__",
    "__path__",
    "__builtins__",
    "__annotations__",
    "__dict__",
    "__module__",
    "__qualname__",
    "__class__",
    "__debug__",
    "WindowsError",
}


def undefined_names(model: ModelTree) -> Iterator[Finding]:
    """Global names that are read and neither assigned, imported, defined nor built in."""
    for name, line in free_names(model).items():
        hint = f"define or import it in the cell; --with {name} takes a function of another cell along"
        yield Finding(line, "W401", f"{name} is not defined in the model", hint)


def free_names(model: ModelTree) -> dict[str, int]:
    """Names that a source reads and does not define, with the first line that does; {} where that is open."""
    if _is_open(model.tree):
        return {}
    table = symtable.symtable(model.text, "model.py", "exec")
    defined = set(_GIVEN)
    for scope in _scopes(table):
        for symbol in scope.get_symbols():
            binds = symbol.is_assigned() or symbol.is_imported() or symbol.is_namespace()
            if binds and (scope is table or symbol.is_declared_global()):
                defined.add(symbol.get_name())
    guarded = _guarded(model.tree)
    reads = _reads(model)
    found: dict[str, int] = {}
    for scope in _scopes(table):
        for symbol in scope.get_symbols():
            name = symbol.get_name()
            if name in defined or name in guarded or name in found or not symbol.is_referenced():
                continue
            if not (symbol.is_global() or scope is table):
                continue
            # No line: it is read in an annotation that nothing evaluates.
            lines = [line for line in reads.get(name, []) if line >= scope.get_lineno()]
            if lines:
                found[name] = min(lines)
    return found


def _scopes(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    yield table
    for child in table.get_children():
        yield from _scopes(child)


def _is_open(tree: ast.Module) -> bool:
    """Whether names can come from where no reader of the source can see them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names):
            return True
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id in ("exec", "globals")
        ):
            return True
    return False


def _guarded(tree: ast.Module) -> set[str]:
    """Names read under a ``try`` that expects them to be missing."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Try):
            continue
        caught = {
            part.id
            for handler in node.handlers
            for part in ast.walk(handler.type or ast.Name("NameError"))
            if isinstance(part, ast.Name)
        }
        if caught & {"NameError", "Exception", "BaseException"}:
            found |= {each.id for body in node.body for each in ast.walk(body) if isinstance(each, ast.Name)}
    return found


def _reads(model: ModelTree) -> dict[str, list[int]]:
    """Lines on which each name is read; annotations count only where they are evaluated."""
    skipped: set[int] = set()
    for node in ast.walk(model.tree):
        annotations: list[ast.AST | None] = []
        if isinstance(node, ast.AnnAssign):
            annotations.append(node.annotation)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            given = node.args
            annotations.append(node.returns)
            every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
            annotations += [each.annotation for each in every if each is not None]
        if model.future_annotations:
            skipped |= {id(part) for each in annotations if each is not None for part in ast.walk(each)}
    found: dict[str, list[int]] = {}
    for node in ast.walk(model.tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load) and id(node) not in skipped:
            found.setdefault(node.id, []).append(node.lineno)
    return found
