"""Files from elsewhere, broken at any place: an error of ours or a result, nothing outside of the folder."""

from __future__ import annotations

import io
import json
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from workbench.capture.notebook import read_cells
from workbench.environments import archive
from workbench.environments.prefix import ExecutionEnvironmentError
from workbench.errors import WorkbenchError
from workbench.model_config import ModelConfig
from workbench.trace.trace import Trace

EXAMPLES = int(os.environ.get("WORKBENCH_FUZZ", "100"))
fuzzed = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
    database=None,
)

NAMES = st.sampled_from(
    [
        "bin/python3",
        "lib/a.py",
        "..",
        "../out",
        "/out",
        "a/../../out",
        "lib",
        "lib/x/y",
        ".",
        "",
        "a\n",
        "lib/link/in",
    ]
)
KINDS = st.sampled_from(
    [
        tarfile.REGTYPE,
        tarfile.DIRTYPE,
        tarfile.SYMTYPE,
        tarfile.LNKTYPE,
        tarfile.CHRTYPE,
        tarfile.FIFOTYPE,
        b"Z",
    ]
)
ENTRIES = st.lists(st.tuples(NAMES, KINDS, NAMES, st.integers(0, 0o7777)), max_size=6)
#: What is done to bytes: at a share of the length, replaced by others; then cut.
CHANGES = st.lists(
    st.tuples(st.floats(0, 1, exclude_max=True), st.binary(min_size=1, max_size=8)), max_size=8
)
CUT = st.floats(0.0, 1.0)


def broken(good: bytes, changes: list[tuple[float, bytes]], cut: float) -> bytes:
    data = bytearray(good)
    for share, other in changes:
        at = int(share * len(data))
        data[at : at + len(other)] = other
    return bytes(data[: int(cut * len(data)) + 1] if cut < 0.9 else data)


def packed(entries: list[tuple[str, bytes, str, int]]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, kind, target, mode in entries:
            member = tarfile.TarInfo(name)
            member.type, member.linkname, member.mode = kind, target, mode
            content = b"content" if kind == tarfile.REGTYPE else b""
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def names_in(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


@fuzzed
@given(ENTRIES, CHANGES, CUT)
def test_archives(
    tmp_path_factory: pytest.TempPathFactory,
    entries: list[tuple[str, bytes, str, int]],
    changes: list[tuple[float, bytes]],
    cut: float,
) -> None:
    home = tmp_path_factory.mktemp("archive")
    file, target = home / "env.tar.gz", home / "env"
    file.write_bytes(broken(packed(entries), changes, cut))
    try:
        archive.read_members(file)
        archive.unpack(file, target)
        assert target.is_dir()
    except ExecutionEnvironmentError:
        assert not target.exists()
    assert names_in(home) <= {"env.tar.gz", "env"}
    for each in target.rglob("*"):
        assert each.is_symlink() or each.resolve().is_relative_to(home)
        assert not (each.lstat().st_mode & 0o6000), "set-id"


TRACE = json.dumps(
    {"traceEvents": [{"name": "m", "ph": "X", "ts": 1, "dur": 2, "pid": 1, "tid": 1, "args": {"id": "1"}}]}
).encode()
NOTEBOOK = json.dumps(
    {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {},
        "cells": [{"cell_type": "code", "source": ["x = 1"]}],
    }
).encode()
CONFIG = b'name: "m"\nmax_batch_size: 4\ninput [ { name: "X" data_type: TYPE_FP32 dims: [ -1, 2 ] } ]\n'
CONFIG += b'output [ { name: "Y" data_type: TYPE_STRING dims: [ 1 ] } ]\n'
CONFIG += b"instance_group [ { count: 2 kind: KIND_CPU } ]\n"


def read_config(path: Path) -> object:
    config = ModelConfig.from_text(path.read_bytes().decode(errors="replace"), name="m")
    return config.inputs, config.outputs, config.instances, config.to_text()


READERS: list[tuple[str, bytes, Callable[[Path], object]]] = [
    ("trace.json", TRACE, Trace.load),
    ("cells.ipynb", NOTEBOOK, read_cells),
    ("config.pbtxt", CONFIG, read_config),
]


@pytest.mark.parametrize(("name", "good", "read"), READERS, ids=[name for name, _, _ in READERS])
@fuzzed
@given(changes=CHANGES, cut=CUT)
def test_files(
    tmp_path: Path,
    name: str,
    good: bytes,
    read: Callable[[Path], object],
    changes: list[tuple[float, bytes]],
    cut: float,
) -> None:
    path = tmp_path / name
    path.write_bytes(broken(good, changes, cut))
    try:
        read(path)
    except WorkbenchError:
        pass


KEYS = st.sampled_from(
    [
        "cells",
        "nbformat",
        "cell_type",
        "source",
        "metadata",
        "tags",
        "traceEvents",
        "args",
        "id",
        "resourceSpans",
        "scopeSpans",
        "spans",
        "name",
    ]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            KEYS | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@pytest.mark.parametrize("read", [Trace.load, read_cells])
@fuzzed
@given(data=JSON)
def test_json_of_any_form(tmp_path: Path, read: Callable[[Path], object], data: object) -> None:
    path = tmp_path / "file.json"
    path.write_text(json.dumps(data))
    try:
        read(path)
    except WorkbenchError:
        pass


@pytest.mark.parametrize("read", [Trace.load, read_cells])
def test_json_that_nests_too_deep(tmp_path: Path, read: Callable[[Path], object]) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 200_000 + "]" * 200_000)
    with pytest.raises(WorkbenchError):
        read(path)
