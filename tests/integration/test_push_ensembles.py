"""Ensembles pushed to real servers: what serves when a push of one, or of a model of one, goes wrong."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.servers import revision, value, wait_until_unloaded
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.server_errors import PushError
from workbench.server_install import ServerInstall
from workbench.targets.client import ServerClient
from workbench.targets.process_server import ServerProcess
from workbench.targets.pushed import loose_entry
from workbench.targets.pushing import src_of
from workbench.targets.remote import ServerTarget

pytestmark = pytest.mark.server


@pytest.fixture(scope="module", params=["24.10", "24.07"])
def process(
    request: pytest.FixtureRequest,
    triton_2410: ServerInstall,
    triton_2407: ServerInstall,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[ServerProcess]:
    install = {"24.10": triton_2410, "24.07": triton_2407}[request.param]
    models = tmp_path_factory.mktemp("models")
    with ServerProcess(models, install, auto_complete=False, stop_timeout=3.0) as process:
        yield process


@pytest.fixture
def staging(process: ServerProcess) -> Iterator[ServerTarget]:
    """Serves ``m``, ``n`` and an ensemble ``e`` over ``m``, all of them pushed."""
    target = ServerTarget("staging", ServerClient(f"http://{process.http_address}"))
    target.push(revision("x + 1"))
    target.push(revision("x * 10", "n"))
    target.push(ensemble("m"))
    assert answer(target) == [2, 3]
    yield target
    for name in ("e", "m", "n"):
        if target.ready(name):
            target.unload(name)
    wait_until_unloaded(process)


def ensemble(*models: str, output: str = "Y") -> ModelEntry:
    """``e``: the models one after the other, from ``X`` to ``Y``."""
    steps = "".join(
        f'step {{ model_name: "{model}" model_version: -1 '
        f'input_map {{ key: "X" value: "{"X" if not place else f"T{place}"}" }} '
        f'output_map {{ key: "{output}" value: "{"Y" if place + 1 == len(models) else f"T{place + 1}"}" }} }}'
        for place, model in enumerate(models)
    )
    text = (
        'platform: "ensemble" input { name: "X" data_type: TYPE_FP32 dims: [ 2 ] } '
        f'output {{ name: "Y" data_type: TYPE_FP32 dims: [ 2 ] }} ensemble_scheduling {{ {steps} }}'
    )
    source = ModelSource(text, "Cell In[9]")
    return loose_entry("e", source, ModelConfig.from_text(text, name="e"))


def answer(target: ServerTarget) -> list[float]:
    return value(target, "e")


def differs(target: ServerTarget) -> str:
    return "differs in Y"


def test_an_ensemble_that_answers_otherwise(staging: ServerTarget) -> None:
    old = staging.src("e")
    with pytest.raises(PushError) as failed:
        staging.push(ensemble("n"), smoke=[differs])
    assert failed.value.args[0] == f"smoke request 1 differs in Y; staging serves {old}"
    assert failed.value.serving == old
    assert (staging.src("e"), answer(staging)) == (old, [2, 3])


@pytest.mark.parametrize("bad", [ensemble("nosuch"), ensemble("m", output="NOSUCH")])
def test_an_ensemble_that_does_not_load(staging: ServerTarget, bad: ModelEntry) -> None:
    old = staging.src("e")
    with pytest.raises(PushError, match=f"; staging serves {old}$") as failed:
        staging.push(bad)
    assert failed.value.serving == old
    assert (staging.src("e"), answer(staging)) == (old, [2, 3])


def test_an_ensemble_whose_check_is_interrupted(staging: ServerTarget) -> None:
    def interrupted(target: ServerTarget) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        staging.push(ensemble("n"), smoke=[interrupted])
    assert answer(staging) == [2, 3]


def test_an_ensemble_rolled_back(staging: ServerTarget) -> None:
    old = staging.src("e")
    staging.push(ensemble("m", "n"))
    assert answer(staging) == [20, 30]
    report = staging.rollback("e")
    assert (report.src, report.state) == (old, "READY")
    assert ("roll back", f"{old} sent again") in report.steps
    assert (staging.src("e"), answer(staging)) == (old, [2, 3])
    # Nothing served before the first one.
    assert staging.rollback("e").state == "UNAVAILABLE"
    assert not staging.ready("e")


def test_an_ensemble_taken_back(staging: ServerTarget) -> None:
    """As a push to several servers does with those that took it, when one does not."""
    before = staging.snapshot("e")
    staging.push(ensemble("m", "n"))
    assert staging.undo("e", before) == src_of(before)
    assert answer(staging) == [2, 3]


def test_models_sent_again(staging: ServerTarget) -> None:
    for name in ("e", "m", "n"):
        staging.client.unload(name)
    served = staging._pushes.again()
    assert served == {name: staging.src(name) for name in ("e", "m", "n")}
    assert all(src.startswith("src:") for src in served.values())
    assert answer(staging) == [2, 3]


def test_a_model_under_an_ensemble_that_does_not_load(staging: ServerTarget) -> None:
    old = staging.src("m")
    with pytest.raises(PushError, match=f"No module named 'nosuch' \\(m\\); staging serves {old}"):
        staging.push(revision("x", top="import nosuch"))
    assert (staging.src("m"), value(staging), answer(staging)) == (old, [2, 3], [2, 3])


def test_a_model_under_an_ensemble_that_answers_otherwise(staging: ServerTarget) -> None:
    old = staging.src("m")
    with pytest.raises(PushError, match=f"smoke request 1 differs in Y; staging serves {old}"):
        staging.push(revision("x + 5"), smoke=[differs])
    assert (staging.src("m"), value(staging), answer(staging)) == (old, [2, 3], [2, 3])


def test_a_model_under_an_ensemble_with_other_tensors(staging: ServerTarget) -> None:
    """The ensemble's connections do not fit it; what the server makes of that is told as it is."""
    other = revision("x + 5", config=ModelConfig.from_specs("m", ["X:FP32[2]"], ["Z:FP32[2]"]))
    old = staging.src("m")
    with pytest.raises(PushError, match=f"; staging serves {old}"):
        staging.push(other, smoke=[differs])
    assert (staging.src("m"), value(staging), answer(staging)) == (old, [2, 3], [2, 3])
