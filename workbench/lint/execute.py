"""W2xx: what ``execute`` gives back, and how it ends. W3xx: values that no tensor can hold."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from workbench.lint.report import Finding
from workbench.lint.source import Function, ModelTree, called, own_nodes
from workbench.model_config import ModelConfig

__all__ = ["execute_rules", "string_arrays"]

_FINAL = "TRITONSERVER_RESPONSE_COMPLETE_FINAL"


def execute_rules(model: ModelTree, config: ModelConfig | None) -> Iterator[Finding]:
    """W201 to W205, of the class as it stands in the source; inherited methods are not judged."""
    if model.model_class is None:
        return
    execute = model.method("execute")
    if execute is None:
        if not model.has_foreign_base and not _binds_execute(model):
            yield Finding(
                model.model_class.lineno,
                "W201",
                "TritonPythonModel has no execute: a server loads it, and fails every request",
                "add def execute(self, requests)",
            )
        return
    if _is_generator(execute):
        yield Finding(
            execute.lineno,
            "W202",
            "execute is a generator: a server expects a list",
            "collect the responses in a list and return that",
        )
        return
    if config is not None and config.decoupled:
        yield from _decoupled(model, execute)
    else:
        yield from _default(model, execute)


def _default(model: ModelTree, execute: Function) -> Iterator[Finding]:
    sends = any(called(node) == "get_response_sender" or _reschedules(node) for node in model.walk())
    returns = [node for node in own_nodes(execute) if isinstance(node, ast.Return)]
    for node in returns:
        kind = _not_a_list(node.value)
        if kind == "None":
            if not sends:
                yield Finding(
                    node.lineno,
                    "W203",
                    "execute returns None: a server's client waits for ever",
                    "return a list with a response for each request",
                )
        elif kind:
            yield Finding(
                node.lineno,
                "W202",
                f"execute returns {kind}: a server expects a list",
                "return a list with a response for each request",
            )
        elif isinstance(node.value, ast.List) and not sends:
            for each in node.value.elts:
                if isinstance(each, ast.Constant) and each.value is None:
                    yield Finding(
                        each.lineno,
                        "W203",
                        "execute returns None for a request: a server's client waits for ever",
                        "return a response for each request",
                    )
                elif model.utils_name(getattr(each, "func", each)) == "Tensor":
                    yield Finding(
                        each.lineno,
                        "W202",
                        "execute returns a Tensor in place of a response",
                        "pb_utils.InferenceResponse(output_tensors=[...])",
                    )
    if not sends and not returns and not _never_ends(execute.body):
        yield Finding(
            execute.lineno,
            "W203",
            "execute returns nothing: a server's client waits for ever",
            "end it with: return [a response for each request]",
        )


def _decoupled(model: ModelTree, execute: Function) -> Iterator[Finding]:
    for node in own_nodes(execute):
        if isinstance(node, ast.Return) and node.value is not None:
            if isinstance(node.value, ast.Constant) and node.value.value is None:
                continue
            if isinstance(node.value, ast.Name):
                continue  # may hold None
            yield Finding(
                node.lineno,
                "W205",
                "execute of a decoupled model returns a value: a server fails the requests",
                "send responses with request.get_response_sender(), and return None",
            )
    takes = any(called(node) == "get_response_sender" for node in model.walk())
    if not takes:
        yield Finding(
            execute.lineno,
            "W204",
            "a decoupled model that takes no response sender never answers",
            "request.get_response_sender().send(...)",
        )
        return
    if not any(_may_be_final(node) for node in model.walk()):
        yield Finding(
            execute.lineno,
            "W204",
            "the model never sends the final flag: a server's client waits for ever",
            f"end with sender.send(flags=pb_utils.{_FINAL})",
        )


def _may_be_final(node: ast.AST) -> bool:
    if isinstance(node, ast.Attribute) and node.attr == _FINAL:
        return True
    if isinstance(node, ast.Name) and node.id == _FINAL:
        return True
    if not isinstance(node, ast.Call):
        return False
    if called(node) == "send":
        given = [each.value for each in node.keywords if each.arg == "flags"] + node.args[1:2]
        return any(not (isinstance(each, ast.Constant) and not each.value) for each in given)
    # Handed to a function of another module, which may end it.
    return any(called(each) == "get_response_sender" for each in node.args)


def _not_a_list(value: ast.expr | None) -> str:
    """What a returned expression is for certain, if that is no list; "" if it may be one."""
    if value is None or isinstance(value, ast.Constant):
        return "None" if value is None or value.value is None else f"a {type(value.value).__name__}"
    kinds: dict[type[ast.expr], str] = {
        ast.Tuple: "a tuple",
        ast.Dict: "a dict",
        ast.DictComp: "a dict",
        ast.Set: "a set",
        ast.SetComp: "a set",
        ast.GeneratorExp: "a generator",
        ast.JoinedStr: "a str",
        ast.Lambda: "a function",
    }
    if type(value) in kinds:
        return kinds[type(value)]
    calls = {"InferenceResponse": "one response", "Tensor": "a Tensor", "tuple": "a tuple", "dict": "a dict"}
    return calls.get(called(value), "")


def _reschedules(node: ast.AST) -> bool:
    return called(node) == "set_release_flags"


def _is_generator(function: Function) -> bool:
    return any(isinstance(node, (ast.Yield, ast.YieldFrom)) for node in own_nodes(function))


def _never_ends(body: list[ast.stmt]) -> bool:
    """Whether the last statement raises."""
    return bool(body) and isinstance(body[-1], ast.Raise)


def _binds_execute(model: ModelTree) -> bool:
    """``execute = something`` in the class, or ``TritonPythonModel.execute = ...`` below it."""
    for node in model.walk():
        if isinstance(node, ast.Assign):
            for target in node.targets:
                if isinstance(target, ast.Attribute) and target.attr == "execute":
                    return True
                if isinstance(target, ast.Name) and target.id == "execute":
                    return True
        if called(node) == "setattr":
            return True
    return False


def string_arrays(model: ModelTree) -> Iterator[Finding]:
    """W301: an array of NumPy's ``str`` type in a Tensor, which refuses it when it is made."""
    for node in model.walk():
        if not (
            isinstance(node, ast.Call) and model.utils_name(node.func) == "Tensor" and len(node.args) == 2
        ):
            continue
        if _is_text(node.args[1]):
            yield Finding(
                node.lineno,
                "W301",
                "an array of NumPy's str type is no tensor",
                "np.array([...], dtype=np.object_), or dtype=np.bytes_",
            )


def _is_text(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    kinds = [each.value for each in node.keywords if each.arg == "dtype"]
    if called(node) == "astype":
        return (bool(node.args) and _is_str_type(node.args[0])) or any(map(_is_str_type, kinds))
    if called(node) not in ("array", "asarray"):
        return False
    kinds += node.args[1:2]
    if kinds:
        return any(map(_is_str_type, kinds))
    return bool(node.args) and _has_text(node.args[0])


def _is_str_type(node: ast.expr) -> bool:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value in ("str", "U") or node.value.lstrip("<>=|").startswith("U")
    if isinstance(node, ast.Attribute):
        return node.attr == "str_"
    return isinstance(node, ast.Name) and node.id == "str"


def _has_text(node: ast.expr) -> bool:
    """A literal with text in it."""
    if isinstance(node, (ast.List, ast.Tuple)):
        return any(_has_text(each) for each in node.elts)
    if isinstance(node, ast.ListComp):
        return _has_text(node.elt)
    if isinstance(node, ast.Call):
        return called(node) == "str" or (isinstance(node.func, ast.Attribute) and node.func.attr == "decode")
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))
