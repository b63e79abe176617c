"""pytest fixtures for projects whose models are tested live.

Installed with the package, so that a test only names them::

    def test_sum(triton_model):
        model = triton_model("models/add_sub")
        assert model.infer(A=[1.0], B=[2.0])["SUM"].tolist() == [3.0]
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from workbench.session.model import Model
    from workbench.targets.live import LiveTarget

__all__ = ["live_host", "triton_model"]


@pytest.fixture(scope="session")
def _live_session() -> Iterator[LiveTarget]:
    """One session for the run: its warm process is made once."""
    from workbench.session.workbench import Workbench
    from workbench.targets.live import LiveTarget

    with Workbench() as workbench:
        yield LiveTarget(workbench)


@pytest.fixture
def live_host(_live_session: LiveTarget) -> Iterator[LiveTarget]:
    """A live target without models; after the test its models are stopped and their regions removed.

    ``live_host.define(name, source, inputs, outputs)`` makes a model, ``live_host.load_repository(folder)``
    loads folders, ``live_host.workbench`` is the session.
    """
    try:
        yield _live_session
    finally:
        _live_session.workbench.reset()
        _live_session.configs.clear()
        _live_session.files.clear()
        _live_session.folders.repositories.clear()
        _live_session.folders.backends.clear()


@pytest.fixture
def triton_model(live_host: LiveTarget, request: pytest.FixtureRequest) -> Callable[..., Model]:
    """Load model folders live: ``triton_model("models/pipeline", also=["tokenize"])``.

    A relative path is looked for from the test file's folder, then from pytest's root folder. ``also`` names
    models of the same repository that the model calls.
    """

    def load(folder: str | Path, *, also: tuple[str, ...] | list[str] = ()) -> Model:
        wanted = Path(folder)
        places = [request.path.parent / wanted, request.config.rootpath / wanted]
        found = next((each.resolve() for each in places if each.is_dir()), None)
        if found is None:
            pytest.fail(
                f"there is no model folder {folder}; looked in {', '.join(map(str, places))}", pytrace=False
            )
        for name in also:
            live_host.load_repository(found.parent, name)
        return live_host.load_repository(found.parent, found.name)[found.name]

    return load
