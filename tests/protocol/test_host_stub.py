"""The type stub of the extension module and the module itself name the same things."""

from __future__ import annotations

import ast
from pathlib import Path

import workbench
from workbench import _host

TREE = ast.parse((Path(workbench.__file__).parent / "_host.pyi").read_text())
#: What exists for type checkers only.
TYPING_ONLY = {
    "BlockTuple",
    "BlsHandler",
    "ControlHandler",
    "LogHandler",
    "MetricHandler",
    "StructLayout",
    "TapTensor",
    "TensorTuple",
}
#: Python calls these through the type, under no name of their own before 3.12.
PROTOCOLS = {"__init__", "__buffer__"}


def names(body: list[ast.stmt]) -> set[str]:
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            found.add(node.name)
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.add(node.target.id)
        elif isinstance(node, ast.Assign):
            found |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return found


def public(thing: object) -> set[str]:
    return {name for name in vars(thing) if not name.startswith("_")}


def test_the_same_names() -> None:
    assert names(TREE.body) - TYPING_ONLY == public(_host)


def test_the_same_members() -> None:
    for node in TREE.body:
        if isinstance(node, ast.ClassDef) and node.name not in TYPING_ONLY:
            assert names(node.body) - PROTOCOLS == public(getattr(_host, node.name)), node.name


def test_the_same_parameters() -> None:
    for node in TREE.body:
        if not isinstance(node, ast.ClassDef) or node.name in TYPING_ONLY:
            continue
        for function in node.body:
            if (
                not isinstance(function, ast.FunctionDef)
                or function.decorator_list
                or function.name in PROTOCOLS
            ):
                continue
            arguments = [a.arg for a in (*function.args.args, *function.args.kwonlyargs)]
            signature = getattr(_host, node.name).__dict__[function.name].__doc__.splitlines()[0]
            for argument in arguments[1:]:
                assert f"{argument}:" in signature, f"{node.name}.{function.name}: {signature}"
