"""Models out of folders: several files, versions, warm-up, Python-based backends, ensembles."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.support.live import ECHO, HEAD, source
from workbench.errors import ModelConfigError, ModelExecutionError, ModelLoadError, ModelNotFound
from workbench.model_config import ModelConfig
from workbench.model_source import ModelSource
from workbench.repository import write_entry
from workbench.targets.live import LiveTarget

CONFIG = """
backend: "python"
input { name: "X" data_type: TYPE_FP32 dims: [ 2 ] }
output { name: "Y" data_type: TYPE_FP32 dims: [ 2 ] }
"""


def model(root: Path, name: str, text: str, *, config: str = "", version: int = 1, **files: str) -> Path:
    """A model's folder; more files by name, without their ``.py``."""
    folder = root / name / str(version)
    folder.mkdir(parents=True)
    (folder / "model.py").write_text(text)
    for each, content in files.items():
        (folder / f"{each}.py").write_text(content)
    (root / name / "config.pbtxt").write_text(CONFIG + config)
    return root / name


def scaled(factor: int) -> str:
    return source(f"return [reply(r, {factor} * take(r)) for r in requests]")


def test_several_files(live: LiveTarget, tmp_path: Path) -> None:
    text = source("return [reply(r, shift(scale(take(r)))) for r in requests]")
    head = "from . import relative\nfrom sibling import scale\nshift = relative.shift\n"
    folder = model(
        tmp_path,
        "m",
        head + text,
        sibling="def scale(x): return 3 * x",
        relative="def shift(x): return x + 1",
    )
    assert live.define("m", folder).infer(X=[1, 2])["Y"].tolist() == [4.0, 7.0]


def test_another_file_name(live: LiveTarget, tmp_path: Path) -> None:
    folder = model(
        tmp_path, "m", "raise SystemExit", config='default_model_filename: "other.py"', other=scaled(2)
    )
    assert live.define("m", folder).infer(X=[1, 2])["Y"].tolist() == [2.0, 4.0]


def test_versions(live: LiveTarget, tmp_path: Path) -> None:
    folder = model(tmp_path, "m", scaled(1))
    (folder / "3").mkdir()
    (folder / "3" / "model.py").write_text(scaled(3))
    assert live.define("m", folder).infer(X=[1, 2])["Y"].tolist() == [3.0, 6.0]
    assert live.metadata("m")["versions"] == ["3"]
    assert live.define("m", folder / "1").infer(X=[1, 2])["Y"].tolist() == [1.0, 2.0]
    assert live.metadata("m")["versions"] == ["1"]
    config = folder / "config.pbtxt"
    config.write_text(CONFIG + "version_policy { specific { versions: [ 1 ] } }")
    assert live.define("m", folder).infer(X=[1, 2])["Y"].tolist() == [1.0, 2.0]
    config.write_text(CONFIG + "version_policy { specific { versions: [ 2 ] } }")
    with pytest.raises(ModelLoadError, match="m has no version 2"):
        live.define("m", folder)
    config.write_text(CONFIG + "version_policy { all { } }")
    with pytest.raises(ModelConfigError, match="selects the versions 1, 3; a live model is one version"):
        live.define("m", folder)


def test_a_configuration_elsewhere(live: LiveTarget, tmp_path: Path) -> None:
    folder = model(tmp_path / "repository", "m", scaled(2))
    file = tmp_path / "other.pbtxt"
    file.write_text(CONFIG.replace("TYPE_FP32", "TYPE_FP64"))
    assert live.define("m", folder / "1", config=file).infer(X=[1, 2])["Y"].dtype == np.float64
    with pytest.raises(ModelConfigError, match=r"cannot read gone\.pbtxt"):
        live.define("m", folder, config=tmp_path / "gone.pbtxt")


def test_a_repository(live: LiveTarget, tmp_path: Path) -> None:
    model(tmp_path, "double", scaled(2))
    model(tmp_path, "triple", scaled(3))
    (tmp_path / "both").mkdir()
    step = (
        'step {{ model_name: "{}" model_version: -1 input_map {{ key: "X" value: "{}" }} '
        'output_map {{ key: "Y" value: "{}" }} }}'
    )
    (tmp_path / "both" / "config.pbtxt").write_text(
        CONFIG.replace('backend: "python"', 'platform: "ensemble"')
        + f"ensemble_scheduling {{ {step.format('double', 'X', 'T')} {step.format('triple', 'T', 'Y')} }}"
    )
    loaded = live.load_repository(tmp_path, "both")
    assert list(loaded) == ["double", "triple", "both"]
    assert loaded["both"].infer(X=[1, 2])["Y"].tolist() == [6.0, 12.0]
    assert sorted(live.load_repository(tmp_path)) == ["both", "double", "triple"]
    with pytest.raises(ModelNotFound, match=r"no model 'bth' in .* \(did you mean both\?\)"):
        live.load_repository(tmp_path, "bth")
    with pytest.raises(ModelNotFound, match="is no model repository"):
        live.load_repository(tmp_path / "both")


