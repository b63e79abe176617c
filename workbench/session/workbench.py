"""The session: every live model of this kernel, and what they share."""

from __future__ import annotations

import shutil
import tempfile
import threading
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from workbench import _host
from workbench.at_exit import at_exit
from workbench.cancelling import shielded
from workbench.changes import Changes
from workbench.errors import ModelNotFound, WorkbenchError, WorkbenchUsageError
from workbench.launch import Launcher, WarmLauncher, WarmStatus, nvidia_launcher, own_launcher
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.session import failures, regions
from workbench.session.bls import BlsRouter
from workbench.session.debugger import Debugger
from workbench.session.environments import EnvironmentCache
from workbench.session.instance import StartPlan
from workbench.session.lines import Lines
from workbench.session.logs import LogRecord, LogRing, OutputRoute
from workbench.session.metrics import MetricRegistry
from workbench.session.mocks import Mock, MockModel
from workbench.session.model import Model
from workbench.session.model_control import ModelControl
from workbench.session.model_host import ModelHost
from workbench.session.model_table import ModelTable
from workbench.session.readiness import why_not_ready
from workbench.session.services import Services
from workbench.session.settings import Settings
from workbench.suggest import did_you_mean, listing
from workbench.trace.recorder import TraceRecorder

__all__ = ["Workbench"]

_CLOSE_SECONDS = 5.0
_DEBUGGED_SECONDS = 86_400.0

Reloader = Callable[..., Model]


