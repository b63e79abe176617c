"""A Triton server as a target, wherever it runs: push, roll back, infer. Needs nothing but its public API."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from workbench import _host
from workbench.errors import (
    InferTimeout,
    ModelExecutionError,
    ModelNotFound,
    RequestInfo,
    StubCrashedError,
    WorkbenchError,
    WorkbenchUsageError,
)
from workbench.messages import InferResult
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.server_errors import PushError, ServerUnreachable
from workbench.session import failures
from workbench.session.bench import BenchResult
from workbench.session.inputs import InputEncoder, split_options
from workbench.session.model_table import signature
from workbench.targets.client import TOO_LATE, ServerClient, ServerRefused
from workbench.targets.push_report import PushReport
from workbench.targets.pushed import loose_entry
from workbench.targets.pushing import Pushes, src_of
from workbench.targets.server_request import Encoded, Prepared, declared_config
from workbench.targets.server_tables import LogText, ServerModel, ServerModels
from workbench.targets.server_texts import ServerTexts
from workbench.targets.wire import WireResponse, client_options, for_client
from workbench.tensor_spec import format_shape

__all__ = ["ServerTarget"]

_UNHEALTHY = "is not healthy"
#: Sends one request to what was just pushed and compares; gives what differs, or "".
Smoke = Callable[["ServerTarget"], str]


class ServerTarget:
    """A server by name.

    Args:
        name: What it is called here.
        client: How to reach it.
        protect: Pushes, roll-backs and unloads need ``yes=True``.
        stub_files: Files of a stub that goes along with every model; {} leaves that to the server.
        streams: How to reach it for responses one by one. Default: `client`, which may not be able to.
    """

    #: Whose stub runs models there, as far as it is known here.
    stub = "of the server"

    def __init__(
        self,
        name: str,
        client: ServerClient,
        *,
        protect: bool = False,
        stub_files: Mapping[str, bytes | Path] | None = None,
        streams: ServerClient | None = None,
    ) -> None:
        self._name = name
        self.protect = protect
        #: Called when a model was loaded or unloaded from here, or that failed.
        self.on_change: Callable[[], None] = lambda: None
        self._pushes = Pushes(name, stub_files)
        #: The last measurement of each model, for the next to be compared with.
        self.benches: dict[str, BenchResult] = {}
        self._connect(client, streams or client)

    def _connect(self, client: ServerClient, streams: ServerClient) -> None:
        self.client, self._streams = client, streams
        self._pushes.client = client
        for each in (client, streams):
            each.unreachable = self._gone
            each.on_load = lambda: self.on_change()

    @property
    def name(self) -> str:
        return self._name

    @property
    def release(self) -> str:
        """``24.10``; "" for a release we do not know.

        Raises:
            ServerUnreachable: nobody answers.
        """
        try:
            return _host.find_release(str(self.client.server().get("version", ""))).name
        except ValueError:
            return ""

    @property
    def can_stream(self) -> bool:
        """Whether it can be asked for responses one by one, as those of decoupled models come."""
        return self._streams.is_grpc

    @property
    def state(self) -> str:
        """``ready``, or ``no answer``."""
        return "ready" if self.client.alive() else "no answer"

    # -- bringing models there -----------------------------------------------------------------------------

    def push(
        self,
        entry: ModelEntry,
        *,
        smoke: Sequence[Smoke] = (),
        yes: bool = False,
        steps: Sequence[tuple[str, str]] = (),
        version: int = 0,
        timeout: float | None = None,
    ) -> PushReport:
        """Send a model; what served before goes on serving unless the new one is good.

        Args:
            entry: The model.
            smoke: Checks of the model there; the first that finds a difference brings the old one back.
            yes: Needed for a protected server.
            steps: What was done before, for the report.
            version: Which version it is to be there; 0: the one it is.
            timeout: Seconds the server may take to load it; ten minutes by default.

        Raises:
            PushError: it did not load, or a check failed; the message says what serves now.
            LoadTimeout: it was still being loaded when the time was over.
            ServerModeError: nothing was changed.
            ServerUnreachable: the server is gone, or went while the model was sent.
        """
        self.ask_consent("push", yes)
        checks = [partial(each, self) for each in smoke]
        return self._pushes.push(entry, checks, steps=steps, version=version, timeout=timeout)

    def rollback(self, name: str, *, yes: bool = False) -> PushReport:
        """Bring back what served before the last push: our push before it, else the repository's own model.

        Raises:
            PushError: nothing of ours serves there; or what was before does not load any more, or is not
                known here (sent by another process) and the repository has no model of its own. What serves
                stays.
        """
        self.ask_consent("rollback", yes)
        return self._pushes.rollback(name)

    def snapshot(self, name: str) -> str | None:
        """What serves, for `undo`."""
        return self._pushes.mark(name)

    def undo(self, name: str, before: str | None) -> str:
        """Bring back what `snapshot` found before a push that went well; gives what serves now."""
        return self._pushes.undo(name, before)

    def ask_consent(self, what: str, yes: bool) -> None:
        """Raise WorkbenchUsageError if the server is protected, unless `yes`."""
        if self.protect and not yes:
            raise WorkbenchUsageError(
                f"{self.name} is protected", hint=f"%triton {what} ... --yes, if that is meant"
            )

    def _gone(self, reason: str, hint: str) -> ServerUnreachable:
        """The error for a call that nobody answers."""
        return ServerUnreachable(f"{self.name} does not answer at {self.client.address}: {reason}", hint=hint)

    # -- Target --------------------------------------------------------------------------------------------

    def load(
        self,
        name: str,
        source: ModelSource | None = None,
        config: ModelConfig | None = None,
        *,
        yes: bool = False,
    ) -> None:
        """Load from the server's repository, or send a source with its configuration.

        Raises:
            PushError: it does not load.
        """
        self.ask_consent("load", yes)
        if source is None:
            try:
                self.client.load(name)
            except ServerRefused as refused:
                raise PushError(
                    f"{self.name} does not load {name}: {refused}",
                    hint=f"%triton models --on {self.name} lists what its repository has",
                ) from None
            self._pushes.forget(name)
            return
        config = config or ModelConfig.from_specs(name)
        self.push(loose_entry(name, source, config), yes=True)

    def unload(self, name: str, *, yes: bool = False) -> None:
        """Unload a model. Raises ModelNotFound if it is not there."""
        self.ask_consent("unload", yes)
        if not self.ready(name) and all(each.get("name") != name for each in self.client.index()):
            raise self._not_served(name)
        self.client.unload(name)
        self._pushes.forget(name)

    def ready(self, name: str) -> bool:
        try:
            return self.client.ready(name)
        except ServerRefused:
            return False

    def metadata(self, name: str) -> dict[str, Any]:
        return self._of_model(name, lambda: self.client.metadata(name))

    def config(self, name: str) -> ModelConfig:
        """The configuration in effect, of a Python model. Raises ModelConfigError for one of another kind."""
        from google.protobuf import json_format
        from tritonclient.grpc import model_config_pb2 as pb

        found = self._of_model(name, lambda: self.client.config(name))
        # A newer server may say things that our schema does not know.
        message = json_format.ParseDict(found, pb.ModelConfig(), ignore_unknown_fields=True)
        return ModelConfig(message)

    def models(self) -> ServerModels:
        """What the server has: models of its repository, and those that were sent to it."""
        rows = {each["name"]: each for each in self.client.index() if each.get("state") not in (None, "")}
        reasons = {name: str(row.get("reason", "")).strip() for name, row in rows.items()}
        # Models loaded from sent files are in no index.
        for name in sorted({*rows, *self.client.loaded()}):
            reasons.setdefault(name, "")
        found = []
        for name, reason in sorted(reasons.items()):
            if self.ready(name):
                mark = self._pushes.mark(name)
                shown = src_of(mark) if mark else "-"
                found.append(ServerModel(name, "READY", self.name, shown, signature(self._declared(name))))
            else:
                state = str(rows.get(name, {}).get("state", "UNAVAILABLE"))
                found.append(ServerModel(name, state, self.name, "-", "" if reason == "unloaded" else reason))
        return ServerModels(self.name, found)

    def index(self) -> list[dict[str, Any]]:
        """The repository's index as the server gives it: name, version, state, reason."""
        return self.client.index()

    def metrics(self) -> str:
        """The server's metrics, as Prometheus text. Raises ServerUnreachable if it shows none."""
        return self.client.metrics()

    def src(self, name: str) -> str:
        """``src:3f9a1c2`` of what serves, "" if it was not sent by us or none does."""
        mark = self._pushes.mark(name)
        return src_of(mark) if mark else ""

    def infer(self, name: str, inputs: Mapping[str, Any] | None = None, /, **options: Any) -> InferResult:
        """Send one request; options as of `Model.infer`, inputs also by keyword.

        Raises:
            InputError, ModelExecutionError, ModelNotFound, InferTimeout, ServerUnreachable.
        """
        inputs, options = split_options(inputs, options)
        return self.send(self.prepare(name, inputs), options)

    def prepare(self, name: str, inputs: Mapping[str, Any]) -> Prepared:
        """Check and encode the inputs of a request.

        Raises:
            InputError, ModelNotFound, ServerUnreachable.
        """
        declared = self._declared(name)
        notes: list[str] = []
        encoded = InputEncoder(declared).encode(inputs, notes)
        return Prepared(declared, tuple(for_client(*each) for each in encoded), tuple(notes))

    def send(self, request: Prepared, options: Mapping[str, Any]) -> InferResult:
        """Send a request; options as of `Model.infer`. Raises as `infer` does."""
        name, encoded = request.config.name, list(request.encoded)
        responses: list[Any]
        if request.config.decoupled:
            responses = list(self._stream(name, encoded, options))
        else:
            try:
                answer = self.client.infer(name, encoded, **client_options(options))
            except ServerRefused as refused:
                raise self._failed(name, refused, encoded) from None
            responses = [WireResponse(answer, self.client.is_grpc)]
        return request.result(responses, options)

    def stream(
        self, name: str, inputs: Mapping[str, Any] | None = None, /, **options: Any
    ) -> Iterator[InferResult]:
        """The same, response by response; gRPC only. Leaving the loop early cancels the request."""
        inputs, options = split_options(inputs, options)
        request = self.prepare(name, inputs)
        for response in self._stream(name, list(request.encoded), options):
            yield request.result([response], options)

    def statistics(self, name: str) -> dict[str, int]:
        found = self._of_model(name, lambda: self.client.statistics(name)).get("inference_stats", {})
        named = {"success": "success", "failure": "fail"}
        return {key: int(found.get(theirs, {}).get("count", 0)) for key, theirs in named.items()}

    def durations(self, name: str) -> dict[str, int]:
        """What requests of a model took since it was loaded, nanoseconds in all: ``queue``,
        ``compute_input``, ``compute_infer``, ``compute_output``; and the ``count`` of those that went well.
        """
        found = self._of_model(name, lambda: self.client.statistics(name)).get("inference_stats", {})
        stages = ("queue", "compute_input", "compute_infer", "compute_output")
        spent = {stage: int(found.get(stage, {}).get("ns", 0)) for stage in stages}
        return {**spent, "count": int(found.get("success", {}).get("count", 0))}

    def logs(self, name: str = "", count: int = 50, level: str = "verbose") -> LogText:
        """A server elsewhere keeps its log to itself. Raises WorkbenchUsageError."""
        raise WorkbenchUsageError(f"the log of {self.name} is on its machine", hint="look there")

    def __repr__(self) -> str:
        protected = "  protected" if self.protect else ""
        return f"Server {self.name}  {self.client.scheme.rstrip('s')}{protected}"

    # -- requests ------------------------------------------------------------------------------------------

    def _of_model(self, name: str, ask: Callable[[], dict[str, Any]]) -> dict[str, Any]:
        try:
            return ask()
        except ServerRefused as refused:
            raise self._not_served(name, str(refused)) from None

    def _not_served(self, name: str, why: str = "") -> ModelNotFound:
        return ModelNotFound(
            f"{self.name} does not serve {name}" + (f": {why}" if why else ""),
            hint=f"%triton push {name} --to {self.name}",
        )

    def _declared(self, name: str) -> ModelConfig:
        """What requests must look like, of any model, Python or not."""
        found = self._of_model(name, lambda: self.client.config(name))
        return declared_config(name, found)

    def _stream(
        self, name: str, encoded: list[Encoded], options: Mapping[str, Any]
    ) -> Iterator[WireResponse]:
        seen: list[WireResponse] = []
        try:
            for answer in self._streams.stream(name, encoded, **client_options(options)):
                seen.append(WireResponse(answer, True))
                yield seen[-1]
        except ServerRefused as refused:
            error = self._failed(name, refused, encoded)
            if isinstance(error, ModelExecutionError):
                error.responses = InferResult(name, seen).responses
            raise error from None

    def _failed(self, name: str, refused: ServerRefused, encoded: Sequence[Any]) -> WorkbenchError:
        text = str(refused)
        if refused.status in ("499", TOO_LATE) or "timeout" in text.lower()[:40]:
            return InferTimeout(f"{name} on {self.name} did not answer in time", hint="--timeout 120")
        if not self.ready(name):
            return self._not_served(name, text)
        if _UNHEALTHY in text:
            return StubCrashedError(
                f"the process of {name} on {self.name} died",
                reason="unknown",
                hint=f"%triton push {name} --to {self.name} starts another",
            )
        loose = loose_entry(name, ModelSource(""), ModelConfig.from_specs(name))
        entry = self._entry_there(name) or loose
        described = ", ".join(f"{each[0]} {each[1]}{format_shape(each[2])}" for each in encoded)
        # The protocols' codes are coarser than the model's: what is not the request's fault is INTERNAL.
        code = 3 if refused.status == "INVALID_ARGUMENT" else 1
        texts = ServerTexts(self._entry_there)
        return failures.execution_error(
            entry, code, texts.at_home(text, entry), RequestInfo(name, described), lines=texts, live=False
        )

    def _entry_there(self, name: str) -> ModelEntry | None:
        """The model that serves there under a name, if it was sent from here."""
        mark = self._pushes.mark(name)
        known = self._pushes.known(name, mark) if mark else None
        return known.entry if known is not None else None
