"""W501: what a release of Triton does not have yet (first release with it: pb_utils contract §11.1)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from workbench.datatypes import BF16
from workbench.errors import WorkbenchUsageError
from workbench.lint.report import Finding
from workbench.lint.source import Function, ModelTree, called, own_nodes
from workbench.model_config import ModelConfig

__all__ = ["check_release", "newer_features"]

#: Methods and functions by name, with what they are called in a message.
_METHODS = {
    "auto_complete_config": ("22.06", "auto_complete_config"),
    "is_ready": ("26.03", "is_ready"),
}
_UTILS = {
    "Logger": ("22.09", "pb_utils.Logger"),
    "PreferredMemory": ("23.04", "pb_utils.PreferredMemory"),
    "MetricFamily": ("23.05", "pb_utils.MetricFamily"),
    "get_model_dir": ("23.07", "pb_utils.get_model_dir"),
    "load_model": ("23.07", "pb_utils.load_model"),
    "unload_model": ("23.07", "pb_utils.unload_model"),
    "is_model_ready": ("23.07", "pb_utils.is_model_ready"),
    "TRITONSERVER_REQUEST_RELEASE_RESCHEDULE": ("23.11", "rescheduling"),
}
_CALLS = {
    "is_cancelled": ("23.10", "is_cancelled()"),
    "set_release_flags": ("23.11", "rescheduling"),
    "set_model_transaction_policy": ("23.11", "set_model_transaction_policy"),
    "get_context": ("24.03", "trace().get_context()"),
}


def check_release(text: str) -> str:
    """A release as it is written, ``24.10``. Raises WorkbenchUsageError."""
    if not re.fullmatch(r"\d\d\.(0[1-9]|1[0-2])", text):
        raise WorkbenchUsageError(f"unknown release {text!r}", hint="a release is year.month, 24.10 say")
    return text


def newer_features(model: ModelTree, config: ModelConfig | None, release: str) -> Iterator[Finding]:
    """Uses of features that came after a release."""
    for line, since, what in _uses(model, config):
        if _order(release) < _order(since):
            yield Finding(line, "W501", f"{what} needs release {since}, not {release}")


def _order(release: str) -> tuple[int, int]:
    year, _, month = release.partition(".")
    return int(year), int(month)


def _uses(model: ModelTree, config: ModelConfig | None) -> Iterator[tuple[int, str, str]]:
    """Line, first release, name of each feature used."""
    decoupled = config is not None and config.decoupled
    for name, (since, what) in _METHODS.items():
        method = model.method(name)
        if method is not None:
            yield method.lineno, since, what
    execute = model.method("execute")
    if isinstance(execute, ast.AsyncFunctionDef) and decoupled:
        yield execute.lineno, "24.04", "async execute of a decoupled model"
    if config is not None and any(each.datatype is BF16 for each in (*config.inputs, *config.outputs)):
        yield 1, "24.08", "datatype BF16"
    iterators = set()
    for node in model.walk():
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            iterators |= _iterators(node)
    for node in model.walk():
        name = model.utils_name(node)
        if name in _UTILS:
            yield (node.lineno, *_UTILS[name])  # type: ignore[attr-defined]
        if isinstance(node, ast.Attribute):
            yield from _attribute(model, node)
        if isinstance(node, ast.Call):
            yield from _call(model, node, decoupled, iterators)


def _attribute(model: ModelTree, node: ast.Attribute) -> Iterator[tuple[int, str, str]]:
    owner = model.utils_name(node.value)
    if owner == "MetricFamily" and node.attr == "HISTOGRAM":
        yield node.lineno, "24.08", "a histogram metric"
    if owner == "TritonError":
        cancelled = node.attr == "CANCELLED"
        yield node.lineno, "23.10" if cancelled else "23.09", f"TritonError.{node.attr}"


def _call(
    model: ModelTree, node: ast.Call, decoupled: bool, iterators: set[str]
) -> Iterator[tuple[int, str, str]]:
    name, keywords = called(node), {each.arg: each.value for each in node.keywords}
    if name in _CALLS:
        yield (node.lineno, *_CALLS[name])
    elif name == "InferenceResponse" and model.utils_name(node.func):
        if "parameters" in keywords or len(node.args) > 2:
            yield node.lineno, "25.02", "InferenceResponse(parameters=...)"
    elif name == "InferenceRequest" and model.utils_name(node.func):
        if "parameters" in keywords:
            yield node.lineno, "23.11", "InferenceRequest(parameters=...)"
        if "trace" in keywords:
            yield node.lineno, "23.08", "InferenceRequest(trace=...)"
        if "timeout" in keywords:
            yield node.lineno, "23.03", "InferenceRequest(timeout=...)"
    elif _gives_iterator(node):
        yield node.lineno, "23.03", f"{name}(decoupled=True)"
    elif name == "get_response_sender" and not decoupled:
        yield node.lineno, "24.06", "a response sender of a model that is not decoupled"
    elif name == "cancel" and isinstance(node.func, ast.Attribute):
        owner = node.func.value
        if isinstance(owner, ast.Name) and owner.id in iterators:
            yield node.lineno, "25.04", "cancel() of a response iterator"


def _iterators(function: Function) -> set[str]:
    """Variables that hold what ``exec(decoupled=True)`` gave."""
    return {
        target.id
        for node in own_nodes(function)
        if isinstance(node, ast.Assign) and _gives_iterator(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _gives_iterator(node: ast.AST) -> bool:
    if isinstance(node, ast.Await):
        node = node.value
    if called(node) not in ("exec", "async_exec") or not isinstance(node, ast.Call):
        return False
    given = next((each.value for each in node.keywords if each.arg == "decoupled"), None)
    given = given or (node.args[0] if node.args else None)
    return isinstance(given, ast.Constant) and given.value is True
