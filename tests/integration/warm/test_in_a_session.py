"""Warm starts in a session and in a notebook."""

from __future__ import annotations

from types import ModuleType

import pytest

from tests.integration.warm.stubs import SECONDS
from tests.support.live import define
from tests.support.notebook import Notebook
from workbench.errors import WorkbenchUsageError
from workbench.launch import WarmLauncher
from workbench.targets.live import LiveTarget


def warmth(live: LiveTarget) -> WarmLauncher:
    launcher = live.workbench._launchers["own", ""]
    assert isinstance(launcher, WarmLauncher)
    return launcher


def test_models_of_a_session_start_warm(live: LiveTarget) -> None:
    live.workbench.preload()
    assert warmth(live).wait_ready(SECONDS)
    for factor in (1, 2):
        model = define(live, f"return [reply(r, take(r) * {factor}) for r in requests]", instances=2)
        assert model.infer(X=[1, 2])["Y"].tolist() == [factor, 2 * factor]
    assert (warmth(live).warm_starts, warmth(live).cold_starts) == (4, 0)


def test_libraries_compute_after_a_fork(live: LiveTarget) -> None:
    """OpenBLAS has stopped its threads for the fork and starts them again."""
    live.workbench.preload()
    assert warmth(live).wait_ready(SECONDS)
    model = define(
        live, "s = np.ones((700, 700)) @ np.ones((700, 700))\nreturn [reply(requests[0], x * s[0, 0])]"
    )
    assert model.infer(X=[1, 2])["Y"].tolist() == [700, 1400]
    assert warmth(live).warm_starts == 1


@pytest.mark.torch
def test_torch_is_there_after_its_first_load(live: LiveTarget, torch: ModuleType) -> None:
    execute = "import torch\ns = float((torch.ones(700, 700) @ torch.ones(700, 700))[0, 0])\n"
    execute += "return [reply(requests[0], x * np.float32(s + ahead))]"
    initialize = "def initialize(self, args):\n    global ahead\n    ahead = 'torch' in sys.modules"
    define(live, execute, more=initialize)
    assert warmth(live).wait_ready(SECONDS)
    assert "torch" in warmth(live).status.modules
    model = define(live, execute, more=initialize)
    assert model.infer(X=[1, 2])["Y"].tolist() == [701, 1402]
    assert warmth(live).warm_starts == 1


def test_preload_in_a_notebook(notebook: Notebook) -> None:
    assert repr(notebook.run("%triton preload psutil")) == "Preload: psutil"
    assert repr(notebook.run("%triton preload json")) == "Preload: psutil, json"
    with pytest.raises(WorkbenchUsageError, match="psutill is not an installed module"):
        notebook.run("%triton preload psutill")
