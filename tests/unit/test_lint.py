"""Every rule of the lint, with a source it speaks of and one it leaves alone."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from workbench.errors import LintError, WorkbenchUsageError
from workbench.lint import LintReport, lint
from workbench.lint import check as rules
from workbench.model_config import ModelConfig
from workbench.model_source import ModelSource

EXAMPLES = Path(__file__).parents[2] / "examples"
NEWEST = "26.07"


def check(text: str, *, decoupled: bool = False, release: str = NEWEST) -> LintReport:
    config = ModelConfig.from_specs("m", ["X:FP32[2]"], ["Y:FP32[2]"], decoupled=decoupled)
    return lint("m", ModelSource(text), config, release)


def model(body: str, *, head: str = "", signature: str = "def execute(self, requests):") -> str:
    """A model whose execute starts at line 4, plus the lines of `head`."""
    return (
        "import numpy as np\nimport triton_python_backend_utils as pb_utils\n"
        + textwrap.dedent(head)
        + "class TritonPythonModel:\n"
        + textwrap.indent(f"{signature}\n{textwrap.indent(textwrap.dedent(body), '    ')}\n", "    ")
    )


GOOD = "return [pb_utils.InferenceResponse([pb_utils.Tensor('Y', np.ones(2))]) for _ in requests]"
SENDS = "for r in requests:\n    s = r.get_response_sender()\n    s.send(flags={})"
FINAL = SENDS.format("pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL")


@pytest.mark.parametrize(
    ("bad", "good", "found"),
    [
        pytest.param("class TritonPythonModel", model(GOOD), [("W100", 1)], id="syntax"),
        pytest.param("x = 1", model(GOOD), [("W100", 1)], id="no class"),
        pytest.param(
            model(GOOD, signature="def execute(self, requests: list[pb_utils.InferenceRequest]):"),
            "from __future__ import annotations\n"
            + model(GOOD, signature="def execute(self, requests: list[pb_utils.InferenceRequest]):"),
            [("W101", 4)],
            id="annotation",
        ),
        pytest.param(
            model(GOOD, head="def f() -> pb_utils.Tensor: ...\n"),
            model(GOOD, head="def f() -> 'pb_utils.Tensor': ...\n"),
            [("W101", 3)],
            id="returned",
        ),
        pytest.param(
            model(GOOD, head="def f(x=pb_utils.PreferredMemory): ...\n"),
            model(GOOD, head="def f(x=None): return x or pb_utils.PreferredMemory\n"),
            [("W101", 3)],
            id="default",
        ),
        pytest.param(
            model(GOOD, head="class E(pb_utils.TritonModelException): ...\n"),
            model(GOOD, head="class E(Exception): ...\n"),
            [("W101", 3)],
            id="base",
        ),
        pytest.param(
            model(GOOD, head="LOG = pb_utils.Logger\n"),
            model(GOOD, head="FLAG = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL\n"),
            [("W101", 3)],
            id="top level",
        ),
        pytest.param(
            model(GOOD, head="from triton_python_backend_utils import Tensor\n"),
            model(
                GOOD,
                head="""\
                from typing import TYPE_CHECKING
                if TYPE_CHECKING:
                    from triton_python_backend_utils import Tensor
                """,
            ),
            [("W101", 3)],
            id="from import",
        ),
        pytest.param(
            "class TritonPythonModel:\n    def initialize(self, args): ...",
            "class Base:\n    def execute(self, requests): return []\nclass TritonPythonModel(Base): ...",
            [("W201", 1)],
            id="no execute",
        ),
        pytest.param(model("return (1, 2)"), model("return self.run(requests)"), [("W202", 5)], id="tuple"),
        pytest.param(
            model("return pb_utils.InferenceResponse([])"),
            model("return list(pb_utils.InferenceResponse([]) for _ in requests)"),
            [("W202", 5)],
            id="one response",
        ),
        pytest.param(
            model("return [pb_utils.Tensor('Y', np.ones(2))]"), model(GOOD), [("W202", 5)], id="bare tensor"
        ),
        pytest.param(model("yield 1"), model(GOOD), [("W202", 4)], id="generator"),
        pytest.param(model("return None"), model(FINAL + "\nreturn None"), [("W203", 5)], id="None"),
        pytest.param(model("return [None]"), model(FINAL + "\nreturn [None]"), [("W203", 5)], id="[None]"),
        pytest.param(model("x = 1"), model("raise NotImplementedError"), [("W203", 4)], id="returns nothing"),
        pytest.param(
            model("x = pb_utils.Tensor('Y', np.array(['a']))\nreturn []"),
            model("x = pb_utils.Tensor('Y', np.array(['a'], dtype=np.object_))\nreturn []"),
            [("W301", 5)],
            id="str array",
        ),
        pytest.param(
            model("x = pb_utils.Tensor('Y', np.asarray(requests).astype(str))\nreturn []"),
            model("x = pb_utils.Tensor('Y', np.asarray(requests).astype(bytes))\nreturn []"),
            [("W301", 5)],
            id="astype str",
        ),
        pytest.param(
            model("return scale(requests)"),
            model("return scale(requests)", head="def scale(x): return x\n"),
            [("W401", 5)],
            id="undefined function",
        ),
        pytest.param(
            model(GOOD, head="WEIGHTS = load()\n"),
            model(GOOD, head="try:\n    WEIGHTS = load()\nexcept NameError:\n    WEIGHTS = None\n"),
            [("W401", 3)],
            id="undefined at the top",
        ),
        pytest.param(
            model("return get_ipython().run(requests)"),
            model("from IPython import get_ipython\nreturn get_ipython().run(requests)"),
            [("W401", 5)],
            id="kernel's own",
        ),
        pytest.param(
            model("breakpoint()\nreturn []"),
            model("self.breakpoint = 1\nreturn []"),
            [("W402", 5)],
            id="breakpoint",
        ),
        pytest.param(
            model("import pdb\npdb.set_trace()\nreturn []"),
            model("import pdb\nreturn []"),
            [("W402", 6)],
            id="set_trace",
        ),
        pytest.param(
            model(GOOD) + "    def initialize(self, args):\n        pb_utils.unload_model('m')\n",
            model(GOOD) + "    def initialize(self, args):\n        pb_utils.load_model('m')\n",
            [("W403", 7)],
            id="unload in initialize",
        ),
    ],
)
def test_rule(bad: str, good: str, found: list[tuple[str, int]]) -> None:
    assert [(each.code, each.line) for each in check(bad)] == found
    assert list(check(good)) == []


@pytest.mark.parametrize(
    ("bad", "good", "found"),
    [
        pytest.param(model("return [1]"), model(FINAL), [("W204", 4), ("W205", 5)], id="a list"),
        pytest.param(model(SENDS.format(0)), model(FINAL), [("W204", 4)], id="no final flag"),
        pytest.param(model("pass"), model(FINAL + "\nreturn None"), [("W204", 4)], id="no sender"),
        pytest.param(
            model(SENDS.format(0)), model(SENDS.format("self.flags")), [("W204", 4)], id="computed flags"
        ),
        pytest.param(
            model("pass"),
            model("import answer\nfor r in requests: answer.all(r.get_response_sender())"),
            [("W204", 4)],
            id="sender handed on",
        ),
    ],
)
def test_rule_of_decoupled_models(bad: str, good: str, found: list[tuple[str, int]]) -> None:
    assert [(each.code, each.line) for each in check(bad, decoupled=True)] == found
    assert list(check(good, decoupled=True)) == []


@pytest.mark.parametrize(
    ("text", "since", "before", "line"),
    [
        (model("return [pb_utils.InferenceResponse([], parameters={'a': 1})]"), "25.02", "25.01", 5),
        (model("it = self.r.exec(decoupled=True)\nit.cancel()\nreturn []"), "25.04", "25.03", 6),
        (model(GOOD) + "    def is_ready(self): return True\n", "26.03", "26.02", 6),
        (model("k = pb_utils.MetricFamily.HISTOGRAM\nreturn []"), "24.08", "24.07", 5),
        (model(FINAL), "24.06", "24.05", 6),
        (model("c = requests[0].is_cancelled()\nreturn []"), "23.10", "23.09", 5),
        (model("pb_utils.load_model('other')\nreturn []"), "23.07", "23.06", 5),
        (
            model("e = pb_utils.TritonError('x', pb_utils.TritonError.CANCELLED)\nreturn []"),
            "23.10",
            "23.09",
            5,
        ),
    ],
)
def test_a_feature_and_the_release_it_came_with(text: str, since: str, before: str, line: int) -> None:
    assert list(check(text, release=since)) == []
    assert list(check(text)) == []
    (finding,) = check(text, release=before)
    assert (finding.code, finding.line) == ("W501", line)
    assert f"needs release {since}, not {before}" in finding.text


def test_async_tasks_are_no_response_iterators() -> None:
    assert list(check(model("self.task.cancel()\nt = self.t\nt.cancel()\nreturn []"), release="24.04")) == []


def test_names_python_itself_gives_are_defined() -> None:
    text = model(
        """
        here = __file__, __name__, __class__, len
        squares = [i * i for i in range(3) if (half := i / 2)]
        def inner():
            nonlocal here
            global later
            later = here
        try:
            pass
        except ValueError as error:
            print(error, half, squares, inner, later)
        return []
        """
    )
    assert list(check(text)) == []


def test_the_report() -> None:
    report = check(model("return scale(None)\nreturn None"))
    assert not report
    hint = "define or import it in the cell; --with scale takes a function of another cell along"
    assert repr(report).splitlines() == [
        "Lint m: 2 findings for 26.07",
        "  W401  line 5  scale is not defined in the model",
        f"                hint: {hint}",
        "  W203  line 6  execute returns None: a server's client waits for ever",
        "                hint: return a list with a response for each request",
    ]
    with pytest.raises(LintError, match=r"Lint m: 2 findings for 26\.07") as caught:
        report.raise_if_any()
    assert caught.value.report is report
    assert "  W203  line 6" in "\n".join(caught.value.render())
    good = check(model(GOOD))
    assert good
    good.raise_if_any()
    assert repr(good) == "Lint m: portable to 26.07"


def test_a_release_that_is_none() -> None:
    with pytest.raises(WorkbenchUsageError, match="unknown release '2410'"):
        check(model(GOOD), release="2410")


@pytest.mark.parametrize(
    "path", sorted(EXAMPLES.rglob("model.py")), ids=lambda path: str(path.relative_to(EXAMPLES).parts[0])
)
def test_the_examples_are_portable(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    config = path.parent.parent / "config.pbtxt"
    read = ModelConfig.from_text(config.read_text(), name="m") if config.is_file() else None
    assert repr(lint("m", ModelSource(text), read, NEWEST)) == "Lint m: portable to 26.07"


def test_the_table_of_rules_names_each_that_there_is() -> None:
    sources = sorted(Path(rules.__file__).parent.glob("*.py"))
    used = {code for path in sources for code in re.findall(r'"(W\d{3})"', path.read_text())}
    assert used == set(re.findall(r"^W\d{3}", rules.__doc__ or "", re.MULTILINE))
