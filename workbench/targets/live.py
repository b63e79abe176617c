"""The live target: from sources and signatures to models in stubs of this kernel."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workbench.capture import check_source, source_from_object
from workbench.config_checks import check_model_name
from workbench.errors import ModelConfigError, ModelLoadError, ModelNotFound, WorkbenchError
from workbench.messages import InferResult
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.repository import open_entry, remove_entry, write_entry
from workbench.session.model import Model
from workbench.session.workbench import Workbench
from workbench.tensor_spec import TensorSpec

__all__ = ["LiveTarget"]


@dataclass(frozen=True)
class _Known:
    """What a model was last made from; enough to make it again."""

    source: ModelSource | Path
    config: ModelConfig | None
    backend_config: Mapping[str, Any]


class LiveTarget:
    """Defines models in a `Workbench`."""

    name = "live"

    def __init__(self, workbench: Workbench) -> None:
        self.workbench = workbench
        #: Configurations given apart from their model (``%%triton config``), by model name.
        self.configs: dict[str, ModelConfig] = {}
        self._known: dict[str, _Known] = {}
        workbench.reloader = self.reload
        workbench.loader = self._load_by_name

    def define(
        self,
        name: str,
        source: ModelSource | str | Path | type,
        inputs: Sequence[str | TensorSpec] = (),
        outputs: Sequence[str | TensorSpec] = (),
        config: ModelConfig | str | None = None,
        *,
        backend_config: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> Model:
        """Make a model and load it; under a name in use it takes over once it is ready.

        Args:
            name: The model's name.
            source: Text of a model.py, a file, a model directory (used in place), or a class of a cell.
            inputs: Specs such as ``INPUT0:FP32[4]``.
            outputs: The same for outputs.
            config: config.pbtxt or a `ModelConfig`, in place of a signature.
            backend_config: Settings for this model, keys as ``--backend-config`` spells them.
            **options: max_batch_size, instances, device, decoupled, gpu_inputs, parameters: see
                `ModelConfig.from_specs`.

        Raises:
            ModelConfigError: name, signature or configuration is wrong.
            ModelLoadError: the source is no model, or failed to load. What served before goes on serving.
        """
        check_model_name(name)
        made = self._config(name, inputs, outputs, config, options)
        given: ModelSource | Path
        if isinstance(source, Path) and source.is_dir():
            given = source
        else:
            given = source if isinstance(source, ModelSource) else source_from_object(source)
        return self._load(name, _Known(given, made, dict(backend_config or {})))

    def reload(self, name: str, source: Any = None, **options: Any) -> Model:
        """Load a known model again, from another source if one is given; its configuration stays unless one
        is given.
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
        return self._load(name, known)

    def set_config(self, name: str, config: ModelConfig) -> ModelConfig:
        """Keep a configuration for a model; a model that is live already is loaded again with it.

        Returns:
            The effective configuration.
        """
        known = self._known.get(name)
        if known is not None and name in self.workbench.hosts:
            model = self._load(name, replace(known, config=config))
            config = model.config if known.source else config
        self.configs[name] = config
        return config

    # -- Target --------------------------------------------------------------------------------------------

    def load(self, name: str, source: ModelSource | None, config: ModelConfig | None) -> None:
        if source is None:
            self.reload(name)
        else:
            self.define(name, source, config=config)

    def unload(self, name: str) -> None:
        self.workbench.unload(name)

    def ready(self, name: str) -> bool:
        host = self.workbench.find(name)
        return host is not None and host.state == "READY"

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
            "platform": "python",
            "inputs": tensors(config.inputs),
            "outputs": tensors(config.outputs),
        }

    def config(self, name: str) -> ModelConfig:
        return self.workbench.model(name).config

    def infer(self, name: str, inputs: Mapping[str, Any], **options: Any) -> InferResult:
        return self.workbench.model(name).infer(inputs, **options)

    def stream(self, name: str, inputs: Mapping[str, Any], **options: Any) -> Iterator[InferResult]:
        return self.workbench.model(name).stream(inputs, **options)

    def statistics(self, name: str) -> dict[str, int]:
        self.workbench.model(name)
        return self.workbench.hosts[name].counts()

    def logs(self, name: str, count: int = 50) -> list[str]:
        return [str(each) for each in self.workbench.logs.records(name, count)]

    # -- inside --------------------------------------------------------------------------------------------

    def _config(
        self,
        name: str,
        inputs: Sequence[str | TensorSpec],
        outputs: Sequence[str | TensorSpec],
        config: ModelConfig | str | None,
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
        return ModelConfig.from_text(config, name=name) if isinstance(config, str) else config.named(name)

    def _load(self, name: str, known: _Known) -> Model:
        workbench = self.workbench
        settings = workbench.settings.updated(known.backend_config)
        entry: ModelEntry
        if isinstance(known.source, Path):
            entry = open_entry(known.source, known.config)
            if entry.name != name:
                raise ModelConfigError(
                    f"the folder {known.source.name} holds {entry.name}, not {name}",
                    hint="folder and model share a name",
                )
        else:
            host = workbench.find(name)
            check_source(name, known.source, serving=host.serving if host else "")
            entry = write_entry(workbench.folder, known.source, known.config or ModelConfig.from_specs(name))
        try:
            model = workbench.load(entry, discard=remove_entry, settings=settings)
        finally:
            # Kept even if it failed: what the user wrote last is what a reload means.
            self._known[name] = known
        return model

    def _load_by_name(self, name: str, config: str, files: Mapping[str, bytes]) -> bool:
        known = self._known.get(name)
        if known is None:
            return False
        if config:
            known = replace(known, config=ModelConfig.from_json(json.loads(config), name=name))
        for path, data in files.items():
            if path.removeprefix("file:").endswith("model.py"):
                known = replace(known, source=ModelSource(data.decode(), "model.py"))
        try:
            self._load(name, known)
        except ModelLoadError as error:
            raise WorkbenchError(f"failed to load '{name}': {error.cause}") from None
        return True
