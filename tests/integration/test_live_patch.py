"""--patch: new methods, old state."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.support.live import define, source
from tests.support.notebook import Notebook
from workbench import api
from workbench.errors import (
    ModelConfigError,
    ModelExecutionError,
    ModelLoadError,
    ModelNotFound,
    WorkbenchError,
)
from workbench.model_source import ModelSource
from workbench.repository.model_files import model_files
from workbench.server_install import ServerInstall
from workbench.session.model import Model
from workbench.targets.live import LiveTarget

STATE = """
def initialize(self, args):
    print("initialize")
    self.state = os.getpid()
    global shared
    shared = 7
"""
IO: tuple[list[str], list[str]] = (["X:FP32[2]"], ["Y:FP32[2]"])


def versioned(value: str, more: str = STATE) -> str:
    """Answers [a number of the version, what initialize left]."""
    return source(
        f"return [reply(r, np.array([{value}, self.state], np.float32)) for r in requests]", more=more
    )


def ask(model: Model) -> list[float]:
    found: list[float] = model.infer(X=[1, 1])["Y"].tolist()
    return found


def test_methods_change_and_state_stays(live: LiveTarget, printed: list[str]) -> None:
    model = live.define("m", versioned("1"), *IO)
    [instance] = live.workbench.hosts["m"].current.instances  # type: ignore[union-attr]
    _, state = ask(model)
    assert not model.is_patched
    patched = live.define("m", versioned("2"), patch=True)
    assert ask(model) == [2, state]
    assert live.workbench.hosts["m"].current.instances == [instance]  # type: ignore[union-attr]
    assert printed == ["m: initialize"]
    assert patched.is_patched
    assert repr(patched).startswith(f"Model m  READY  live  {patched.src}  patched  in: X")
    # What initialize left in the module is there too, and another patch goes over the first.
    model.reload(versioned("shared"), patch=True)
    assert ask(model) == [7, state]
    model.reload()
    assert not model.is_patched
    assert ask(model)[0] == 7
    assert printed == ["m: initialize", "m: initialize"]


def test_every_instance_is_patched_while_requests_go_on(live: LiveTarget) -> None:
    model = live.define("m", versioned("1"), *IO, instances=2)
    answers: list[float] = []
    errors: list[BaseException] = []
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                answers.append(ask(model)[0])
            except BaseException as error:
                errors.append(error)

    workers = [threading.Thread(target=work) for _ in range(3)]
    for each in workers:
        each.start()
    for number in range(2, 12):
        model.reload(versioned(str(number)), patch=True)
        assert {ask(model)[0] for _ in range(4)} == {number}
    stop.set()
    for each in workers:
        each.join()
    assert not errors
    assert set(answers) <= set(range(1, 12))


@pytest.mark.parametrize(
    ("text", "message", "line"),
    [
        ("import no_such_module_here\n" + versioned("2"), "ModuleNotFoundError: No module named 'no_such", 1),
        (versioned("2") + "raise ValueError('no')\n", "ValueError: no", 0),
        (
            versioned("2").replace(
                "class TritonPythonModel:", "class TritonPythonModel:\n    __slots__ = ()"
            ),
            "",
            0,
        ),
    ],
    ids=["import", "body", "layout"],
)
def test_a_patch_that_fails_changes_nothing(live: LiveTarget, text: str, message: str, line: int) -> None:
    model = live.define("m", versioned("1"), *IO, instances=2)
    before, src = ask(model), model.src
    with pytest.raises(ModelLoadError) as caught:
        model.reload(text, patch=True)
    assert str(caught.value).endswith(f"(m); {src} keeps serving")
    assert message in str(caught.value)
    if line:
        assert [(each.line, each.is_model) for each in caught.value.frames][-1] == (line, True)
    assert (ask(model)[0], model.src, model.is_patched) == (before[0], src, False)
    assert str(model.error) == str(caught.value)
    model.reload(versioned("3"), patch=True)
    assert ask(model)[0] == 3


def test_an_error_after_a_patch_is_at_the_new_lines(live: LiveTarget) -> None:
    model = live.define("m", versioned("1"), *IO)
    text = "\n\n" + versioned("1 / 0")
    model.reload(text, patch=True)
    with pytest.raises(ModelExecutionError) as caught:
        ask(model)
    frame = [each for each in caught.value.frames if each.is_model][-1]
    assert "1 / 0" in text.splitlines()[frame.line - 1]
    assert frame.source == tuple(text.splitlines())


def test_helpers_are_patched_too(live: LiveTarget) -> None:
    def text(value: int) -> ModelSource:
        helper = ModelSource(f"class Scale:\n    def __call__(self, x):\n        return x * {value}\n")
        return ModelSource(
            "from . import utils\nimport helpers\n"
            + source(
                "return [reply(r, self.scale(x) + utils.OFFSET) for r in requests]",
                more="def initialize(self, args):\n    self.scale = helpers.Scale()",
            ),
            siblings=(("helpers.py", helper), ("utils.py", ModelSource(f"OFFSET = {value * 100}\n"))),
        )

    model = live.define("m", text(1), *IO)
    assert model.infer(X=[1, 2])["Y"].tolist() == [101, 102]
    model.reload(text(2), patch=True)
    assert model.infer(X=[1, 2])["Y"].tolist() == [202, 204]


def test_a_process_that_dies_starts_again_with_the_patched_source(live: LiveTarget) -> None:
    model = live.define("m", versioned("1"), *IO)
    model.reload(versioned("2"), patch=True)
    [instance] = live.workbench.hosts["m"].current.instances  # type: ignore[union-attr]
    assert instance.process is not None
    instance.process.kill()
    with pytest.raises(WorkbenchError, match=f"restarted with {model.src}"):
        ask(model)
    assert ask(model)[0] == 2
    assert model.is_patched


def test_what_a_patch_refuses(live: LiveTarget) -> None:
    with pytest.raises(ModelNotFound, match="m is not loaded, so there is nothing to patch"):
        live.define("m", versioned("1"), patch=True)
    live.define("m", versioned("1"), *IO)
    with pytest.raises(ModelConfigError, match="a patch cannot change the configuration of m"):
        live.define("m", versioned("2"), ["X:FP32[3]"], ["Y:FP32[2]"], patch=True)
    with pytest.raises(ModelConfigError, match="a patch cannot change the settings of m"):
        live.define("m", versioned("2"), backend_config={"stub": "nvidia"}, patch=True)
    assert not live.define("m", versioned("2"), *IO).is_patched
    # The same signature again is no change.
    assert live.define("m", versioned("3"), *IO, patch=True).is_patched


def test_folders_go_with_the_revision(live: LiveTarget) -> None:
    model = live.define("m", versioned("1"), *IO)
    for number in range(2, 5):
        model.reload(versioned(str(number)), patch=True)
    with pytest.raises(ModelLoadError):
        model.reload("raise ValueError\n" + versioned("5"), patch=True)
    assert len(list(live.workbench.folder.iterdir())) == 4
    live.unload("m")
    assert list(live.workbench.folder.iterdir()) == []


def test_a_patched_model_stays_here(notebook: Notebook, tmp_path: Path) -> None:
    head = "%%triton model m --in X:FP32[2] --out Y:FP32[2]"
    notebook.run(f"{head}\n{versioned('1')}")
    notebook.run(f"{head} --patch\n{versioned('2')}")
    with pytest.raises(WorkbenchError, match="m is patched"):
        notebook.run(f"%triton export m {tmp_path / 'repository'}")
    assert not (tmp_path / "repository" / "m").exists()
    api.model("m").reload()
    notebook.run(f"%triton export m {tmp_path / 'repository'}")
    assert (tmp_path / "repository" / "m" / "1" / "model.py").is_file()


def test_what_leaves_the_workbench_is_whole(live: LiveTarget) -> None:
    define(live, "return [reply(r, x) for r in requests]").reload(
        source("return [reply(r, -x) for r in requests]"), patch=True
    )
    with pytest.raises(WorkbenchError, match="was never loaded as a whole") as caught:
        model_files(live.workbench.hosts["m"].entry)
    assert caught.value.hint == 'run its cell once without --patch, or wb.model("m").reload()'


@pytest.mark.server
def test_nvidias_stub_is_not_patched(live: LiveTarget, triton_2410: ServerInstall) -> None:
    model = define(live, "return [reply(r, x) for r in requests]", backend_config={"stub": "nvidia"})
    with pytest.raises(WorkbenchError, match="m runs in NVIDIA's stub, which cannot be patched"):
        model.reload(source("return [reply(r, -x) for r in requests]"), patch=True)
