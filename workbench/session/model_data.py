"""Models and their errors as JSON, for views: the panel, widgets, ``--json``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workbench.errors import Frame
from workbench.session.ensemble import EnsembleRevision
from workbench.session.mocks import MockModel
from workbench.session.model_table import signature

if TYPE_CHECKING:
    from workbench.session.model_host import ModelHost
    from workbench.session.workbench import Workbench

__all__ = ["error_data", "model_data", "models_data"]


def error_data(error: BaseException, model: str = "", operation: str | None = None) -> dict[str, Any]:
    """``{model, ename, evalue, hint, line, cell, op}``; ``line`` is the line of the cell where it failed.

    Args:
        error: What was raised.
        model: Whose error it is.
        operation: What was being done, ``reload`` say.
    """
    frame = _innermost(getattr(error, "frames", ()))
    return {
        "model": model,
        "ename": type(error).__name__,
        "evalue": str(error),
        "hint": getattr(error, "hint", ""),
        "line": frame.line if frame else None,
        "cell": (frame.label or None) if frame else None,
        "op": operation,
    }


def _innermost(frames: tuple[Frame, ...]) -> Frame | None:
    return next((each for each in reversed(frames) if each.is_model and each.line > 0), None)


def models_data(workbench: Workbench) -> list[dict[str, Any]]:
    """Every model and every mock that answers, in order of name."""
    names = {*workbench.hosts, *workbench.bls.mocks}
    found = [model_data(workbench, name) for name in sorted(names)]
    return [each for each in found if each is not None]


def model_data(workbench: Workbench, name: str) -> dict[str, Any] | None:
    """A model as data; None if there is none of that name."""
    mock = workbench.bls.mocks.get(name)
    if isinstance(mock, MockModel) and workbench.bls.serving(name) is None:
        return _mock(mock)
    host = workbench.hosts.get(name)
    return _host(host) if host is not None else None


def _host(host: ModelHost) -> dict[str, Any]:
    current, error = host.current, host.failure
    config = current.config if current is not None else None
    tried, served = host.tried, current.plan.entry.source if current is not None else None
    instances = [] if current is None or isinstance(current, EnsembleRevision) else list(current.instances)
    channel = instances[0].channel if instances else None
    shown = served or tried
    operation = "load"
    if error is None and current is not None:
        error, operation = current.failure, "restart"
    return {
        "name": host.name,
        "state": "LOADING" if host.loading else host.state,
        "target": "live",
        "src": host.serving or None,
        "device": _device(config) if config is not None else "cpu",
        "instances": len(instances),
        "is_mock": False,
        "decoupled": bool(config is not None and config.decoupled),
        "signature": signature(config) if config is not None else "",
        "error": error_data(error, host.name, operation) if error is not None else None,
        "cell": shown.label if shown is not None and shown.label.startswith("Cell") else None,
        "cell_text_hash": _digits(tried.src) if tried is not None else None,
        "failed_src": tried.src if host.failure is not None and tried is not None else None,
        "requests": host.counts(),
        "reload_ms": host.reload_ms,
        "region": channel.region_name if channel is not None else None,
    }


def _mock(mock: MockModel) -> dict[str, Any]:
    return {
        "name": mock.name,
        "state": "READY",
        "target": "mock",
        "src": None,
        "device": "cpu",
        "instances": 0,
        "is_mock": True,
        "decoupled": False,
        "signature": signature(mock.config),
        "error": None,
        "cell": None,
        "cell_text_hash": None,
        "failed_src": None,
        "requests": {"success": 0, "failure": 0},
        "reload_ms": None,
        "region": None,
    }


def _device(config: Any) -> str:
    gpus = sorted({each.device_id for each in config.instances if each.kind == "GPU"})
    return ", ".join(f"gpu:{each}" for each in gpus) or "cpu"


def _digits(src: str) -> str:
    return src.removeprefix("src:")
