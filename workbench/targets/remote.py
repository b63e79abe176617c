"""A Triton server as a target, wherever it runs: push, roll back, infer. Needs nothing but its public API."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from workbench import datatypes
from workbench.errors import (
    InferTimeout,
    ModelNotFound,
    RequestInfo,
    WorkbenchError,
    WorkbenchUsageError,
)
from workbench.messages import InferResult
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.repository.model_files import required_packages
from workbench.server_errors import PushError
from workbench.session import failures
from workbench.session.inputs import InputEncoder
from workbench.targets.client import ServerClient, ServerRefused
from workbench.targets.push_report import PushReport
from workbench.targets.pushed import Pushed, loose_entry, make_pushed, mark_in
from workbench.targets.server_texts import at_home, load_failure
from workbench.targets.wire import WireResponse, client_options, for_client
from workbench.tensor_spec import TensorSpec

__all__ = ["ServerTarget"]

#: Sends one request to what was just pushed and compares; gives what differs, or "".
Smoke = Callable[["ServerTarget"], str]


class ServerTarget:
    """A server by name.

    Args:
        name: What it is called here.
        client: How to reach it.
        protect: Pushes, roll-backs and unloads need ``yes=True``.
        stub_files: Files of a stub that goes along with every model; {} leaves that to the server.
    """

    def __init__(
        self,
        name: str,
        client: ServerClient,
        *,
        protect: bool = False,
        stub_files: Mapping[str, bytes | Path] | None = None,
    ) -> None:
        self._name = name
        self.client = client
        self.protect = protect
        self._stub_files = dict(stub_files or {})
        #: What was sent and served, oldest first; the last one serves unless somebody else loaded meanwhile.
        self._history: dict[str, list[Pushed]] = {}
        self._lock = threading.Lock()

    @property
    def name(self) -> str:
        return self._name

    # -- bringing models there -----------------------------------------------------------------------------

    def push(self, entry: ModelEntry, *, smoke: Sequence[Smoke] = (), yes: bool = False) -> PushReport:
        """Send a model; what served before goes on serving unless the new one is good.

        Args:
            entry: The model.
            smoke: Checks of the model there; the first that finds a difference brings the old one back.
            yes: Needed for a protected server.

        Raises:
            PushError: it did not load, or a check failed; the message says what serves now.
            ServerModeError, ServerUnreachable: nothing was changed.
        """
        self._ask_consent("push", yes)
        with self._lock:
            return self._push(make_pushed(entry, self._stub_files), smoke)

    def _push(self, new: Pushed, smoke: Sequence[Smoke]) -> PushReport:
        name = new.entry.name
        before = self._serving_mark(name)
        steps = [("snapshot", self._describe_snapshot(name, before))]
        try:
            self.client.load(name, new.config, new.files)
            mark = self._serving_mark(name)
        except ServerRefused as refused:
            now = self._put_back(name, before)
            cause, frames = load_failure(str(refused), new.entry)
            raise PushError(
                f"{cause} ({name}); {self._outcome(now)}", cause=cause, frames=frames, serving=now
            ) from None
        if mark != new.mark:
            raise PushError(
                f"{self.name} agreed to load {new.src} of {name} and serves something else",
                serving=self._src_of(mark),
                hint="somebody else may load models there",
            )
        sent = ", ".join(each for each in new.files if each not in self._stub_files)
        steps.append(("load", f"config and {sent} sent as overrides"))
        for number, check in enumerate(smoke, 1):
            try:
                difference = check(self)
            except WorkbenchError as error:
                difference = f"failed: {error}"
            if difference:
                now = self._put_back(name, before)
                raise PushError(
                    f"smoke request {number} {difference}; {self._outcome(now)}",
                    serving=now,
                    hint="--no-smoke pushes without it",
                )
        if smoke:
            plural = "" if len(smoke) == 1 else "s"
            steps.append(("smoke", f"{len(smoke)} recorded request{plural}, outputs equal"))
        self._history.setdefault(name, []).append(new)
        needed = required_packages(new.entry)
        notes = (f"the server must have {', '.join(needed)}",) if needed and not self._stub_files else ()
        return PushReport(name, self.name, new.src, tuple(steps), notes)

    def rollback(self, name: str, *, yes: bool = False) -> PushReport:
        """Bring back what served before the last push: our push before it, else the repository's own model.

        Raises:
            PushError: nothing of ours serves there, or what was before cannot be loaded any more.
        """
        self._ask_consent("rollback", yes)
        with self._lock:
            mark = self._serving_mark(name)
            if not mark:
                raise PushError(f"{self.name} serves no push of {name}", hint="%triton push sends one")
            history = self._history.get(name, [])
            while history and history[-1].mark == mark:
                history.pop()
            now = self._put_back(name, history[-1].mark if history else "")
            step = f"{now} sent again" if history else "the repository's own model loaded"
            if not now:
                step = "unloaded: nothing served before, or it is not known here"
            state = "READY" if now else "UNAVAILABLE"
            src = now if now.startswith("src:") else ""
            return PushReport(name, self.name, src, (("roll back", step),), verb="Roll back", state=state)

    def _describe_snapshot(self, name: str, mark: str | None) -> str:
        if mark is None:
            return "nothing served"
        if mark and self._known(name, mark) is None:
            return f"{self._src_of(mark)} serves, pushed from elsewhere: it cannot be brought back from here"
        return f"{self._src_of(mark)} kept" if mark else "the repository's own model serves"

    def _put_back(self, name: str, wanted: str | None) -> str:
        """Make what served before serve again; gives what serves now: its src, words, or "" for nothing."""
        if wanted is not None and self._serving_mark(name) == wanted:
            return self._src_of(wanted)
        known = self._known(name, wanted) if wanted else None
        try:
            if known is not None:
                self.client.load(name, known.config, known.files)
                return known.src
            if wanted is not None:
                self.client.load(name)  # a plain load drops what was sent
                return self._src_of(self._serving_mark(name) or "")
        except ServerRefused:
            pass
        if self._serving_mark(name) is not None:
            self.client.unload(name)
        return ""

    def _known(self, name: str, mark: str) -> Pushed | None:
        return next((each for each in reversed(self._history.get(name, [])) if each.mark == mark), None)

    def _serving_mark(self, name: str) -> str | None:
        """The mark of what serves, "" for a model not sent by us, None if none is ready."""
        try:
            return mark_in(self.client.config(name)) if self.client.ready(name) else None
        except ServerRefused:
            return None

    @staticmethod
    def _src_of(mark: str | None) -> str:
        return (mark or "").rpartition("-")[0] or ("the repository's own model" if mark is not None else "")

    def _outcome(self, now: str) -> str:
        return f"{self.name} serves {now}" if now else f"{self.name} does not serve it"

    def _ask_consent(self, what: str, yes: bool) -> None:
        if self.protect and not yes:
            raise WorkbenchUsageError(
                f"{self.name} is protected", hint=f"%triton {what} ... --yes, if that is meant"
            )

    # -- Target --------------------------------------------------------------------------------------------

    def load(self, name: str, source: ModelSource | None, config: ModelConfig | None) -> None:
        """Load from the server's repository, or send a source with its configuration."""
        if source is None:
            try:
                self.client.load(name)
            except ServerRefused as refused:
                raise PushError(f"{self.name} does not load {name}: {refused}") from None
            return
        config = config or ModelConfig.from_specs(name)
        self.push(loose_entry(name, source, config), yes=True)

    def unload(self, name: str, *, yes: bool = False) -> None:
        self._ask_consent("unload", yes)
        self.client.unload(name)
        self._history.pop(name, None)

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

    def src(self, name: str) -> str:
        """``src:3f9a1c2`` of what serves, "" if it was not sent by us or none does."""
        mark = self._serving_mark(name)
        return self._src_of(mark) if mark else ""

    def infer(self, name: str, inputs: Mapping[str, Any], **options: Any) -> InferResult:
        """Send one request; options as of `Model.infer`.

        Raises:
            InputError, ModelExecutionError, ModelNotFound, InferTimeout, ServerUnreachable.
        """
        declared, encoded, notes = self._encode(name, inputs)
        if self.client.is_grpc and self._decoupled(name):
            return InferResult(
                name,
                [each for got in self._stream(name, inputs, options) for each in got],
                declared=declared.outputs,
                batched=bool(declared.max_batch_size),
                notes=notes,
                request_id=options.get("request_id", ""),
            )
        try:
            answer = self.client.infer(name, encoded, **client_options(options))
        except ServerRefused as refused:
            raise self._failed(name, refused, encoded) from None
        return InferResult(
            name,
            [WireResponse(answer, self.client.is_grpc)],
            declared=declared.outputs,
            batched=bool(declared.max_batch_size),
            notes=notes,
            request_id=options.get("request_id", ""),
        )

    def stream(self, name: str, inputs: Mapping[str, Any], **options: Any) -> Iterator[InferResult]:
        """The same, response by response; gRPC only."""
        for responses in self._stream(name, inputs, options):
            yield InferResult(name, responses)

    def statistics(self, name: str) -> dict[str, int]:
        found = self._of_model(name, lambda: self.client.statistics(name)).get("inference_stats", {})
        named = {"success": "success", "failure": "fail"}
        return {key: int(found.get(theirs, {}).get("count", 0)) for key, theirs in named.items()}

    def logs(self, name: str, count: int = 50) -> list[str]:
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
            raise ModelNotFound(
                f"{self.name} does not serve {name}: {refused}", hint=f"%triton push {name} --to {self.name}"
            ) from None

    def _declared(self, name: str) -> ModelConfig:
        """What requests must look like, of any model, Python or not."""
        found = self._of_model(name, lambda: self.client.config(name))

        def specs(key: str) -> list[TensorSpec]:
            return [
                TensorSpec(
                    each["name"],
                    datatypes.find(each["data_type"]),
                    tuple(int(dim) for dim in each["dims"]),
                    optional=bool(each.get("optional", False)),
                )
                for each in found.get(key, [])
            ]

        return ModelConfig.from_specs(
            name, specs("input"), specs("output"), max_batch_size=int(found.get("max_batch_size", 0))
        )

    def _decoupled(self, name: str) -> bool:
        policy = self.client.config(name).get("model_transaction_policy", {})
        return bool(policy.get("decoupled", False))

    def _encode(
        self, name: str, inputs: Mapping[str, Any]
    ) -> tuple[ModelConfig, list[tuple[str, str, tuple[int, ...], Any]], list[str]]:
        declared = self._declared(name)
        notes: list[str] = []
        encoded = InputEncoder(declared).encode(inputs, notes)
        return declared, [for_client(*each) for each in encoded], notes

    def _stream(
        self, name: str, inputs: Mapping[str, Any], options: Mapping[str, Any]
    ) -> Iterator[list[WireResponse]]:
        _, encoded, _ = self._encode(name, inputs)
        try:
            for answer in self.client.stream(name, encoded, **client_options(options)):
                yield [WireResponse(answer, True)]
        except ServerRefused as refused:
            raise self._failed(name, refused, encoded) from None

    def _failed(self, name: str, refused: ServerRefused, encoded: Sequence[Any]) -> WorkbenchError:
        text = str(refused)
        if refused.status in ("499", "DEADLINE_EXCEEDED") or "timeout" in text.lower()[:40]:
            return InferTimeout(f"{name} on {self.name} did not answer in time", hint="--timeout 120")
        mark = self._serving_mark(name)
        known = self._known(name, mark) if mark else None
        entry = known.entry if known else loose_entry(name, ModelSource(""), ModelConfig.from_specs(name))
        described = ", ".join(f"{each[0]} {each[1]}[{','.join(map(str, each[2]))}]" for each in encoded)
        # The protocols' codes are coarser than the model's: what is not the request's fault is INTERNAL.
        code = 3 if refused.status in ("INVALID_ARGUMENT",) else 1
        return failures.execution_error(entry, code, at_home(text, entry), RequestInfo(name, described))
