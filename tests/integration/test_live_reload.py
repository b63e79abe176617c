"""A new revision takes over without a gap."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.support.gate import Gate
from tests.support.live import ECHO, define, source
from tests.support.waiting import until
from workbench.errors import ModelConfigError
from workbench.model_config import ModelConfig
from workbench.targets.live import LiveTarget


def test_the_new_one_answers_at_once_and_the_old_one_finalizes(live: LiveTarget) -> None:
    first = define(live, ECHO, more="def finalize(self):\n    pb_utils.Logger.log_info('bye')")
    [old] = live.workbench.hosts["m"].current.instances  # type: ignore[union-attr]
    src = first.src
    second = define(live, "return [reply(r, -x) for r in requests]")
    assert first.src == second.src != src
    assert first.infer(X=[1, 2])["Y"][0] == -1  # a handle reaches what serves now
    live.unload("m")
    assert old.process is not None
    assert old.process.poll() == 0  # it ended by itself
    assert [each.text for each in live.workbench.logs.records("m")] == ["bye"]


def test_no_request_is_lost_while_reloading(live: LiveTarget) -> None:
    model = define(live, "return [reply(r, x * 0 + 1) for r in requests]")
    answers: list[float] = []
    errors: list[BaseException] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            try:
                answers.append(float(model.infer(X=[1, 1])["Y"][0]))
            except BaseException as error:
                errors.append(error)

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for each in askers:
        each.start()
    try:
        until(lambda: answers or errors, "a first answer")
        for number in range(2, 5):
            define(live, f"return [reply(r, x * 0 + {number}) for r in requests]")
            until(lambda: answers[-1] == number or errors, f"an answer of revision {number}")  # noqa: B023
    finally:
        stop.set()
        for each in askers:
            each.join()
    assert not errors
    assert set(answers) == {1.0, 2.0, 3.0, 4.0}


def test_the_old_one_answers_until_the_new_one_is_ready(live: LiveTarget) -> None:
    model = define(live, ECHO)
    src = model.src
    loading = threading.Thread(
        target=lambda: define(
            live,
            "return [reply(r, -x) for r in requests]",
            more="def initialize(self, args):\n    time.sleep(1)",
        )
    )
    loading.start()
    served = 0
    while loading.is_alive() and model.src == src:
        served += model.infer(X=[1, 1])["Y"][0] == 1
    loading.join()
    assert served > 0
    assert model.infer(X=[1, 1])["Y"][0] == -1


def test_requests_under_way_end_on_the_old_one(live: LiveTarget, tmp_path: Path) -> None:
    gate = Gate(tmp_path)
    model = define(live, f"{gate.wait}\n{ECHO}")
    answers: list[float] = []
    slow = threading.Thread(target=lambda: answers.append(float(model.infer(X=[1, 1])["Y"][0])))
    slow.start()
    gate.wait_for_model()
    define(live, "return [reply(r, -x) for r in requests]")
    assert model.infer(X=[1, 1])["Y"][0] == -1
    gate.open()
    slow.join()
    assert answers == [1.0]


def test_reload_through_the_handle(live: LiveTarget) -> None:
    model = define(live, ECHO, max_batch_size=2)
    assert model.reload(source("return [reply(r, -x) for r in requests]")).config.max_batch_size == 2
    assert model.infer(X=[1, 2])["Y"].tolist() == [[-1.0, -2.0]]
    model.reload()
    assert model.infer(X=[1, 2])["Y"].tolist() == [[-1.0, -2.0]]


def test_folders_of_replaced_revisions_go(live: LiveTarget) -> None:
    for number in range(4):
        define(live, f"return [reply(r, x + {number}) for r in requests]")
    live.unload("m")
    assert list(live.workbench.folder.iterdir()) == []


def test_settings_can_be_changed_by_a_reload(live: LiveTarget) -> None:
    model = define(live, ECHO)
    model.reload(backend_config={"shm-default-byte-size": 2 << 20})
    assert model.shm().capacity == 2 << 20
    assert model.infer(X=[1, 2])["Y"].tolist() == [1, 2]  # the signature is what it was
    model.reload()
    assert model.shm().capacity == 2 << 20


def test_a_signature_is_changed_in_part(live: LiveTarget) -> None:
    model = define(live, ECHO)
    assert [each.name for each in model.reload(instances=2).config.instances] == ["m_0_0", "m_0_1"]
    assert model.infer(X=[1, 2])["Y"].tolist() == [1, 2]
    with pytest.raises(ModelConfigError, match="at least 1 instance"):
        model.reload(instances=0)
    assert len(model.config.instances) == 2


def test_the_signature_of_a_folder_is_changed_in_part(live: LiveTarget, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    (folder / "1").mkdir(parents=True)
    (folder / "1" / "model.py").write_text(source(ECHO))
    text = ModelConfig.from_specs("m", ["X:FP32[2]"], ["Y:FP32[2]"], parameters={"k": "v"}).to_text()
    (folder / "config.pbtxt").write_text(text)
    model = live.define("m", folder)
    changed = model.reload(instances=2).config
    assert len(changed.instances) == 2
    assert changed.parameters == {"k": "v"}
    assert model.infer(X=[1, 2])["Y"].tolist() == [1, 2]