class Workbench:
    """Models by name, and their logs, metrics and calls to each other. A context manager: leaving it stops
    everything.

    What makes models of sources, writes them as folders and brings them to servers is handed in (`reloader`,
    `exporter`, `courier`, `loader`): sources, folders and servers belong to a floor above.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self.settings = settings or Settings()
        #: Told with a model's name when it is loaded, fails, serves a request, leaves; with "" when many do.
        self.changes = Changes()
        self.logs = LogRing()
        self.metrics = MetricRegistry()
        self.recorder = TraceRecorder(
            _host.Tap(self.settings.trace_buffer_byte_size), self._label, failures.cause_of
        )
        #: Shows a line a model printed: (model, line). None: such lines go to the logs.
        self.on_output: Callable[[str, str], None] | None = None
        #: Loads a model again from another source: ``(name, source, **options)``.
        self.reloader: Reloader | None = None
        #: Writes models as folders: ``(names, directory, **options)``. Handed in as `reloader` is.
        self.exporter: Callable[..., Any] | None = None
        #: Brings a model to servers ("push"), or compares it with one ("parity"): ``(verb, name, servers,
        #: **options)``.
        self.courier: Callable[..., Any] | None = None
        #: Loads a known model by name with a configuration override and files; False if the name is unknown.
        self.loader: Callable[[str, str, Mapping[str, bytes]], bool] = lambda name, config, files: False
        #: Called with a model's name before it is stopped for good.
        self.on_leave: Callable[[str], None] = lambda name: None
        self.hosts: dict[str, ModelHost] = {}
        self.lines = Lines(self._entries)
        self.debugger = Debugger(self.lines)
        self.bls = BlsRouter(self.find, self.ready_names, self.logs)
        self._services = Services(
            self.logs,
            self.metrics,
            self.bls,
            ModelControl(
                self.find,
                lambda *given: self.loader(*given),
                lambda name, version: not self.why_not_ready(name, version),
            ),
            self.recorder.tap,
        )
        self._launchers: dict[tuple[str, str], Launcher] = {}  # by stub and, of NVIDIA's, release
        self._environments = EnvironmentCache(lambda: self.folder)
        self._folder: Path | None = None
        self._lock = threading.Lock()
        self._closed = False
        _open.add(self)

    # -- models --------------------------------------------------------------------------------------------

    @property
    def models(self) -> ModelTable:
        """All models, in order of name, and the mocks that answer."""
        mocks = [
            each
            for name, each in self.bls.mocks.items()
            if isinstance(each, MockModel) and self.bls.serving(name) is None
        ]
        names = set(self.hosts) - {each.name for each in mocks}
        found: list[Model | MockModel] = [*(Model(self, name) for name in names), *mocks]
        return ModelTable(sorted(found, key=lambda each: each.name), self)

    def model(self, name: str) -> Model:
        """A model by name; a mock, if there is only that.

        Raises:
            ModelNotFound: there is none.
        """
        mock = self.bls.mocks.get(name)
        if isinstance(mock, MockModel) and self.bls.serving(name) is None:
            return cast(Model, mock)  # it answers as one
        if name not in self.hosts:
            raise ModelNotFound(
                f"no model {name!r}{did_you_mean(name, self.hosts)}; {listing(self.hosts)}",
                hint="a %%triton model cell defines one",
            )
        return Model(self, name)

    def find(self, name: str) -> ModelHost | None:
        return self.hosts.get(name)

    def host(self, name: str) -> ModelHost:
        """What serves a model of that name.

        Raises:
            ModelNotFound: there is none.
            WorkbenchUsageError: it is a mock, which has no processes, no requests on record and no source.
        """
        self.model(name)  # says what there is, if there is no such model
        if name not in self.hosts:
            raise WorkbenchUsageError(f"{name} is a mock: this is for models", hint="%triton models")
        return self.hosts[name]

    def _label(self, name: str) -> str:
        """What the lines of a model's source are called, "" if it is not live."""
        host = self.find(name)
        current = host.current if host is not None else None
        return current.plan.entry.source.label if current is not None else ""

    def ready_names(self) -> list[str]:
        return sorted(name for name, host in self.hosts.items() if host.state == "READY")

    def why_not_ready(self, name: str, version: int = -1) -> str:
        """Why a model is not ready, "" if it is. Asks its own ``is_ready`` (from release 26.03 on)."""
        return why_not_ready(self.bls, name, version)

    def load(
        self, entry: ModelEntry, *, discard: Callable[[ModelEntry], None], settings: Settings | None = None
    ) -> Model:
        """Load a model from its folder, or load it again: the new revision takes over once it is ready.

        Args:
            entry: The folder, its source and configuration.
            discard: Called when the revision is gone, or could not be loaded.
            settings: For this model only.

        Raises:
            ModelLoadError: it failed to load. What served before goes on serving.
        """
        if self._closed:
            raise WorkbenchError("this workbench is closed")
        with self._lock:
            host = self._host(entry.name)
        chosen = settings or self.settings
        if entry.name in self.debugger.attached:  # a prompt in `initialize` has no time limit
            chosen = replace(chosen, stub_timeout_seconds=_DEBUGGED_SECONDS)
        try:
            launcher = self._launcher(chosen)
            settled = with_release(chosen, launcher)
            # "": activated as under the newest.
            release = settled.release if chosen.release or launcher.release else ""
            inside = self._environments.launcher(entry, release, launcher, serving=host.serving)
        except BaseException as error:  # Ctrl-C too: unpacking an environment takes a while
            if isinstance(error, WorkbenchError):
                host.refuse(entry.source, error)
            discard(entry)
            raise
        plan = StartPlan(
            entry,
            entry.config,
            settled,
            inside or launcher,
            self._services,
            lambda: OutputRoute(entry.name, self.logs, lambda: self.on_output),
            discard,
            self.lines,
            uses_env=inside is not None,
        )

        begun: list[bool] = []

        def bring_up() -> None:
            begun.append(True)
            try:
                host.load(plan)
            except BaseException:
                discard(entry)
                raise

        # The folder is thrown away in there, where it is known what became of the load: Ctrl-C also comes
        # when the new revision serves already.
        try:
            self.debugger.attend(lambda: shielded(bring_up))
        except BaseException:
            if not begun:
                discard(entry)
            raise
        return Model(self, entry.name)

    def refused(self, name: str, source: ModelSource | None, error: WorkbenchError) -> None:
        """Note that a source was no model: it did not come as far as being loaded. What serves goes on."""
        with self._lock:
            host = self._host(name)
        host.refuse(source, error)

    def _host(self, name: str) -> ModelHost:
        return self.hosts.setdefault(name, ModelHost(name, self.changes))

    def add_mock(self, name: str, mock: Mock) -> None:
        """Let a function answer for a model as long as it is not live."""
        self.bls.mocks[name] = mock
        self.changes.emit(name)

    def patch(self, name: str, source: ModelSource, make: Callable[[ModelConfig], ModelEntry]) -> Model:
        """Give a living model the methods of another source; ``initialize`` is not called.

        Args:
            name: The model's name.
            source: The source.
            make: Makes its folder, given the effective configuration.

        Raises:
            ModelLoadError, WorkbenchError: see `ModelHost.patch`. What served before goes on serving.
        """
        self.host(name).patch(source, make)
        return Model(self, name)

    def tell(self, model: str, level: str, lines: Sequence[str]) -> None:
        """Say something of a model that no cell asked for: in the logs, and under the cell whose context
        this is called in.
        """
        for line in lines:
            self.logs.add(LogRecord(model, level, line))
            if self.on_output is not None:
                self.on_output(model, line)

    def unload(self, name: str) -> None:
        """Stop a model, or remove a mock, and forget it. Raises ModelNotFound."""
        if self.bls.serving(name) is None and self.bls.mocks.pop(name, None) is not None:
            self.changes.emit(name)
            return
        self.model(name)
        self.on_leave(name)
        shielded(self.hosts.pop(name).unload)

    def reset(self) -> None:
        """Stop every model, remove every region of ours, forget logs. The session stays usable."""
        shielded(self._stop_all)
        self.bls.mocks.clear()
        self.logs.unfollow()
        self.logs.clear()
        self.changes.emit("")
        regions.sweep()

    # -- the rest ------------------------------------------------------------------------------------------

    @property
    def folder(self) -> Path:
        """A private folder (mode 0700) that lives as long as the session."""
        with self._lock:
            if self._folder is None:
                self._folder = Path(tempfile.mkdtemp(prefix="workbench-")).resolve()
            return self._folder

    @property
    def release(self) -> str:
        """The protocol release that models speak by default."""
        return with_release(self.settings, self._launcher(self.settings)).release

    def configure(self, changes: Mapping[str, Any]) -> None:
        """Change settings for models loaded from now on; keys as ``--backend-config`` spells them."""
        self.settings = self.settings.updated(changes)
        if self.settings.trace_buffer_byte_size != self.recorder.tap.byte_size:
            self.recorder.tap.byte_size = self.settings.trace_buffer_byte_size

    def preload(self, *modules: str) -> WarmStatus:
        """Have installed modules imported in our stubs before models ask for them, in the background.

        What a model imports is learned when it is loaded; this is for the first load. Without modules: begin
        to be warm.

        Raises:
            WorkbenchUsageError: there is no such installed module.
        """
        launcher = self._launcher(self.settings.updated({"stub": "own"}))
        assert isinstance(launcher, WarmLauncher)
        return launcher.preload(*modules)

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Stop every model and remove what they used. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        shielded(self._close)

    def _close(self) -> None:
        self.logs.unfollow()
        self._stop_all()
        for launcher in self._launchers.values():
            launcher.close()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
        _open.discard(self)

    def __enter__(self) -> Workbench:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        ready = len(self.ready_names())
        return f"Workbench: {ready} model{'' if ready == 1 else 's'} ready"

    def _entries(self) -> list[ModelEntry]:
        """Of all models that serve."""
        return [host.current.plan.entry for host in list(self.hosts.values()) if host.current is not None]

    def _stop_all(self) -> None:
        for name in list(self.hosts):
            self.on_leave(name)
        stopping = [
            threading.Thread(target=host.unload, args=(_CLOSE_SECONDS,), name=f"workbench-unload-{name}")
            for name, host in self.hosts.items()
        ]
        self.hosts = {}
        for each in stopping:
            each.start()
        for each in stopping:
            each.join()

    def _launcher(self, settings: Settings) -> Launcher:
        original = settings.stub == "nvidia"
        # NVIDIA's stub speaks one release; ours speaks all.
        key = (settings.stub, settings.release if original else "")
        with self._lock:
            found = self._launchers.get(key)
            if found is None:
                found = nvidia_launcher(settings.release or None) if original else own_launcher()
                self._launchers[key] = found
            return found


def with_release(settings: Settings, launcher: Launcher) -> Settings:
    """Settings with the release written out: the one asked for, the one an original stub speaks, else the
    newest.
    """
    wanted = settings.release or launcher.release
    if not wanted:
        return settings.updated({"release": _host.RELEASES[-1].name})
    try:
        return settings.updated({"release": _host.find_release(wanted).name})
    except ValueError:
        known = f"{_host.RELEASES[0].name} to {_host.RELEASES[-1].name}"
        raise WorkbenchUsageError(f"unknown release {wanted!r}", hint=f"releases {known}") from None


_open: weakref.WeakSet[Workbench] = weakref.WeakSet()


def _close_all() -> None:
    for each in list(_open):
        each.close()


at_exit(_close_all)
