"""The magics' grammar."""

from __future__ import annotations

import pytest

from workbench.errors import WorkbenchUsageError
from workbench.magics.arguments import pairs, split
from workbench.magics.triton import COMMANDS


def test_quotes_keep_an_expression_in_one_piece() -> None:
    line = """infer m X="np.ones((1, 4))" TEXT='["hi there"]' Y=[1,2]"""
    assert split(line) == ["infer", "m", "X=np.ones((1, 4))", 'TEXT=["hi there"]', "Y=[1,2]"]
    with pytest.raises(WorkbenchUsageError, match="No closing quotation"):
        split("infer m X='a")


def test_options_and_inputs_mix() -> None:
    for words in ("m X=1 --timeout 3 Y=2", "--timeout 3 m X=1 Y=2", "m -q X=1 Y=2 --timeout 3"):
        given = COMMANDS["infer"].parser().read(words.split())
        assert (given.name, given.tensors, given.timeout) == ("m", ["X=1", "Y=2"], 3.0)


def test_specs_repeat_and_collect() -> None:
    given = (
        COMMANDS["model"]
        .parser()
        .read(["m", "--in", "A:FP32[1]", "B:FP32[1]", "--in", "C:FP32[1]", "--out", "D:FP32[1]"])
    )
    assert given.inputs == ["A:FP32[1]", "B:FP32[1]", "C:FP32[1]"]
    assert given.outputs == ["D:FP32[1]"]
    assert COMMANDS["model"].parser().read(["m"]).inputs == []  # nothing is carried over


@pytest.mark.parametrize(
    ("command", "words", "text"),
    [
        ("infer", "m --tiemout 3", "unknown option '--tiemout' (did you mean --timeout?)"),
        ("infer", "m --time 3", "unknown option '--time'"),  # no abbreviations
        ("infer", "", "the following arguments are required: NAME"),
        ("infer", "m --timeout x", "argument --timeout: invalid float value: 'x'"),
        ("models", "x", "unexpected argument 'x'"),
        ("model", "m --stub other", "argument --stub: invalid choice: 'other'"),
    ],
)
def test_mistakes(command: str, words: str, text: str) -> None:
    with pytest.raises(WorkbenchUsageError) as caught:
        COMMANDS[command].parser().read(words.split())
    assert text in str(caught.value)
    assert caught.value.hint == f"%triton {command} -h"


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_subcommand_has_help(name: str) -> None:
    assert COMMANDS[name].parser().read(["-h"]).help
    text = repr(COMMANDS[name].help())
    assert COMMANDS[name].summary.split()[0] in text
    assert "--on TARGET" in text
    assert max(map(len, text.splitlines())) <= 100


def test_pairs() -> None:
    assert pairs(["A=1", "B=x=y"], "input", "A=1") == {"A": "1", "B": "x=y"}
    with pytest.raises(WorkbenchUsageError, match="input 'A' has no '='"):
        pairs(["A"], "input", "A=1")
    with pytest.raises(WorkbenchUsageError, match="given twice"):
        pairs(["A=1", "A=2"], "input", "A=1")
