"""The live target: from sources and signatures to models in stubs of this kernel."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from workbench.capture import check_source, check_syntax, source_from_object
from workbench.config_checks import check_model_name
from workbench.errors import ModelConfigError, ModelLoadError, ModelNotFound, WorkbenchError
from workbench.lint import LintReport, lint
from workbench.messages import InferResult
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.repository import (
    backend_folder,
    choose_version,
    is_version,
    open_entry,
    remove_entry,
    versions_in,
    write_entry,
)
from workbench.repository.live_export import export_live
from workbench.session.model import Model, ModelTable
from workbench.session.settings import Settings
from workbench.session.workbench import Workbench
from workbench.suggest import did_you_mean, listing
from workbench.targets.watch import SourceWatch, content_hash
from workbench.tensor_spec import TensorSpec

__all__ = ["LiveTarget"]


@dataclass(frozen=True)
class _Known:
    """What a model was last made from; enough to make it again."""

    source: ModelSource | Path | None  # None: an ensemble, or served by a Python-based backend
    config: ModelConfig | None
    backend_config: Mapping[str, Any]
    files: Mapping[str, bytes] = field(default_factory=dict)
    version: int = 1  # of a source that is no folder


class LiveTarget:
    """Defines models in a `Workbench`."""

    name = "live"

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench
        #: Configurations given apart from their model (``%%triton config``), by model name.
        self.configs: dict[str, ModelConfig] = {}
        #: Files beside a model's model.py, by the model's name and their own.
        self.files: dict[str, dict[str, ModelSource]] = {}
        #: Folders of models that can be loaded by name.
        self.repositories: list[Path] = []
        #: Python-based backends by name: folders with a model.py.
        self.backends: dict[str, Path] = {}
        self._known: dict[str, _Known] = {}
        self._watches: dict[str, SourceWatch] = {}
        self._overridden: set[str] = set()  # loaded by a model with another configuration or other files
        workbench.reloader = self.reload
        workbench.courier = self._deliver
        workbench.loader = self._load_by_name
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
        made = self._config(name, inputs, outputs, config, options)
        watched = source if watch and isinstance(source, Path) else None
        if watch and watched is None:
            raise WorkbenchError("only a file or a folder can be watched", hint="source=Path(...)")
        before = content_hash(watched) if watched is not None else ""
        given: ModelSource | Path | None
        if source is None or (isinstance(source, Path) and source.is_dir()):
            given = source
        else:
            given = source if isinstance(source, ModelSource) else source_from_object(source)
        known = _Known(given, made, dict(backend_config or {}))
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
        """Load a known model again, from another source if one is given; its configuration stays unless one
        is given. ``patch``: see `define`.
        """
        known = self._known.get(name)
        if known is None:
            raise ModelNotFound(f"{name} was never defined here", hint="a %%triton model cell defines it")
        if source is not None:
            known = replace(
                known, source=source if isinstance(source, ModelSource) else source_from_object(source)
            )
        if options:
            config = self._config(
                name,
                options.pop("inputs", ()),
                options.pop("outputs", ()),
                options.pop("config", None),
                options,
            )
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
            return self._load(name, _Known(None, config.named(name), {})).config
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
        if path.is_absolute() or ".." in path.parts or not path.name or file in ("model.py", "config.pbtxt"):
            raise ModelConfigError(
                f"{file!r} is no name for a file beside model.py",
                hint="for example utils.py, or data/words.txt",
            )
        host = self.workbench.find(name)
        if path.suffix == ".py":
            check_syntax(name, source, serving=host.serving if host else "")
        self.files.setdefault(name, {})[str(path)] = source
        if host is None or name not in self._known:
            return None
        return self._load(name, self._known[name])

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
        model = self.workbench.model(name)
        config = model.config
        batch = (-1,) if config.max_batch_size else ()

        def tensors(specs: Sequence[TensorSpec]) -> list[dict[str, Any]]:
            return [
                {"name": each.name, "datatype": each.datatype.name, "shape": [*batch, *each.dims]}
                for each in specs
            ]

        version = str(self.workbench.hosts[name].entry.version)
        return {
            "name": name,
            "versions": [version],
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
        self.workbench.model(name)
        return self.workbench.hosts[name].counts()

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
            self.workbench.model(name)
            source = self.workbench.hosts[name].entry.source
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

    def _config(
        self,
        name: str,
        inputs: Sequence[str | TensorSpec],
        outputs: Sequence[str | TensorSpec],
        config: ModelConfig | str | Path | None,
        options: Mapping[str, Any],
    ) -> ModelConfig | None:
        """What was given as configuration, or None if nothing was."""
        stored = self.configs.get(name)
        if config is None and stored is not None and not inputs and not outputs:
            config = stored
        if config is None:
            if inputs or outputs or options:
                return ModelConfig.from_specs(name, inputs, outputs, **options)
            return None
        if inputs or outputs or options:
            raise ModelConfigError(
                f"{name} has both a configuration and a signature",
                hint="give one of them: config, or inputs and outputs",
            )
        if isinstance(config, Path):
            try:
                config = config.read_text(encoding="utf-8")
            except (OSError, UnicodeDecodeError) as error:
                reason = getattr(error, "strerror", None) or "not UTF-8 text"
                raise ModelConfigError(f"cannot read {Path(config).name}: {reason}") from None
        return ModelConfig.from_text(config, name=name) if isinstance(config, str) else config.named(name)

    def _load(self, name: str, known: _Known, *, remember: bool = True) -> Model:
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
            self._overridden.discard(name)
        else:
            self._overridden.add(name)
        return model

    def _patch(self, name: str, new: _Known) -> Model:
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

    def _begin_watch(self, name: str, known: _Known, path: Path | None, before: str) -> None:
        if path is not None:
            self._watches[name] = SourceWatch(path, before, partial(self._reload_saved, name, known, path))

    def _end_watch(self, name: str) -> None:
        watching = self._watches.pop(name, None)
        if watching is not None:
            watching.close()

    def _reload_saved(self, name: str, first: _Known, path: Path) -> None:
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

    def _entry(self, name: str, known: _Known, settings: Settings) -> ModelEntry:
        """The folder of a model, made if its source is none."""
        root = self.workbench.folder

        def find_backend(wanted: str) -> Path | None:
            return self._find_backend(wanted, settings)

        if isinstance(known.source, Path):
            folder, version = known.source.resolve(), None
            if is_version(folder.name) and not (folder / "config.pbtxt").is_file():
                folder, version = folder.parent, int(folder.name)
            if folder.name != name:
                raise ModelConfigError(
                    f"the folder {folder.name} holds {folder.name}, not {name}",
                    hint="folder and model share a name",
                )
            return open_entry(folder, known.config, version=version, find_backend=find_backend)
        config = known.config or ModelConfig.from_specs(name)
        if known.source is not None:
            host = self.workbench.find(name)
            files = dict(known.source.siblings) | self.files.get(name, {})
            whole = replace(known.source, siblings=tuple(files.items()))
            check_source(name, whole, serving=host.serving if host else "")
            return write_entry(root, whole, config, version=known.version, files=known.files)
        if config.is_ensemble:
            return write_entry(root, ModelSource(config.to_text(), "config.pbtxt"), config)
        backend_dir = backend_folder(config, find_backend)
        if backend_dir is None:
            raise ModelLoadError(
                f"{name} has no source", hint="give the text of a model.py, a file, a folder or a class"
            )
        source = ModelSource(
            (backend_dir / "model.py").read_text(encoding="utf-8"), f"{config.backend}/model.py"
        )
        return write_entry(
            root, source, config, version=known.version, files=known.files, backend_dir=backend_dir
        )

    def _find_backend(self, name: str, settings: Settings) -> Path | None:
        found = self.backends.get(name)
        if found is None and settings.backend_directory:
            folder = Path(settings.backend_directory).expanduser().resolve() / name
            found = folder if (folder / "model.py").is_file() else None
        return found

    # -- folders of models, and what models load -----------------------------------------------------------

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
        path = Path(folder).expanduser().resolve()
        name = name or path.name
        if not (path / "model.py").is_file():
            raise ModelConfigError(
                f"the backend {name} has no model.py",
                hint="a Python-based backend is a folder with a model.py",
            )
        if name == "python":
            raise ModelConfigError("python is the Python backend itself", hint="give the folder another name")
        self.backends[name] = path
        return name

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
        root = Path(folder).expanduser().resolve()
        known = sorted(each.name for each in root.iterdir() if _is_model(each)) if root.is_dir() else []
        if name and name not in known:
            raise ModelNotFound(
                f"no model {name!r} in {root.name}{did_you_mean(name, known)}; {listing(known)}",
                hint="a model is a folder with config.pbtxt, or with 1/model.py",
            )
        if not known:
            raise ModelNotFound(f"{root.name} is no model repository: no folder in it is a model")
        if root not in self.repositories:
            self.repositories.append(root)
        loaded: dict[str, Model] = {}
        for each in [name] if name else known:
            self._load_from(root, each, loaded, ())
        return ModelTable(list(loaded.values()))

    def _load_from(self, root: Path, name: str, loaded: dict[str, Model], above: tuple[str, ...]) -> None:
        """Load a model of a repository after the models its configuration names as steps."""
        if name in loaded:
            return
        if name in above:
            raise ModelConfigError(f"ensembles contain each other: {' -> '.join([*above, name])}")
        text = root / name / "config.pbtxt"
        config = (
            ModelConfig.from_text(text.read_text(encoding="utf-8"), name=name) if text.is_file() else None
        )
        if config is not None and config.ensemble_scheduling is not None:
            for step in config.ensemble_scheduling.step:
                if _is_model(root / step.model_name):
                    self._load_from(root, step.model_name, loaded, (*above, name))
        loaded[name] = self.define(name, root / name)

    def _load_by_name(self, name: str, config: str, files: Mapping[str, bytes]) -> bool:
        """What ``pb_utils.load_model`` asks for."""
        known = self._known.get(name)
        if known is None:
            folders = (each / name for each in self.repositories)
            folder = next((each for each in folders if _is_model(each)), None)
            known = _Known(folder, None, {}) if folder is not None else None
        if files and not config:
            raise WorkbenchError(
                f"failed to load '{name}', override model directory requires a model configuration: give "
                "config with files"
            )
        if known is None and not files:
            return False
        try:
            if not config:
                assert known is not None
                if not self._is_current(name, known):
                    self._load(name, known)
                return True
            override = ModelConfig.from_json(config, name=name)
            if files:
                known = _from_files(override, files, known.backend_config if known else {})
            assert known is not None
            self._load(name, replace(known, config=override), remember=False)
        except ModelLoadError as error:
            raise WorkbenchError(
                f"load failed for model '{name}': version {known.version if known else 1} is at UNAVAILABLE "
                f"state: Internal: {error.cause};\n"
            ) from None
        except ModelConfigError as error:
            raise WorkbenchError(f"failed to load '{name}': {error}") from None
        return True

    def _is_current(self, name: str, known: _Known) -> bool:
        """Whether what serves is what a load would bring: then a server does nothing."""
        host = self.workbench.find(name)
        if host is None or host.state != "READY" or host.failure is not None or name in self._overridden:
            return False
        if not isinstance(known.source, Path):
            return True
        try:
            text = host.entry.code_file.read_text(encoding="utf-8")
        except OSError:
            return False
        return text == host.entry.source.text


def _is_model(folder: Path) -> bool:
    """A folder with a configuration, or with a version of a model in it."""
    if not folder.is_dir() or folder.name.startswith("."):
        return False
    return (folder / "config.pbtxt").is_file() or any(
        (folder / str(version) / "model.py").is_file() for version in versions_in(folder)
    )


def _from_files(config: ModelConfig, files: Mapping[str, bytes], settings: Mapping[str, Any]) -> _Known:
    """A model out of ``file:<path>`` entries alone, as `load_model` gives them."""
    plain: dict[str, bytes] = {}
    for key, data in files.items():
        if not key.startswith("file:"):
            raise ModelConfigError(f"the file {key!r} has another form than file:1/{config.filename}")
        plain[key.removeprefix("file:")] = data
    versions = sorted({int(each.split("/")[0]) for each in plain if is_version(each.split("/")[0])})
    version = choose_version(config, versions)
    text = plain.pop(f"{version}/{config.filename}", None)
    if text is None:
        raise ModelLoadError(
            f"{config.name} has no {version or 1}/{config.filename} among its files",
            cause=f"at least one version must be available under the version policy of model '{config.name}'",
        )
    return _Known(ModelSource(text.decode(), config.filename), config, settings, plain, version)