BACKEND = (
    HEAD
    + """
import os
class TritonPythonModel:
    @staticmethod
    def auto_complete_config(config):
        config.add_input({"name": "X", "data_type": "TYPE_FP32", "dims": [2]})
        config.add_output({"name": "Y", "data_type": "TYPE_FP32", "dims": [2]})
        return config
    def initialize(self, args):
        self.factor = float(open(os.path.join(pb_utils.get_model_dir(), "factor.txt")).read())
        self.seen = (__name__, os.path.basename(args["model_repository"]))
    def execute(self, requests):
        print(*self.seen)
        out = []
        for r in requests:
            x = pb_utils.get_input_tensor_by_name(r, "X").as_numpy()
            if x[0] < 0: raise ValueError("negative")
            out.append(pb_utils.InferenceResponse([pb_utils.Tensor("Y", self.factor * x)]))
        return out
"""
)


@pytest.fixture
def scaler(tmp_path: Path) -> Path:
    """A Python-based backend, and a repository with a model of it."""
    backend = tmp_path / "backends" / "scaler"
    backend.mkdir(parents=True)
    (backend / "model.py").write_text(BACKEND)
    for name, factor in (("by_two", 2), ("by_five", 5)):
        folder = tmp_path / "repository" / name / "1"
        folder.mkdir(parents=True)
        (folder.parent / "config.pbtxt").write_text('backend: "scaler"')
        (folder / "factor.txt").write_text(str(factor))
    return tmp_path


def test_a_python_based_backend(live: LiveTarget, scaler: Path, printed: list[str]) -> None:
    repository = scaler / "repository"
    with pytest.raises(ModelConfigError, match="by_two: no Python-based backend 'scaler' here"):
        live.define("by_two", repository / "by_two")
    live.register_backend(f"{scaler}/backends/scaler/")
    models = live.load_repository(repository)
    assert models["by_two"].infer(X=[1, 2])["Y"].tolist() == [2.0, 4.0]
    assert models["by_five"].infer(X=[1, 2])["Y"].tolist() == [5.0, 10.0]
    assert printed == ["by_two: model by_two", "by_five: model by_five"]
    with pytest.raises(ModelExecutionError, match="negative") as caught:
        models["by_two"].infer(X=[-1, 2])
    assert caught.value.frames[-1].function == "TritonPythonModel.execute"
    assert caught.value.frames[-1].label == "scaler/model.py"


def test_backend_directory(live: LiveTarget, scaler: Path) -> None:
    live.workbench.configure({"backend-directory": f"{scaler}/backends/"})
    model = live.define("by_two", scaler / "repository" / "by_two")
    assert model.infer(X=[1, 2])["Y"].tolist() == [2.0, 4.0]
    with pytest.raises(ModelConfigError, match=r"the backend backends has no model\.py"):
        live.register_backend(scaler / "backends")


WARM = source(
    "self.lists.append([take(r).ravel().tolist() for r in requests])\nprint(self.lists)\n" + ECHO,
    more="def initialize(self, args):\n    self.lists = []\n",
)


def warm(data: str, *, more: str = "batch_size: 2 count: 2") -> str:
    return (
        f'max_batch_size: 4\nmodel_warmup {{ name: "w" {more} '
        f'inputs {{ key: "X" value {{ data_type: TYPE_FP32 '
        f"dims: [ 2 ] {data} }} }} }}"
    )


