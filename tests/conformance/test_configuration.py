"""Environments, python-based backends, ensembles, rescheduling: what a configuration can ask for. Sections 1.8, 5.4, 7."""

from __future__ import annotations

import subprocess
import sys
import tarfile
import venv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.conformance.saying import lines, says
from tests.conformance.targets import LoadError, Target, config, source_of, until

_FP32 = ([("IN", "FP32", [-1])], [("OUT", "FP32", [-1])])
_TEXT = ([("IN", "INT32", [1])], [("TEXT", "BYTES", [-1])])
_ONE = np.array([1], dtype=np.int32)


# Execution environments.


@pytest.fixture(scope="module")
def environment(target: Target, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A virtual environment that sees the packages of the one the stub otherwise uses, and a marker module."""
    if target.host == "live":
        pytest.skip("the live host knows no execution environments")
    folder = tmp_path_factory.mktemp("env") / "environment"
    venv.EnvBuilder(symlinks=True, with_pip=False).create(folder)
    (folder / "lib64").unlink(missing_ok=True)
    python = Path(sys.executable)
    if target.stub == "nvidia":
        from tests.conformance.server_target import ServerTarget

        assert isinstance(target, ServerTarget)
        reference = target.server.install.reference_env
        assert reference is not None
        python = reference / "bin" / "python3"
    code = "import site; print(site.getsitepackages()[0])"
    packages = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()
    (site,) = folder.glob("lib/python*/site-packages")
    (site / "packages.pth").write_text(f"import site; site.addsitedir({packages!r})\n")
    (site / "wb_environment_marker.py").write_text("VALUE = 'from the environment'\n")
    return folder


_ENVIRONMENT = "[os.environ.get('VIRTUAL_ENV'), sys.prefix, __import__('wb_environment_marker').VALUE]"


def _environment_config(path: str) -> str:
    return config(*_TEXT) + f'parameters {{ key: "EXECUTION_ENV_PATH" value {{ string_value: "{path}" }} }}\n'


def test_environment_folder(target: Target, environment: Path) -> None:
    """A folder is used where it is."""
    with target.another(env={"TRITON_WORKBENCH_PYTHON": ""}) as other:
        model = other.load(says(_ENVIRONMENT), _environment_config(str(environment)), name="folder")
        assert lines(model.infer(IN=_ONE)) == [str(environment), str(environment), "from the environment"]


def test_environment_archive(target: Target, environment: Path, tmp_path: Path) -> None:
    """An archive is unpacked once for all models that name it, and again when it has changed."""
    archive = tmp_path / "environment.tar.gz"
    with tarfile.open(archive, "w:gz") as file:
        file.add(environment, arcname=".")
    with target.another(env={"TRITON_WORKBENCH_PYTHON": ""}, log_verbose=1) as other:
        mark = other.log_mark()
        first, second = (
            other.load(
                says("[sys.prefix, __import__('wb_environment_marker').VALUE]"),
                _environment_config(str(archive)),
                name="packed",
            )
            for _ in range(2)
        )
        one, two = lines(first.infer(IN=_ONE)), lines(second.infer(IN=_ONE))
        assert one == two
        assert one[1] == "from the environment"
        assert other.log_text(mark).count("Extracting Python execution env") == 1


def test_environment_in_the_model_folder(target: Target, environment: Path) -> None:
    """$$TRITON_MODEL_DIRECTORY at the start of the path."""
    with target.another(env={"TRITON_WORKBENCH_PYTHON": ""}) as other:
        model = other.load(
            says("[__import__('wb_environment_marker').VALUE]"), _environment_config("$$TRITON_MODEL_DIRECTORY/env"),
            name="inside", loaded=False,
        )  # fmt: skip
        (model.directory / "env").symlink_to(environment)
        other.load_named(model.name)
        assert lines(model.infer(IN=_ONE)) == ["from the environment"]


def test_environment_missing(target: Target, environment: Path) -> None:
    with pytest.raises(LoadError) as raised:
        target.load(says("[1]"), _environment_config("/nonexistent/wb.tar.gz"), name="nowhere")
    assert "Failed to get the canonical path for" in raised.value.text


def test_environment_without_activate(target: Target, environment: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    with pytest.raises(LoadError) as raised:
        target.load(says("[1]"), _environment_config(str(tmp_path)), name="inactive")
    assert f"Path {tmp_path}/bin/activate does not exist" in raised.value.text


def test_environment_variables(target: Target) -> None:
    """The host's environment reaches the model unchanged."""
    if target.host != "server":
        pytest.skip("the live host is this process: see the case on HOME")
    with target.another(env={"WB_CONFORMANCE": "seen"}) as other:
        model = other.load(says("[os.environ.get('WB_CONFORMANCE')]"), config(*_TEXT), name="env")
        assert lines(model.infer(IN=_ONE)) == ["seen"]


@pytest.mark.parametrize("value", ["C.UTF-8", "nonsense"])
def test_locale(target: Target, value: str) -> None:
    """Inherited, if it exists; NVIDIA's interpreter is an isolated one up to 24.10 and takes no notice."""
    if target.host != "server":
        pytest.skip("the live host is this process, whose locale stays")
    with target.another(env={"LC_ALL": value}) as other:
        model = other.load(says("[__import__('locale').getlocale()[1]]"), config(*_TEXT), name="locale")
        (encoding,) = lines(model.infer(IN=_ONE))
    taken = target.stub == "own" and value == "C.UTF-8"
    assert encoding.lower().replace("utf8", "utf-8") == ("utf-8" if taken else "none")


# Python-based backends.


def test_python_based_backend(target: Target, tmp_path: Path) -> None:
    """A folder with a model.py among the backends serves models without code of their own."""
    if target.host == "live":
        pytest.skip("the live host has no folder of backends")
    from tests.conformance.server_target import ServerTarget

    assert isinstance(target, ServerTarget)
    backends = tmp_path / "backends"
    backends.mkdir()
    (backends / "python").symlink_to(target.server.install.backends / "python")
    (backends / "wbadd").mkdir()
    (backends / "wbadd" / "model.py").write_text(
        "from pathlib import Path\n"
        + says(
            "[__name__, Path(pb_utils.get_model_dir(), 'name.txt').read_text(), *sys.path[-2:], self.args['model_repository']]"
        )
    )
    install = replace(target.server.install, backends=backends)
    with target.another(install=install) as other:
        text = config(*_TEXT).replace('backend: "python"', 'backend: "wbadd"')
        for version in (1, 2):
            model = other.load(
                {f"{version}/name.txt": f"version {version}"}, text, name="based", version=version
            )
            said = lines(model.infer(IN=_ONE))
            assert said[:2] == ["model", f"version {version}"]
            assert said[2:] == [str(backends / "wbadd"), said[3], str(model.directory)]
            assert Path(said[3], "triton_python_backend_utils.py").exists()
        plain = other.load(source_of("identity"), config(*_FP32), name="plain")
        assert plain.infer(IN=np.ones(2, dtype=np.float32)).outputs["OUT"].tolist() == [1, 1]


# Ensembles.


def test_ensemble(target: Target) -> None:
    """Python models as the steps of an ensemble."""
    two = (
        [("INPUT0", "FP32", [4]), ("INPUT1", "FP32", [4])],
        [("OUTPUT0", "FP32", [4]), ("OUTPUT1", "FP32", [4])],
    )
    inner = target.load(source_of("add_sub"), config(*two), name="inner")
    step = """{ model_name: "%s" model_version: -1
      input_map { key: "INPUT0" value: "%s" } input_map { key: "INPUT1" value: "%s" }
      output_map { key: "OUTPUT0" value: "%s" } output_map { key: "OUTPUT1" value: "%s" } }"""
    steps = (
        step % (inner.name, "A", "B", "sum", "difference")
        + ","
        + step % (inner.name, "sum", "difference", "C", "D")
    )
    text = (
        'platform: "ensemble"\nmax_batch_size: 0\n'
        'input [ { name: "A" data_type: TYPE_FP32 dims: [4] }, { name: "B" data_type: TYPE_FP32 dims: [4] } ]\n'
        'output [ { name: "C" data_type: TYPE_FP32 dims: [4] }, { name: "D" data_type: TYPE_FP32 dims: [4] } ]\n'
        f"ensemble_scheduling {{ step [ {steps} ] }}\n"
    )
    outer = target.load({"1/.keep": ""}, text, name="outer")
    a, b = np.arange(4, dtype=np.float32), np.full(4, 10, dtype=np.float32)
    answer = outer.infer(A=a, B=b)
    assert answer.error is None
    assert (answer.outputs["C"].tolist(), answer.outputs["D"].tolist()) == (
        (2 * a).tolist(),
        (2 * b).tolist(),
    )


# Rescheduling.


_RESCHEDULING = """\
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    rounds = {}
    def execute(self, requests):
        out = []
        for r in requests:
            key = r.correlation_id()
            seen = self.rounds.setdefault(key, [])
            seen.append((r.flags() & 1, int(pb_utils.get_input_tensor_by_name(r, "IN").as_numpy()[0])))
            if len(seen) < 3:
                r.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
                out.append(%s)
            else:
                r.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_ALL)
                text = np.array([str(self.rounds.pop(key)).encode()], dtype=object)
                out.append(pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", text)]))
        return out
"""
_ITERATIVE = "sequence_batching { iterative_sequence: true }\n"


def test_rescheduling(target: Target) -> None:
    """The request comes back with its tensors, START cleared, until it is answered."""
    model = target.load(_RESCHEDULING % "None", config(*_TEXT, extra=_ITERATIVE), name="again")
    assert model.infer(IN=_ONE).text("TEXT") == "[(1, 1), (0, 1), (0, 1)]"


def test_rescheduling_with_a_response(target: Target) -> None:
    """A response in the list for a request asked back fails the batch."""
    model = target.load(
        _RESCHEDULING % "pb_utils.InferenceResponse([])", config(*_TEXT, extra=_ITERATIVE), name="wrong"
    )
    answer = model.infer(IN=_ONE)
    assert answer.error is not None
    assert (
        "Expected a None object in the execute function return list for reschduled request, found type"
        " '<class 'c_python_backend_utils.InferenceResponse'>'." in answer.error
    )


def test_rescheduling_decoupled(target: Target) -> None:
    """One response each time."""
    source = """\
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    left = {}
    def execute(self, requests):
        for r in requests:
            key = r.correlation_id()
            left = self.left.setdefault(key, int(pb_utils.get_input_tensor_by_name(r, "IN").as_numpy()[0])) - 1
            self.left[key] = left
            if left:
                r.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
            text = pb_utils.Tensor("TEXT", np.array([str(left).encode()], dtype=object))
            r.get_response_sender().send(pb_utils.InferenceResponse([text]), flags=0 if left else 1)
"""
    model = target.load(source, config(*_TEXT, decoupled=True, extra=_ITERATIVE), name="again")
    answers = model.stream(IN=np.array([3], dtype=np.int32))
    assert [a.text("TEXT") for a in answers if a.outputs] == ["2", "1", "0"]


# Schedulers' view.


def test_sequences_stay_with_their_instance(target: Target) -> None:
    """Two sequences at a time on two instances, each with state of its own; START and END arrive as controls."""
    source = """\
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    total = 0
    def execute(self, requests):
        out = []
        for r in requests:
            if pb_utils.get_input_tensor_by_name(r, "START").as_numpy().flat[0]:
                self.total = 0
            self.total += int(pb_utils.get_input_tensor_by_name(r, "IN").as_numpy().flat[0])
            out.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUT", np.array([self.total], dtype=np.int32))]))
        return out
"""
    extra = (
        'sequence_batching { direct {} max_sequence_idle_microseconds: 60000000 control_input [ { name: "START" control'
        " [ { kind: CONTROL_SEQUENCE_START int32_false_true: [0, 1] } ] } ] }\n"
    )
    text = config([("IN", "INT32", [1])], [("OUT", "INT32", [1])], instances=2, extra=extra)
    model = target.load(source, text, name="totals")
    seen: dict[int, list[int]] = {11: [], 12: []}
    for i in range(4):
        for sequence, step in ((11, 1), (12, 10)):
            answer = model.infer(IN=np.array([step], dtype=np.int32), sequence=(sequence, i == 0, i == 3))
            assert answer.error is None, answer.error
            seen[sequence].append(int(answer.outputs["OUT"][0]))
    assert seen == {11: [1, 2, 3, 4], 12: [10, 20, 30, 40]}


def test_ragged_batch(target: Target) -> None:
    """Requests of different shapes in one batch, each with its own tensors."""
    source = """\
import numpy as np
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def execute(self, requests):
        out = []
        for r in requests:
            value = pb_utils.get_input_tensor_by_name(r, "IN").as_numpy()
            text = np.array([[f"{len(requests)} {list(value.shape)}".encode()]], dtype=object)
            out.append(pb_utils.InferenceResponse([pb_utils.Tensor("TEXT", text)]))
        return out
"""
    text = (
        'backend: "python"\nmax_batch_size: 2\n'
        'input [ { name: "IN" data_type: TYPE_FP32 dims: [-1] allow_ragged_batch: true } ]\n'
        'output [ { name: "TEXT" data_type: TYPE_STRING dims: [1] } ]\n'
        "instance_group [ { count: 1 kind: KIND_CPU } ]\n"
        "dynamic_batching { preferred_batch_size: [ 2 ] max_queue_delay_microseconds: 20000000 }\n"
    )
    model = target.load(source, text, name="ragged")
    sent = [model.send(IN=np.zeros((1, length), dtype=np.float32)) for length in (2, 5)]
    assert [each.result().text("TEXT") for each in sent] == ["2 [1, 2]", "2 [1, 5]"]


def test_statistics_of_a_batch(target: Target) -> None:
    """Four requests, one execution."""
    if target.host != "server":
        pytest.skip("statistics of executions are the server's")
    from tests.conformance.server_target import ServerTarget

    assert isinstance(target, ServerTarget)
    extra = "dynamic_batching { preferred_batch_size: [ 4 ] max_queue_delay_microseconds: 20000000 }\n"
    model = target.load(source_of("identity"), config(*_FP32, max_batch_size=4, extra=extra), name="counted")
    for each in [model.send(IN=np.zeros((1, 2), dtype=np.float32)) for _ in range(4)]:
        assert each.result().error is None
    with target.server.http() as client:
        # Counted a moment after the response has gone.
        def stats() -> Any:
            return client.get_inference_statistics(model.name)["model_stats"][0]

        assert until(lambda: stats()["inference_count"] == 4)
        row = stats()
    assert (row["inference_count"], row["execution_count"]) == (4, 1)
    assert row["inference_stats"]["success"]["count"] == 4
    line = f'nv_inference_request_success{{model="{model.name}",version="1"}} 4'
    assert until(lambda: line in target.metrics())


def test_version_policy(target: Target) -> None:
    """Two versions loaded side by side, each with processes of its own."""
    if target.host != "server":
        pytest.skip("the live host serves one revision of a model")
    files: dict[str, str | bytes] = {f"{v}/model.py": says(f"['version {v}', __name__]") for v in (1, 3)}
    text = config(*_TEXT) + "version_policy { all {} }\n"
    model = target.load(files, text, name="versions")
    assert len(target.stub_pids(model.name)) == 2
    assert lines(model.infer(IN=_ONE)) == ["version 3", "3.model"]


def test_invalid_names(target: Target) -> None:
    """Characters a shell would act on, refused from 25.08 on."""
    if target.release < "25.08":
        pytest.skip(f"refused from 25.08 on, this is {target.release}")
    for character in ";|&$`<>()[]{}\\\"'*?~#!":
        with pytest.raises(LoadError):
            target.load(source_of("identity"), config(*_FP32), name=f"bad{character}name", exact_name=True)
