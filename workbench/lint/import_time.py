"""W101: classes of pb_utils that are looked up while the model is being imported.

A server's stub puts the compiled classes on the module after it has imported the model (seen with the stub of
release 24.10): at import time ``pb_utils.Tensor`` is an AttributeError there, and works here.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from workbench.lint.report import Finding
from workbench.lint.source import Function, ModelTree

__all__ = ["grafted_at_import"]

GRAFTED = frozenset(
    {
        "InferenceRequest",
        "InferenceResponse",
        "Logger",
        "MetricFamily",
        "PreferredMemory",
        "Tensor",
        "TritonError",
        "TritonModelException",
        "TRITONSERVER_MEMORY_CPU",
        "TRITONSERVER_MEMORY_GPU",
        "get_model_dir",
        "is_model_ready",
        "load_model",
        "unload_model",
    }
)
_FUTURE = "from __future__ import annotations leaves annotations alone"
_INSIDE = "look it up inside a method, where the model runs"


def grafted_at_import(model: ModelTree) -> Iterator[Finding]:
    """Uses in annotations, defaults, decorators, base classes, and at the top of the cell or of a class."""
    for name, statement in model.from_utils.items():
        taken = next(each.name for each in statement.names if (each.asname or each.name) == name)
        if taken in GRAFTED and statement in _statements(model.tree):
            yield Finding(
                statement.lineno,
                "W101",
                f"{taken} cannot be imported: pb_utils gets it after the model's import",
                "import triton_python_backend_utils as pb_utils, and write pb_utils." + taken,
            )
    for node, in_annotation in _evaluated(model.tree.body, model.future_annotations):
        if isinstance(node, ast.Attribute) and model.utils_name(node) in GRAFTED:
            where = "an annotation" if in_annotation else "code that runs at import"
            yield Finding(
                node.lineno,
                "W101",
                f"pb_utils.{node.attr} in {where}: pb_utils gets it after the model's import",
                _FUTURE if in_annotation else _INSIDE,
            )


def _statements(tree: ast.Module) -> set[ast.AST]:
    """Everything that is executed by the import, by statement."""
    return {node for node, _ in _evaluated(tree.body, False)}


def _evaluated(body: list[ast.stmt], future: bool) -> Iterator[tuple[ast.AST, bool]]:
    """Nodes that the import evaluates, and whether they stand in an annotation."""
    waiting: list[tuple[ast.AST, bool]] = [(each, False) for each in body]
    while waiting:
        node, in_annotation = waiting.pop(0)
        yield node, in_annotation
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            waiting += [(each, False) for each in (*node.decorator_list, *_defaults(node.args))]
            if not future:
                waiting += [(each, True) for each in _annotations(node)]
        elif isinstance(node, ast.Lambda):
            waiting += [(each, False) for each in _defaults(node.args)]
        elif isinstance(node, ast.AnnAssign):
            if not future:
                waiting.append((node.annotation, True))
            if node.value is not None:
                waiting.append((node.value, False))
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            waiting += [(each, False) for each in node.orelse]
        elif isinstance(node, ast.Try) and node.handlers:
            # Its author knows that it may fail.
            waiting += [(each, False) for each in (*node.orelse, *node.finalbody)]
        else:
            waiting += [(each, in_annotation) for each in ast.iter_child_nodes(node)]


def _defaults(arguments: ast.arguments) -> list[ast.expr]:
    return [each for each in (*arguments.defaults, *arguments.kw_defaults) if each is not None]


def _annotations(function: Function) -> list[ast.expr]:
    given = function.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    found = [each.annotation for each in every if each is not None and each.annotation is not None]
    return [*found, function.returns] if function.returns is not None else found