def test_warm_up(live: LiveTarget, tmp_path: Path, printed: list[str]) -> None:
    # A batch of two comes as two requests of one execute, twice.
    twice = [[[0.0, 0.0], [0.0, 0.0]]] * 2
    live.define("m", model(tmp_path, "m", WARM, config=warm("zero_data: true"))).infer(X=[1, 2])
    assert printed[-1] == f"m: {[*twice, [[1.0, 2.0]]]}"
    folder = model(tmp_path / "file", "m", WARM, config=warm('input_data_file: "two"', more=""))
    (folder / "warmup").mkdir()
    (folder / "warmup" / "two").write_bytes(np.array([3, 4], dtype=np.float32).tobytes())
    live.define("m", folder).infer(X=[1, 2])
    assert printed[-1] == f"m: {[[[3.0, 4.0]], [[1.0, 2.0]]]}"
    folder = model(tmp_path / "random", "m", WARM, config=warm("random_data: true", more=""))
    live.define("m", folder).infer(X=[1, 2])
    assert "[[1.0, 2.0]]" in printed[-1]


def test_a_warm_up_that_fails_fails_the_load(live: LiveTarget, tmp_path: Path) -> None:
    live.define("m", model(tmp_path, "m", scaled(2)))
    folder = model(tmp_path / "new", "m", source("raise ValueError('cold')"), config=warm("zero_data: true"))
    with pytest.raises(ModelLoadError) as caught:
        live.define("m", folder)
    assert str(caught.value).startswith("failed to run warmup sample 'w': ValueError: cold (m); src:")
    assert caught.value.frames[-1].function == "TritonPythonModel.execute"
    assert live.workbench.model("m").infer(X=[1, 2])["Y"].tolist() == [2.0, 4.0]
    dying = model(tmp_path / "dying", "m", source("os._exit(3)"), config=warm("zero_data: true"))
    with pytest.raises(ModelLoadError, match=r"failed to run warmup sample 'w': m died \(exit code 3\)"):
        live.define("m", dying)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        (warm("zero_data: true", more="batch_size: 5"), "has batch_size 5, more than max_batch_size 4"),
        (warm("zero_data: true").replace('key: "X"', 'key: "Z"'), "has an input Z, the model has none"),
        (warm("zero_data: true").replace("TYPE_FP32", "TYPE_INT8"), "X is TYPE_FP32, not TYPE_INT8"),
        (warm('input_data_file: "../../secret"'), "no warmup data file '../../secret'"),
    ],
)
def test_bad_warm_up(live: LiveTarget, tmp_path: Path, config: str, message: str) -> None:
    with pytest.raises(ModelConfigError, match=message):
        live.define("m", model(tmp_path, "m", scaled(1), config=config))


def test_files_that_are_no_utf8(live: LiveTarget, tmp_path: Path) -> None:
    folder = model(tmp_path, "m", scaled(1))
    file, config = folder / "1" / "model.py", folder / "config.pbtxt"
    whole = file.read_text()
    file.write_bytes((whole + "# grün\n").encode("latin-1"))
    with pytest.raises(ModelLoadError, match=r"cannot read model\.py: not UTF-8 text"):
        live.load_repository(tmp_path)
    file.write_text(whole)
    config.write_bytes((CONFIG + "# grün\n").encode("latin-1"))
    for load in (lambda: live.load_repository(tmp_path), lambda: live.define("m", folder)):
        with pytest.raises(ModelConfigError, match=r"cannot read config\.pbtxt: not UTF-8 text"):
            load()


@pytest.mark.parametrize("path", ["../x", "1", "1/model.py/x"])
def test_a_file_with_no_place_leaves_nothing(tmp_path: Path, path: str) -> None:
    config = ModelConfig.from_specs("m", ["X:FP32[2]"], ["Y:FP32[2]"])
    with pytest.raises(ModelConfigError, match="the file path"):
        write_entry(tmp_path, ModelSource(scaled(1)), config, files={path: b""})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["model.py", "./model.py", "config.pbtxt", "../x.py", "/x.py"])
def test_a_file_beside_the_model_takes_nobodys_place(live: LiveTarget, name: str) -> None:
    with pytest.raises(ModelConfigError, match="is no name for a file beside"):
        live.set_file("m", name, ModelSource("x = 1\n"))


def test_a_file_beside_a_model_of_another_name(live: LiveTarget) -> None:
    config = CONFIG + 'default_model_filename: "other.py"'
    live.define("m", scaled(2), config=config)
    with pytest.raises(ModelConfigError, match="is no name for a file beside"):
        live.set_file("m", "other.py", ModelSource("x = 1\n"))
    assert live.set_file("m", "model.py", ModelSource("x = 1\n")) is not None
    assert live.workbench.model("m").infer(X=[1, 2])["Y"].tolist() == [2.0, 4.0]
