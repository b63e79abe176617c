"""What can be said of a model's source before any process is started."""

from __future__ import annotations

import ast
import re
import warnings

from workbench.errors import Frame, ModelLoadError
from workbench.model_source import ModelSource
from workbench.session.failures import keeps

__all__ = ["check_source", "check_syntax"]

_MODEL_CLASS = "TritonPythonModel"


def check_source(name: str, source: ModelSource, *, serving: str = "") -> None:
    """Refuse a source that cannot become a model.

    Args:
        name: The model's name, for the message.
        source: Its text.
        serving: The revision that goes on answering, ``src:3f9a1c2``, or "".

    Raises:
        ModelLoadError: a syntax error, or nothing at the top level named TritonPythonModel.
    """
    tree = check_syntax(name, source, serving=serving)
    for file, each in source.siblings:
        if file.endswith(".py"):
            check_syntax(name, each, serving=serving)
    if not any(_binds_model(node) for node in tree.body):
        raise ModelLoadError(
            f"{name} has no class {_MODEL_CLASS}{keeps(serving)}",
            cause=f"AttributeError: module '1.model' has no attribute '{_MODEL_CLASS}'",
            serving=serving,
            hint=_class_hint(tree),
        )


def check_syntax(name: str, source: ModelSource, *, serving: str = "") -> ast.Module:
    """The tree of a source. Raises ModelLoadError at its line if it is no Python; arguments as above."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the stub's own import shows them once
            return ast.parse(source.text)
    except (SyntaxError, ValueError) as error:
        raise _syntax_error(name, source, error, serving) from None


def _syntax_error(
    name: str, source: ModelSource, error: SyntaxError | ValueError, serving: str
) -> ModelLoadError:
    text = getattr(error, "msg", None) or str(error)
    line = getattr(error, "lineno", None) or 0
    frames = [Frame("model.py", line, "<module>", source.label, source.lines)] if line else []
    failing = source.lines[line - 1] if 0 < line <= len(source.lines) else ""
    hint = ""
    if re.match(r"\s*[!%]", failing):
        hint = "a model is plain Python: no ! or % commands in it; put them in a cell of their own"
    return ModelLoadError(
        f"{type(error).__name__}: {text} ({name}){keeps(serving)}",
        cause=f"{type(error).__name__}: {text}",
        frames=frames,
        serving=serving,
        hint=hint,
    )


def _binds_model(node: ast.stmt) -> bool:
    if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
        return node.name == _MODEL_CLASS
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return any(alias.name == "*" or (alias.asname or alias.name) == _MODEL_CLASS for alias in node.names)
    if isinstance(node, (ast.If, ast.Try, ast.With, ast.For, ast.While)) or hasattr(node, "handlers"):
        inner = [child for child in ast.walk(node) if isinstance(child, ast.stmt) and child is not node]
        return any(_binds_model(child) for child in inner)
    # As text: globals()["TritonPythonModel"] = ... and setattr(...) bind it too. What exec does cannot be
    # followed.
    if isinstance(node, ast.Assign):
        return any(_MODEL_CLASS in ast.unparse(target) for target in node.targets)
    return isinstance(node, (ast.AnnAssign, ast.Expr)) and _MODEL_CLASS in ast.unparse(node)


def _class_hint(tree: ast.Module) -> str:
    for node in tree.body:
        if isinstance(node, ast.ClassDef):
            methods = {
                child.name
                for child in node.body
                if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef))
            }
            if "execute" in methods:
                return f"rename class {node.name} to {_MODEL_CLASS}"
    if any(
        isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name == "execute"
        for node in tree.body
    ):
        return f"put execute into a class: class {_MODEL_CLASS}: def execute(self, requests): ..."
    return f"the cell needs class {_MODEL_CLASS} with def execute(self, requests); imports belong in it too"
