"""What this side answers when a stub asks: logs, metrics, calls to other models, model control."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from workbench.session.bls import BlsRouter
from workbench.session.logs import LEVELS, LogRecord, LogRing
from workbench.session.metrics import MetricClient, MetricRegistry

if TYPE_CHECKING:
    from workbench import _host
    from workbench.session.instance import Instance
    from workbench.session.model_control import ModelControl

__all__ = ["Services"]


class Services:
    """The handlers a channel is given."""

    def __init__(
        self, logs: LogRing, metrics: MetricRegistry, bls: BlsRouter, control: ModelControl, tap: _host.Tap
    ) -> None:
        self.logs = logs
        self.metrics = metrics
        self.bls = bls
        self.control = control
        self.tap = tap

    def log_handler(self, model: str) -> Callable[[int, str, int, str, str], None]:
        """Takes level, file, line, the text to show, and the text as it came."""
        add = self.logs.add

        def handle(level: int, file: str, line: int, text: str, raw: str) -> None:
            name = LEVELS[level] if 0 <= level < len(LEVELS) else "info"
            add(LogRecord(model, name, text, file, line, raw=raw))

        return handle

    def bls_handler(self, caller: Instance) -> Callable[[_host.BlsCall], None]:
        return lambda call: self.bls.handle(caller, call)

    def metric_client(self, model: str) -> MetricClient:
        """For one stub of a model; to be closed when the stub is gone."""
        return self.metrics.client(model)

    def metric_handler(self, client: MetricClient) -> Callable[[_host.MetricCall], int | float | None]:
        return client.handle

    def control_handler(self) -> Callable[[_host.ControlCall], bool | None]:
        return self.control.handle
