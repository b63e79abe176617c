"""Cells become model sources, line for line."""

from __future__ import annotations

from pathlib import Path

import pytest

from workbench.capture import check_source, source_from_cell, source_from_object, split_cell
from workbench.capture.cell import source_from_this_cell
from workbench.capture.cell_names import CellNames
from workbench.errors import ModelLoadError
from workbench.model_source import ModelSource

CLASS = "class TritonPythonModel:\n    def execute(self, requests):\n        return []\n"


def test_lines_of_the_model_are_lines_of_the_cell() -> None:
    cell = "\n\n%%triton model m \\\n  --in A:FP32[1]\nx = 1\ny = 2\n"
    line, body = split_cell("model m \\", "  --in A:FP32[1]\nx = 1\ny = 2\n")
    assert line.split() == ["model", "m", "--in", "A:FP32[1]"]
    source = source_from_cell("%%triton model m \\", body, leading=2)
    for number, text in enumerate(cell.splitlines(), start=1):
        if "=" in text:
            assert source.lines[number - 1] == text
    compile(source.text, "model.py", "exec")


def test_the_line_of_an_ordinary_cell_becomes_a_comment() -> None:
    source = source_from_this_cell("import os\n%triton model m --this-cell\nx = 1")
    assert source.text == "import os\n# %triton model m --this-cell\nx = 1\n"


def test_identity_is_the_text() -> None:
    assert ModelSource("a\n").src == ModelSource("a\n", "other label").src
    assert ModelSource("a\n").src != ModelSource("b\n").src
    assert ModelSource("a\n").src == "src:87428fc"  # sha256sum of the file


def test_qualified_names() -> None:
    source = ModelSource(
        "class A:\n    def f(self):\n        def g():\n            1/0\n        g()\ndef f():\n    pass\n"
    )
    assert source.qualified(4, "g") == "A.f.g"
    assert source.qualified(5, "f") == "A.f"
    assert source.qualified(7, "f") == "f"
    assert source.qualified(5, "<lambda>") == "<lambda>"
    assert source.line_of("A.f") == 2


@pytest.mark.parametrize(
    "text",
    [
        CLASS,
        "from other import TritonPythonModel\n",
        "from other import *\n",
        "import other\nTritonPythonModel = other.Model\n",
        "from other import Model as TritonPythonModel\n",
        "try:\n  from a import TritonPythonModel\nexcept ImportError:\n  from b import TritonPythonModel\n",
        "if True:\n" + "".join(f"    {line}\n" for line in CLASS.splitlines()),
        "globals()['TritonPythonModel'] = object\n",
    ],
)
def test_every_way_to_have_the_class(text: str) -> None:
    check_source("m", ModelSource(text))


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("x = 1\n", "the cell needs class TritonPythonModel"),
        ("class Model:\n    def execute(self, r): pass\n", "rename class Model to TritonPythonModel"),
        ("def execute(requests): pass\n", "put execute into a class"),
    ],
)
def test_no_class(text: str, hint: str) -> None:
    with pytest.raises(ModelLoadError) as caught:
        check_source("m", ModelSource(text), serving="src:1234567")
    assert str(caught.value) == "m has no class TritonPythonModel; src:1234567 keeps serving"
    assert caught.value.hint.startswith(hint)


def test_a_syntax_error_is_shown_at_its_line() -> None:
    with pytest.raises(ModelLoadError) as caught:
        check_source("m", ModelSource("# %%triton model m\nx = 1\ndef f(:\n", "Cell In[4]"))
    assert str(caught.value) == "SyntaxError: invalid syntax (m)"
    assert [line.strip() for line in caught.value.render()[1:]] == [
        "Cell In[4], line 3, in <module>",
        "1 # %%triton model m",
        "2 x = 1",
        "---->   3 def f(:",
    ]


def test_a_command_in_a_model_cell_is_named() -> None:
    with pytest.raises(ModelLoadError) as caught:
        check_source("m", ModelSource("# %%triton\n!pip install x\n"))
    assert "no ! or % commands" in caught.value.hint


def test_files_and_classes(tmp_path: Path) -> None:
    file = tmp_path / "my_model.py"
    file.write_text(CLASS)
    assert source_from_object(file).text == CLASS
    assert source_from_object(file).label == "my_model.py"
    with pytest.raises(ModelLoadError, match=r"cannot read none\.py: No such file"):
        source_from_object(tmp_path / "none.py")

    class Local:
        def execute(self) -> None: ...

    text = source_from_object(Local).text
    assert "def test_files_and_classes" in text  # the whole file: methods use what is imported there
    assert text.endswith("TritonPythonModel = Local\n")


def test_this_cell_keeps_every_line_in_its_place() -> None:
    cell = "import numpy\n\n\n%triton model m --this-cell\nclass TritonPythonModel: pass\n"
    source = source_from_this_cell(cell)
    assert source.text == cell.replace("%triton", "# %triton")


def test_names_of_a_cell_with_lines_of_ipythons_own() -> None:
    names = CellNames()
    names.add(
        "def scale(x):\n"
        '    """Is it twice as much?\n\n    It is.\n    """\n'
        "    return 2 * x\n"
        "files = !ls\n"
        "%timeit scale(1)\n"
        "scale?\n"
        "scale.__doc__??\n"
        "?scale\n"
        "a, b = %who_ls\n"
        "LIMIT = 3\n"
    )
    assert set(names) == {"scale", "LIMIT"}
    assert names["LIMIT"] == 3
