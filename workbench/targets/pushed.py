"""A model as it goes over the wire to a server: configuration with the revision's mark, and files."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from google.protobuf import json_format, text_format
from tritonclient.grpc import model_config_pb2 as pb

from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.repository.model_files import is_stub_file, model_files

__all__ = ["MARK", "Pushed", "loose_entry", "make_pushed", "mark_in"]

#: Parameter of the configuration that says which sources were sent. A server answers a second load with an
#: equal configuration with success and keeps serving the old files (seen with 24.10): the mark makes every
#: revision's configuration its own, and is read back to know what serves.
MARK = "workbench_src"
_EMPTY = "ensemble.txt"


@dataclass(frozen=True)
class Pushed:
    """One revision on its way, or as it was sent."""

    entry: ModelEntry
    config: str  # JSON
    files: Mapping[str, bytes]  # path inside the model's folder → content
    mark: str
    onto: str | None = None  # the mark of what served when it was sent; None: nothing did

    @property
    def src(self) -> str:
        return self.entry.source.src

    def same_as(self, mark: str | None) -> bool:
        """Whether a mark is of the same revision, however often it was sent."""
        return mark is not None and mark.partition(".")[0] == self.mark.partition(".")[0]

    def after(self, mark: str | None) -> Pushed:
        """The same, to follow what serves, and to be loaded although it serves already: a server starts
        nothing anew for an equal configuration, not even the process of a model that died (seen with 24.07
        and 24.10).

        Args:
            mark: Of what serves.
        """
        if mark is None or not self.same_as(mark):
            return replace(self, onto=mark)
        count = mark.partition(".")[2]
        again = f"{self.mark.partition('.')[0]}.{int(count) + 1 if count.isdecimal() else 2}"
        return replace(self, config=_config_json(self.entry.config, again), mark=again, onto=mark)


def loose_entry(name: str, source: ModelSource, config: ModelConfig) -> ModelEntry:
    """A model without a folder: its paths name nothing, and nothing is read from them."""
    return ModelEntry(name, Path(os.devnull) / "1" / name, source, config)


def make_pushed(
    entry: ModelEntry, extra: Mapping[str, bytes | Path] | None = None, *, version: int = 0
) -> Pushed:
    """A model ready to be sent.

    Args:
        entry: The model.
        extra: More files for the model's folder: a stub.
        version: Which version it is to be; 0: the one it is.
    """
    files = {name: data for name, data in model_files(entry).items() if name != "config.pbtxt"}
    if version and version != entry.version:
        here, there = f"{entry.version}/", f"{version}/"
        files = {
            there + name.removeprefix(here) if name.startswith(here) else name: data
            for name, data in files.items()
            if not name.startswith(there)
        }
        entry = replace(entry, version=version)
    if not files:
        # A server wants a version folder with a file in it, of an ensemble too.
        files = {f"{entry.version}/{_EMPTY}": b"The configuration says it all.\n"}
    if extra:
        files = {name: data for name, data in files.items() if not is_stub_file(name)} | dict(extra)
    contents = {name: data.read_bytes() if isinstance(data, Path) else data for name, data in files.items()}
    digest = hashlib.sha256(entry.config.to_text().encode())
    for name, data in sorted(contents.items()):
        digest.update(f"\n{name} {len(data)}\n".encode() + hashlib.sha256(data).digest())
    mark = f"{entry.source.src}-{digest.hexdigest()[:16]}"
    return Pushed(entry, _config_json(entry.config, mark), contents, mark)


def mark_in(config: Mapping[str, Any]) -> str:
    """The mark in a server's answer; "" for a model that was not sent by us."""
    return str(config.get("parameters", {}).get(MARK, {}).get("string_value", ""))


def _config_json(config: ModelConfig, mark: str) -> str:
    # Only fields that are set: a server refuses names its own release does not know.
    message = pb.ModelConfig()
    text_format.Parse(config.to_text(), message)
    message.parameters[MARK].string_value = mark
    return str(json_format.MessageToJson(message, preserving_proto_field_name=True, sort_keys=True))
