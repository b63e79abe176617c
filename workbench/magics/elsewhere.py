"""``--on SERVER``: what a subcommand does where the model runs on a server."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.capture import check_source, source_from_object
from workbench.errors import InputError, ModelFailure, WorkbenchUsageError
from workbench.magics.infer import request_inputs, request_options, show_in_full
from workbench.magics.replay import chosen_requests
from workbench.magics.services import MetricsText
from workbench.magics.streaming import infer_streamed
from workbench.magics.trace import trace_elsewhere
from workbench.messages import InferResult
from workbench.model_config import ModelConfig
from workbench.model_source import ModelSource
from workbench.repository import open_entry
from workbench.session.replay import ReplayReport, inputs_of
from workbench.targets import servers
from workbench.targets.live_sources import given_config
from workbench.targets.push_report import PushReport
from workbench.targets.pushed import loose_entry
from workbench.targets.recorded import replay_on
from workbench.targets.remote import ServerTarget
from workbench.targets.server_bench import bench_server
from workbench.targets.server_tables import LogText, ServerModels

if TYPE_CHECKING:
    from workbench.magics.arguments import HelpText
    from workbench.magics.triton import Call
    from workbench.session.bench import BenchResult
    from workbench.targets.live import LiveTarget

__all__ = ["run_elsewhere"]


def run_elsewhere(call: Call) -> Any:
    """A subcommand with ``--on SERVER``. Raises WorkbenchUsageError for one that only means live models."""
    name = call.line.split(None, 1)[0]
    handler = _ELSEWHERE.get(name)
    if handler is None:
        raise WorkbenchUsageError(
            f"%triton {name} works on live models only", hint=f"with --on go: {', '.join(sorted(_ELSEWHERE))}"
        )
    return handler(call, servers.find(call.arguments.on))


class _Elsewhere:
    """Stands in for the live target where a cell defines a model: the model is pushed."""

    def __init__(self, live: LiveTarget, server: ServerTarget) -> None:
        self.configs = live.configs
        self._live = live
        self._server = server

    def define(
        self,
        name: str,
        source: ModelSource | Path | str,
        inputs: Sequence[str] = (),
        outputs: Sequence[str] = (),
        config: ModelConfig | str | None = None,
        *,
        backend_config: Any = None,
        **options: Any,
    ) -> PushReport:
        if backend_config:
            raise WorkbenchUsageError(
                "a server's backend settings are given when it is started",
                hint=f"%triton server start {self._server.name} --backend-config ...",
            )
        made = given_config(name, self._live.configs.get(name), inputs, outputs, config, options)
        if isinstance(source, Path) and source.is_dir():
            return self._server.push(open_entry(source, made))
        text = source if isinstance(source, ModelSource) else source_from_object(source)
        check_source(name, text, serving=self._server.src(name))
        return self._server.push(loose_entry(name, text, made or ModelConfig.from_specs(name)))


def _model(call: Call, server: ServerTarget) -> Any:
    from workbench.magics import serve

    stand_in: Any = _Elsewhere(call.target, server)
    return serve._model(dataclasses.replace(call, target=stand_in))


class _Streaming:
    """A server's model as `infer_streamed` takes it."""

    def __init__(self, server: ServerTarget, name: str) -> None:
        self.name = name
        self._server = server

    def stream(self, inputs: Any, **options: Any) -> Any:
        return self._server.stream(self.name, inputs, **options)


def _infer(call: Call, server: ServerTarget) -> InferResult:
    given = call.arguments
    if given.batch:
        raise WorkbenchUsageError(
            "--batch is for live models: a server makes its own batches", hint="leave --batch out"
        )
    inputs, options = request_inputs(call), request_options(call)
    try:
        if given.stream:
            cell = call.cell_label
            model: Any = _Streaming(server, given.name)
            return infer_streamed(model, inputs, options, lambda: call.cell_label == cell)
        return server.infer(given.name, inputs, **options)
    except ModelFailure as error:
        if given.full:
            show_in_full(error)
        raise


def _bench(call: Call, server: ServerTarget) -> BenchResult:
    given = call.arguments
    inputs, options = request_inputs(call), request_options(call)
    host = call.target.workbench.find(given.name)
    if not inputs and host is not None and host.recorder.requests:
        inputs = dict(inputs_of(host.recorder.requests[-1]))
    if not inputs and server.config(given.name).inputs:
        raise InputError(
            f"no inputs for {given.name}, and no request of it is recorded",
            hint=f"%triton bench {given.name} --on {server.name} NAME=...",
        )
    return bench_server(
        server,
        given.name,
        inputs,
        n=given.n,
        warmup=given.warmup,
        concurrency=given.concurrency,
        times=given.times,
        profile=given.profile,
        **options,
    )


def _unload(call: Call, server: ServerTarget) -> None:
    server.unload(call.arguments.name, yes=call.arguments.yes)


def _config(call: Call, server: ServerTarget) -> ModelConfig | HelpText:
    from workbench.magics.arguments import HelpText

    if call.body is not None:
        raise WorkbenchUsageError("a configuration goes to a server with its model", hint="leave --on out")
    found = server.config(call.arguments.name)
    return HelpText(found.to_json(indent=2)) if call.arguments.json else found


def _metrics(call: Call, server: ServerTarget) -> MetricsText:
    name = call.arguments.name
    lines = server.metrics().splitlines()
    if name:
        lines = [each for each in lines if f'model="{name}"' in each]
    return MetricsText("\n".join(lines), name)


def _logs(call: Call, server: ServerTarget) -> LogText:
    given = call.arguments
    if given.follow or given.clear:
        raise WorkbenchUsageError("--follow and --clear are for live models", hint="leave them out")
    return server.logs(given.name, given.n, given.level)


def _models(call: Call, server: ServerTarget) -> ServerModels:
    return server.models()


def _replay(call: Call, server: ServerTarget) -> ReplayReport:
    given = call.arguments
    if given.save:
        raise WorkbenchUsageError("--save sends nothing", hint="leave --on out")
    report = ReplayReport(given.name or "", replay_on(server, chosen_requests(call), given.timeout))
    if given.assert_equal:
        report.assert_equal()
    return report


def _rollback(call: Call, server: ServerTarget) -> PushReport:
    return server.rollback(call.arguments.name, yes=call.arguments.yes)


_ELSEWHERE: dict[str, Callable[[Any, ServerTarget], Any]] = {
    "bench": _bench,
    "config": _config,
    "infer": _infer,
    "logs": _logs,
    "metrics": _metrics,
    "model": _model,
    "models": _models,
    "replay": _replay,
    "rollback": _rollback,
    "trace": trace_elsewhere,
    "unload": _unload,
}
