"""Execution environments: packed by export, run by a clean server and by the live host."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.environments import CONFIG, MODEL, make_venv
from tests.support.models import write_model
from workbench.commands import main
from workbench.environments.pack import plan_environment
from workbench.errors import ModelLoadError
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry
from workbench.repository import open_entry
from workbench.repository.export import ExportReport, export
from workbench.repository.verify import verify
from workbench.server_errors import ExportError, VerifyError
from workbench.server_install import ServerInstall
from workbench.targets.live import LiveTarget

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"
OTHER = "3.9" if MINOR != "3.9" else "3.8"


@pytest.fixture(scope="module")
def python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with NumPy 2 and nothing of the workbench."""
    try:
        return make_venv(tmp_path_factory.mktemp("venv") / "models", "numpy>=2")
    except subprocess.CalledProcessError as error:
        pytest.skip(f"no packages to be had: {error}")


@pytest.fixture(scope="module")
def entry(tmp_path_factory: pytest.TempPathFactory) -> ModelEntry:
    return open_entry(write_model(tmp_path_factory.mktemp("from"), "m", MODEL, CONFIG))


@pytest.fixture(scope="module")
def packed(
    python: Path, entry: ModelEntry, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Path, ExportReport]]:
    """A repository with one model, its environment and our stub."""
    repo = tmp_path_factory.mktemp("packed") / "repo"
    report = export([entry], repo, release="24.10", stub="launcher", env="pack", python=str(python))
    yield repo, report


