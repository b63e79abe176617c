"""The live target: from sources and signatures to models in stubs of this kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from workbench.capture import check_syntax, source_from_object
from workbench.config_checks import check_model_name
from workbench.errors import ModelConfigError, ModelLoadError, ModelNotFound, WorkbenchError
from workbench.lint import LintReport, lint
from workbench.messages import InferResult
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.repository import remove_entry
from workbench.repository.live_export import export_live
from workbench.session.model import Model
from workbench.session.model_table import ModelTable
from workbench.session.settings import Settings
from workbench.session.workbench import Workbench
from workbench.targets.live_sources import Known, given_config, make_entry
from workbench.targets.model_folders import ModelFolders
from workbench.targets.model_loads import ModelLoads
from workbench.targets.watch import SourceWatch, content_hash
from workbench.tensor_spec import TensorSpec

__all__ = ["LiveTarget"]


class LiveTarget:
    """Defines models in a `Workbench`."""

    name = "live"

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench
        #: Configurations given apart from their model (``%%triton config``), by model name.
        self.configs: dict[str, ModelConfig] = {}
        #: Files beside a model's model.py, by the model's name and their own.
        self.files: dict[str, dict[str, ModelSource]] = {}
        self.folders = ModelFolders()
        self._known: dict[str, Known] = {}
        self._watches: dict[str, SourceWatch] = {}
        self._loads = ModelLoads(workbench, self.folders, self._known, self._load)
        workbench.reloader = self.reload
        workbench.courier = self._deliver
        workbench.loader = self._loads.load
        workbench.on_leave = self._end_watch
        workbench.exporter = partial(export_live, workbench)

    def define(
        self,
        name: str,
        source: ModelSource | str | Path | type | None = None,
        inputs: Sequence[str | TensorSpec] = (),
        outputs: Sequence[str | TensorSpec] = (),
        config: ModelConfig | str | Path | None = None,
        *,
        backend_config: Mapping[str, Any] | None = None,
        patch: bool = False,
        watch: bool = False,
        **options: Any,
    ) -> Model:
        """Make a model and load it; under a name in use it takes over once it is ready.

        Args:
            name: The model's name.
            source: Text of a model.py, a file, a class of a cell, or a model directory or one of its version
                folders, used in place. None for an ensemble, and for a model of a Python-based backend.
            inputs: Specs such as ``INPUT0:FP32[4]``.
            outputs: The same for outputs.
            config: Text or file of a config.pbtxt, or a `ModelConfig`, in place of a signature.
            backend_config: Settings for this model, keys as ``--backend-config`` spells them.
            patch: Only give the living model the methods of this source: its processes and what
                ``initialize`` made stay. Signature and settings are those it has.
            watch: Load it again whenever its file, or a file of its folder, is saved with another content.
            **options: max_batch_size, instances, device, decoupled, gpu_inputs, parameters: see
                `ModelConfig.from_specs`.

        Raises:
            ModelConfigError: name, signature or configuration is wrong.
            ModelLoadError: the source is no model, or failed to load. What served before goes on serving.
        """
        check_model_name(name)
        made = given_config(name, self.configs.get(name), inputs, outputs, config, options)
        watched = source if watch and isinstance(source, Path) else None
        if watch and watched is None:
            raise WorkbenchError("only a file or a folder can be watched", hint="source=Path(...)")
        before = content_hash(watched) if watched is not None else ""
        given: ModelSource | Path | None
        if source is None or (isinstance(source, Path) and source.is_dir()):
            given = source
        else:
            given = source if isinstance(source, ModelSource) else source_from_object(source)
        known = Known(given, made, dict(backend_config or {}))
        if patch:
            return self._patch(name, known)
        self._end_watch(name)
        try:
            model = self._load(name, known)
        except ModelLoadError:
            self._begin_watch(name, known, watched, before)  # saving it mended loads it
            raise
        self._begin_watch(name, known, watched, before)
        return model

    def reload(self, name: str, source: Any = None, *, patch: bool = False, **options: Any) -> Model:
        """Load a known model again, from another source if one is given; its configuration and settings stay
        unless they are given. ``patch`` and other options: see `define`. Inputs that are given are all there
        are, and outputs too.
        """
        known = self._known.get(name)
        if known is None:
            raise ModelNotFound(f"{name} was never defined here", hint="a %%triton model cell defines it")
        if source is not None:
            known = replace(
                known, source=source if isinstance(source, ModelSource) else source_from_object(source)
            )
        if "backend_config" in options:
            known = replace(known, backend_config=dict(options.pop("backend_config") or {}))
        if options:
            config = options.pop("config", None)
            serving = self.workbench.hosts[name].current if name in self.workbench.hosts else None
            before = known.config or (serving.config if serving is not None else None)
            if config is None and before is not None:
                config = before.with_signature(**options)
            else:
                inputs, outputs = options.pop("inputs", ()), options.pop("outputs", ())
                config = given_config(name, None, inputs, outputs, config, options)
            known = replace(known, config=config)
        if patch:
            return self._patch(name, known)
        if source is not None:
            self._end_watch(name)
        return self._load(name, known)

    def set_config(self, name: str, config: ModelConfig) -> ModelConfig:
        """Keep a configuration for a model; a model that is live already is loaded again with it.
        That of an ensemble is all there is of it: it is loaded.

        Returns:
            The effective configuration.
        """
        if config.is_ensemble:
            return self._load(name, Known(None, config.named(name), {})).config
        known = self._known.get(name)
        if known is not None and name in self.workbench.hosts:
            model = self._load(name, replace(known, config=config))
            config = model.config if known.source else config
        self.configs[name] = config
        return config

    def set_file(self, name: str, file: str, source: ModelSource) -> Model | None:
        """Keep a file to lie beside a model's model.py; a model that is live already is loaded again with it.

        Args:
            name: The model's name.
            file: Where it goes, seen from model.py: ``utils.py``.
            source: What is in it.

        Returns:
            The model; None if it is not loaded.

        Raises:
            ModelConfigError: the file's name is taken, or leads out of the folder.
            ModelLoadError: it is no Python, or the model fails to load with it; what served goes on serving.
        """
        check_model_name(name)
        path = PurePosixPath(file)
        host, known = self.workbench.find(name), self._known.get(name)
        given = (known.config if known is not None else None) or self.configs.get(name)
        taken = {"model.py" if given is None else given.filename, "config.pbtxt"}
        if path.is_absolute() or ".." in path.parts or not path.name or str(path) in taken:
            raise ModelConfigError(
                f"{file!r} is no name for a file beside model.py",
                hint="for example utils.py, or data/words.txt",
            )
        if path.suffix == ".py":
            check_syntax(name, source, serving=host.serving if host else "")
        self.files.setdefault(name, {})[str(path)] = source
        if host is None or known is None:
            return None
        return self._load(name, known)

    # -- Target --------------------------------------------------------------------------------------------

    def load(self, name: str, source: ModelSource | None, config: ModelConfig | None) -> None:
        if source is None:
            self.reload(name)
        else:
            self.define(name, source, config=config)

    def unload(self, name: str) -> None:
        self.workbench.unload(name)

    def ready(self, name: str) -> bool:
        return not self.workbench.why_not_ready(name)

    def metadata(self, name: str) -> dict[str, Any]:
        host = self.workbench.host(name)
        config = host.config
        batch = (-1,) if config.max_batch_size else ()

        def tensors(specs: Sequence[TensorSpec]) -> list[dict[str, Any]]:
            return [
                {"name": each.name, "datatype": each.datatype.name, "shape": [*batch, *each.dims]}
                for each in specs
            ]

        return {
            "name": name,
            "versions": [str(host.entry.version)],
            "platform": "ensemble" if config.is_ensemble else config.backend,
            "inputs": tensors(config.inputs),
            "outputs": tensors(config.outputs),
        }

    def config(self, name: str) -> ModelConfig:
        return self.workbench.model(name).config

    def infer(self, name: str, inputs: Mapping[str, Any], /, **options: Any) -> InferResult:
        return self.workbench.model(name).infer(inputs, **options)

    def stream(self, name: str, inputs: Mapping[str, Any], /, **options: Any) -> Iterator[InferResult]:
        return self.workbench.model(name).stream(inputs, **options)

    def statistics(self, name: str) -> dict[str, int]:
        return self.workbench.host(name).counts()

    def logs(self, name: str, count: int = 50) -> list[str]:
        return [str(each) for each in self.workbench.logs.records(name, count)]

    def index(self) -> list[dict[str, Any]]:
        """Models as a repository index has them: name, version, state, reason."""
        rows = []
        for name, host in sorted(self.workbench.hosts.items()):
            version = str(host.entry.version) if host.current is not None else ""
            reason = str(host.failure) if host.failure is not None else ""
            rows.append({"name": name, "version": version, "state": host.state, "reason": reason})
        return rows

    def metrics(self) -> str:
        """Metrics that models made, as Prometheus text."""
        return self.workbench.metrics.dump()

    def lint(self, name: str, release: str | None = None) -> LintReport:
        """What a server would refuse in a model, or do otherwise.

        Args:
            name: A model; one that failed to load too: what was written last is judged.
            release: Release of Triton; None: the one the model runs on here.

        Raises:
            ModelNotFound: the name was never defined here.
            WorkbenchUsageError: the release is none.
        """
        known, host = self._known.get(name), self.workbench.find(name)
        config = host.config if host is not None and host.current is not None else None
        if known is not None and isinstance(known.source, ModelSource):
            source, config = known.source, config or known.config
        else:
            source = self.workbench.host(name).entry.source
        settings = self.workbench.settings.updated(known.backend_config if known is not None else {})
        return lint(name, source, config, release or settings.release or self.workbench.release)

    def _deliver(self, verb: str, name: str, names: Sequence[str], **options: Any) -> Any:
        """`Model.push` and `Model.parity`: servers by their names."""
        from workbench.targets import delivery, servers

        if verb == "push":
            return delivery.push(self, name, servers.find_all(names), **options)
        delivery.check_comparable(self, name)  # before a server is started for it
        return delivery.compare(self, name, servers.find(names[0]), **options)

    # -- inside --------------------------------------------------------------------------------------------

    def _load(self, name: str, known: Known, *, remember: bool = True) -> Model:
        workbench = self.workbench
        settings = workbench.settings.updated(known.backend_config)
        try:
            entry = self._entry(name, known, settings)
        except ModelLoadError as error:
            workbench.refused(name, known.source if isinstance(known.source, ModelSource) else None, error)
            raise
        try:
            model = workbench.load(entry, discard=remove_entry, settings=settings)
        finally:
            # Kept even if it failed: what the user wrote last is what a reload means.
            if remember:
                self._known[name] = known
        if remember:
            self._loads.overridden.discard(name)
        return model

    def _patch(self, name: str, new: Known) -> Model:
        """Give a living model the methods of `new`.source; where `new` says more, it must say what is so."""
        old, host = self._known.get(name), self.workbench.find(name)
        if old is None or host is None or host.current is None:
            raise ModelNotFound(
                f"{name} is not loaded, so there is nothing to patch",
                hint="run its cell once without --patch",
            )
        source = new.source
        if not isinstance(source, ModelSource):
            raise WorkbenchError(
                f"a patch of {name} takes one source", hint="a cell, a file, text or a class"
            )
        again = "load it anew: leave --patch out"
        before = old.config or ModelConfig.from_specs(name)
        if new.config is not None and new.config.to_text() != before.to_text():
            raise ModelConfigError(f"a patch cannot change the configuration of {name}", hint=again)
        if new.backend_config and new.backend_config != old.backend_config:
            raise ModelConfigError(f"a patch cannot change the settings of {name}", hint=again)
        known = replace(old, source=source)
        settings = self.workbench.settings.updated(known.backend_config)

        def make(config: ModelConfig) -> ModelEntry:
            return self._entry(name, replace(known, config=config), settings)

        model = self.workbench.patch(name, source, make)
        self._known[name] = known
        return model

    # -- files that are watched ----------------------------------------------------------------------------

    def _begin_watch(self, name: str, known: Known, path: Path | None, before: str) -> None:
        if path is not None:
            self._watches[name] = SourceWatch(path, before, partial(self._reload_saved, name, known, path))

    def _end_watch(self, name: str) -> None:
        watching = self._watches.pop(name, None)
        if watching is not None:
            watching.close()

    def _reload_saved(self, name: str, first: Known, path: Path) -> None:
        """Load a model whose file was saved. Called by its watch; says how it went, since no cell asked.

        ``first`` is what the watch began with, for a source that could not be loaded even once.
        """
        known, host = self._known.get(name, first), self.workbench.find(name)
        if host is not None and host.state == "UNAVAILABLE":  # another model has unloaded it
            self._end_watch(name)
            return
        try:
            model = self._load(
                name, replace(known, source=path if path.is_dir() else source_from_object(path))
            )
        except WorkbenchError as error:
            self.workbench.tell(name, "error", error.render())
        else:
            self.workbench.tell(name, "info", [f"{path.name} was saved: {model.src} serves"])

    def _entry(self, name: str, known: Known, settings: Settings) -> ModelEntry:
        host = self.workbench.find(name)
        return make_entry(
            name,
            known,
            self.workbench.folder,
            self.files.get(name, {}),
            host.serving if host else "",
            lambda backend: self.folders.find_backend(backend, settings),
        )

    # -- folders of models -----------------------------------------------------------

    def register_backend(self, folder: str | Path, name: str = "") -> str:
        """Make a Python-based backend known: a folder whose model.py serves every model that names it.

        Args:
            folder: The backend's folder.
            name: What configurations call it; the folder's name by default.

        Returns:
            Its name.

        Raises:
            ModelConfigError: there is no model.py in it, or the name is that of the Python backend.
        """
        return self.folders.register_backend(folder, name)

    def load_repository(self, folder: str | Path, name: str = "") -> ModelTable:
        """Load models from a Triton model repository, in place.

        Args:
            folder: The repository.
            name: Which model; all by default. The models an ensemble consists of are loaded with it.

        Returns:
            The models loaded.

        Raises:
            ModelNotFound: there is no such model in the folder.
            ModelConfigError, ModelLoadError: a model is wrong, or failed to load.
        """
        loaded = [self.define(each.name, each) for each in self.folders.open_repository(folder, name)]
        return ModelTable(loaded)