def digests(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_what_is_written(packed: tuple[Path, ExportReport]) -> None:
    repo, report = packed
    lines = repr(report).splitlines()
    assert lines[0] == "Export m -> repo: 6 files"
    assert any(line.split() == ["m/env.tar.gz", "python", f"{MINOR},", "1", "package"] for line in lines)
    assert lines[-1] == (
        f"  note: a virtual environment brings no interpreter: the server's machine must have python {MINOR} "
        "at the same place"
    )
    config = ModelConfig.from_text((repo / "m/config.pbtxt").read_text())
    assert config.parameters == {"EXECUTION_ENV_PATH": "$$TRITON_MODEL_DIRECTORY/env.tar.gz"}
    assert not (repo / "m/triton_stub_python").exists(), "the environment brings the interpreter"
    with tarfile.open(repo / "m/env.tar.gz") as tar:
        members = tar.getmembers()
    names = [each.name for each in members]
    assert names == sorted(names)
    assert not [name for name in names if name.endswith(".pyc")]
    assert {(each.mtime, each.uid, each.uname) for each in members} == {(315532800, 0, "")}


def test_the_same_environment_gives_the_same_bytes(
    packed: tuple[Path, ExportReport], python: Path, entry: ModelEntry, tmp_path: Path
) -> None:
    export([entry], tmp_path / "again", release="24.10", stub="launcher", env="pack", python=str(python))
    assert digests(tmp_path / "again") == digests(packed[0])


@pytest.mark.server
def test_a_clean_server_whose_own_python_has_no_numpy(
    packed: tuple[Path, ExportReport], tmp_path: Path, live: LiveTarget, triton_2410: ServerInstall
) -> None:
    """The same model without its environment shows that the server's Python has none."""
    repo = packed[0]
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    model = live.define("m", repo / "m")
    assert model.infer(X=[1, 2, 3])["Y"].numpy().tolist() == [2, 4, 6]
    requests = {"m": live.workbench.hosts["m"].recorder.requests}
    before = digests(repo)
    report = verify(repo, requests=requests, python=str(bare / "bin/python3"), install=triton_2410)
    assert repr(report) == "Verify repo: 1 of 1 models ready, Triton 24.10\n  m  READY  1 request equal"
    assert digests(repo) == before
    alone = open_entry(write_model(tmp_path / "from", "m", MODEL, CONFIG))
    export([alone], tmp_path / "alone", release="24.10", stub="launcher")
    with pytest.raises(VerifyError, match="No module named 'numpy'"):
        verify(tmp_path / "alone", python=str(bare / "bin/python3"), install=triton_2410)


@pytest.mark.server
def test_models_share_one_archive(
    packed: tuple[Path, ExportReport], tmp_path: Path, triton_2410: ServerInstall
) -> None:
    entries = [open_entry(write_model(tmp_path / "from", name, MODEL, CONFIG)) for name in ("one", "two")]
    archive = packed[0] / "m/env.tar.gz"
    report = export(entries, tmp_path / "repo", release="24.10", stub="launcher", env=str(archive))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()[:12]
    assert sorted(each.name for each in (tmp_path / "repo").iterdir()) == [
        f"env-{digest}.tar.gz",
        "one",
        "two",
    ]
    assert report.files[-1] == (f"env-{digest}.tar.gz", f"python {MINOR}, 1 package")
    found = verify(tmp_path / "repo", install=triton_2410)
    assert [row[:2] for row in found.rows] == [("one", "READY"), ("two", "READY")]
    export(entries, tmp_path / "repo", env=str(archive), force=True)
    with pytest.raises(ExportError, match="these are several models"):
        export(entries, tmp_path / "other", env="dir")


@pytest.mark.server
def test_an_environment_as_a_folder(
    packed: tuple[Path, ExportReport], python: Path, entry: ModelEntry, tmp_path: Path, live: LiveTarget,
    triton_2410: ServerInstall,
) -> None:  # fmt: skip
    repo = tmp_path / "repo"
    export([entry], repo, release="24.10", stub="launcher", env="dir", python=str(python))
    assert (repo / "m/env/lib64").readlink() == Path("lib")
    assert verify(repo, install=triton_2410).rows == (("m", "READY"),)
    model = live.define("m", repo / "m")
    assert model.infer(X=[1])["Y"].numpy().tolist() == [2]
    assert not (live.workbench.folder / "environments").exists(), "a folder is used where it lies"


def test_live_unpacks_an_archive_once_and_again_when_it_has_changed(
    packed: tuple[Path, ExportReport], live: LiveTarget
) -> None:
    archive = packed[0] / "m/env.tar.gz"
    unpacked = live.workbench.folder / "environments"
    model = live.define("m", packed[0] / "m")
    other = live.define(
        "other",
        MODEL,
        ["X:FP32[-1]"],
        ["Y:FP32[-1]"],
        parameters={"EXECUTION_ENV_PATH": str(archive)},
        backend_config={"release": "24.10"},
    )
    assert [each.name for each in unpacked.iterdir()] == ["1"]
    assert model.infer(X=[1])["Y"].numpy() == other.infer(X=[1])["Y"].numpy() == [2]
    status = archive.stat()
    try:
        os.utime(archive, ns=(status.st_atime_ns, status.st_mtime_ns + 1_000_000_000))
        live.define("m", packed[0] / "m")
        assert sorted(each.name for each in unpacked.iterdir()) == ["1", "2"]
        assert other.infer(X=[1])["Y"].numpy() == [2]
    finally:
        os.utime(archive, ns=(status.st_atime_ns, status.st_mtime_ns))


def test_variables_that_activate_exports_reach_the_model_as_on_a_server(
    python: Path, live: LiveTarget, tmp_path: Path
) -> None:
    """Up to 25.07 a server runs bin/activate, later ones do not. The folder's name is never run."""
    folder = tmp_path / "it's $(touch here); a folder"
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/python3").symlink_to(python.resolve())
    (folder / "lib").symlink_to(python.parent.parent / "lib")
    (folder / "pyvenv.cfg").write_bytes((python.parent.parent / "pyvenv.cfg").read_bytes())
    (folder / "bin/activate").write_text('export FROM_ACTIVATE="two\nlines"\necho noise\n')
    text = MODEL.replace(
        "assert os.path.realpath(sys.prefix)", 'assert "noise" or os.path.realpath(sys.prefix)'
    ).replace("int(np.__version__", 'len(os.environ.get("FROM_ACTIVATE", "")) or int(np.__version__')
    options: dict[str, Any] = {"parameters": {"EXECUTION_ENV_PATH": str(folder)}}
    signature = (["X:FP32[-1]"], ["Y:FP32[-1]"])
    old = live.define("old", text, *signature, backend_config={"release": "25.07"}, **options)
    new = live.define("new", text, *signature, backend_config={"release": "25.08"}, **options)
    assert old.infer(X=[1])["Y"].numpy() == [9]
    assert new.infer(X=[1])["Y"].numpy() == [2]
    assert not list(tmp_path.rglob("here"))
    (folder / "bin/activate").write_text("echo broken >&2\nreturn 3\n")
    with pytest.raises(ModelLoadError, match=r"bin/activate of the environment ended with 3: broken \(old\)"):
        live.define("old", text, *signature, backend_config={"release": "25.07"}, **options)
    assert old.infer(X=[1])["Y"].numpy() == [9], "the last good revision serves on"


def other_python(folder: Path) -> Path:
    """An environment whose interpreter answers as one of another version."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin/activate").write_text("")
    python = folder / "bin/python3"
    python.write_text(f"#!/bin/sh\necho {OTHER}\n")
    python.chmod(0o755)
    return python


def test_an_environment_of_another_python_is_refused(
    entry: ModelEntry, live: LiveTarget, tmp_path: Path
) -> None:
    python = other_python(tmp_path / "env")
    with pytest.raises(ModelLoadError) as refused:
        live.define(
            "m", MODEL, ["X:FP32[1]"], ["Y:FP32[1]"], parameters={"EXECUTION_ENV_PATH": str(tmp_path / "env")}
        )
    assert str(refused.value) == (
        f"the execution environment has Python {OTHER}; the stub is for Python {MINOR} (m)"
    )
    assert refused.value.hint == f"workbench stub build --python {python.resolve()}"
    assert live.workbench.hosts["m"].state == "FAILED"
    library = tmp_path / f"env/lib/python{OTHER}/site-packages"
    (library / "numpy").mkdir(parents=True)
    (tmp_path / "env/conda-meta").mkdir()
    packing: list[Path] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("workbench.environments.pack._conda", lambda *given: packing.append(given[-1]))
        with pytest.raises(ExportError, match=f"the stub is for Python {MINOR}, the environment has {OTHER}"):
            export([entry], tmp_path / "repo", stub="launcher", env=str(tmp_path / "env"))
    assert packing == []
    assert not (tmp_path / "repo").exists()


def test_conda_pack_is_what_packs_a_prefix_of_conda(entry: ModelEntry, tmp_path: Path) -> None:
    """The interpreter here is a link to this one; test_other_python has a whole prefix."""
    prefix = tmp_path / "prefix"
    numpy = prefix / f"lib/python{MINOR}/site-packages/numpy"
    numpy.mkdir(parents=True)
    (numpy / "__init__.py").write_text("")
    (prefix / "bin").mkdir()
    (prefix / "bin/python3").symlink_to(Path(sys.executable).resolve())
    (prefix / "bin/tool").write_text(f"#!{prefix}/bin/python3\n")
    (prefix / "conda-meta").mkdir()
    (prefix / "conda-meta/history").write_text("")
    for repo in ("repo", "again"):
        export([entry], tmp_path / repo, env=str(prefix))
    assert digests(tmp_path / "repo") == digests(tmp_path / "again")
    with tarfile.open(tmp_path / "repo/m/env.tar.gz") as tar:
        names = tar.getnames()
        activate = tar.extractfile("bin/activate")
        assert activate is not None
        assert b"CONDA_PREFIX" in activate.read()
    assert {"bin/conda-unpack", "bin/tool", f"lib/python{MINOR}/site-packages/numpy/__init__.py"} <= set(
        names
    )


def test_the_environment_beside_a_python_based_backend(
    packed: tuple[Path, ExportReport], live: LiveTarget, tmp_path: Path
) -> None:
    """It is for models that name none."""
    backend = tmp_path / "mine"
    backend.mkdir()
    (backend / "model.py").write_text(MODEL)
    os.link(packed[0] / "m/env.tar.gz", backend / "pb_exec_env_model.py.tar.gz")
    live.register_backend(backend)
    model = live.define("m", config=CONFIG.replace('"python"', '"mine"'))
    assert model.infer(X=[1])["Y"].numpy() == [2]


@pytest.mark.server
def test_nvidias_stub_in_an_environment(packed: tuple[Path, ExportReport], live: LiveTarget) -> None:
    """Its answers are empty under NumPy 2 (releases up to 24.10): it loads, and finds the environment."""
    model = live.define("m", packed[0] / "m", backend_config={"stub": "nvidia"})
    assert model.state == "READY"
    assert live.workbench.hosts["m"].current.plan.uses_env  # type: ignore[union-attr]


def test_environments_that_cannot_travel(
    python: Path, entry: ModelEntry, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def refused(env: str, because: str) -> str:
        with pytest.raises(ExportError, match=because) as error:
            export([entry], tmp_path / "repo", env=env)
        assert not (tmp_path / "repo").exists()
        return error.value.hint

    assert "--env pack" in refused(str(tmp_path / "nosuch"), "there is no environment")
    bare = tmp_path / "bare"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", bare], check=True)
    assert "pip install numpy" in refused(str(bare), "has no numpy")
    library = next(bare.glob("lib/python3.*/site-packages"))
    (library / "thing-1.0.dist-info").mkdir()
    (library / "thing-1.0.dist-info/direct_url.json").write_text(
        '{"dir_info": {"editable": true}, "url": "x"}'
    )
    assert "without -e" in refused(str(bare), r"thing is installed in place \(editable\)")
    (bare / "pyvenv.cfg").write_text("home = /usr/bin\ninclude-system-site-packages = true\n")
    refused(str(bare), "also uses the system's packages")
    refused(str(tmp_path), "is neither a virtual environment nor one of conda")
    broken = tmp_path / "env.tar.gz"
    broken.write_bytes(b"no archive")
    refused(str(broken), "is no .tar.gz")
    with tarfile.open(broken, "w:gz") as tar:
        tar.add(bare / "pyvenv.cfg", "../../escaped")
    refused(str(broken), "leads out of the folder")
    arguments = ["export", str(entry.path), "-o", str(tmp_path / "repo"), "--env", str(broken)]
    assert main(arguments) == 1
    assert "leads out of the folder" in capsys.readouterr().err


def test_archives_and_paths_that_the_live_host_refuses(live: LiveTarget, tmp_path: Path) -> None:
    def refused(value: str, because: str) -> None:
        with pytest.raises(ModelLoadError, match=because):
            live.define("m", MODEL, ["X:FP32[1]"], ["Y:FP32[1]"], parameters={"EXECUTION_ENV_PATH": value})

    refused("/nosuch/env.tar.gz", "Failed to get the canonical path for /nosuch/env.tar.gz")
    refused(
        "$$TRITON_MODEL_DIRECTORY/env.tar.gz", r"canonical path for \$\$TRITON_MODEL_DIRECTORY/env.tar.gz"
    )
    refused(str(tmp_path), "has no bin/activate")
    archive = tmp_path / "evil.tar.gz"
    link = tarfile.TarInfo("lib")
    link.type, link.linkname = tarfile.SYMTYPE, "/tmp"
    with tarfile.open(archive, "w:gz") as tar:
        tar.addfile(link)
    refused(str(archive), "evil.tar.gz: the entry 'lib' is a link out of the folder")
    assert list((live.workbench.folder / "environments").iterdir()) == []
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/activate").write_text("")
    refused(str(tmp_path), "bin/python3 is missing")
    (tmp_path / "bin/python3").symlink_to("/nosuch/python3")
    refused(str(tmp_path), "bin/python3 is a link to /nosuch/python3, which is not here")


def test_an_environment_by_the_name_of_its_interpreter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(tmp_path / "env")], check=True)
    monkeypatch.setenv("PATH", f"{tmp_path / 'env' / 'bin'}:{os.environ['PATH']}")
    assert plan_environment("pack", "python3").interpreter == tmp_path / "env" / "bin" / "python3"
