"""Archives of environments: what is refused, what comes out, and that bytes repeat."""

from __future__ import annotations

import io
import os
import stat
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from workbench.environments import ExecutionEnvironmentError, unpack
from workbench.environments.archive import read_members, rewrite


def archive(folder: Path, *entries: tarfile.TarInfo | tuple[str, bytes], mode: str = "w:gz") -> Path:
    """A tar of these entries, in this order."""
    path = folder / "env.tar.gz"
    with tarfile.open(path, mode) as tar:  # type: ignore[call-overload]
        for each in entries:
            if isinstance(each, tarfile.TarInfo):
                tar.addfile(each)
            else:
                member = tarfile.TarInfo(each[0])
                member.size = len(each[1])
                member.mode = 0o755 if each[0].removeprefix("./").startswith("bin/") else 0o640
                member.mtime = 1_600_000_000
                tar.addfile(member, io.BytesIO(each[1]))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def test_files_folders_and_links_come_out(tmp_path: Path) -> None:
    unpack(
        archive(
            tmp_path,
            special("./", tarfile.DIRTYPE),
            ("./bin/activate", b"echo"),
            special("empty", tarfile.DIRTYPE),
            special("bin/python3", tarfile.SYMTYPE, "/usr/bin/python3"),
            special("lib64", tarfile.SYMTYPE, "lib"),
            ("lib/a.py", b"a = 1"),
            special("lib/b.py", tarfile.LNKTYPE, "lib/a.py"),
            special("lib/up", tarfile.SYMTYPE, "../bin/activate"),
        ),
        tmp_path / "out",
    )
    out = tmp_path / "out"
    assert (out / "lib/b.py").read_bytes() == b"a = 1"
    assert (out / "bin/python3").readlink() == Path("/usr/bin/python3")
    assert (out / "lib64/a.py").read_bytes() == b"a = 1"
    assert (out / "empty").is_dir()
    assert (out / "lib/a.py").stat().st_mtime == 1_600_000_000
    assert stat.S_IMODE((out / "bin/activate").stat().st_mode) == 0o755
    assert stat.S_IMODE(out.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    ("entries", "why"),
    [
        ([("../evil", b"x")], "leads out of the folder"),
        ([("lib/../../evil", b"x")], "leads out of the folder"),
        ([("/tmp/evil", b"x")], "is an absolute path"),
        ([special("a", tarfile.SYMTYPE, "/etc"), ("a/evil", b"x")], "link out of the folder"),
        ([special("a", tarfile.SYMTYPE, "../..")], "link out of the folder"),
        ([special("lib/a", tarfile.SYMTYPE, "b/../../..")], "link out of the folder"),
        ([special("lib/a", tarfile.SYMTYPE, "x/../y")], "link out of the folder"),
        ([special("bin/python3", tarfile.SYMTYPE, "/tmp"), ("bin/python3/x", b"x")], "goes through a link"),
        ([special("bin/python3", tarfile.SYMTYPE, "/tmp/x"), ("bin/python3", b"x")], "goes through a link"),
        ([special("a", tarfile.SYMTYPE, "lib"), ("a/x", b"x")], "goes through a link"),
        ([special("a", tarfile.LNKTYPE, "../../etc/passwd")], "no file of the archive"),
        ([special("a", tarfile.LNKTYPE, "/etc/passwd")], "no file of the archive"),
        ([special("dev", tarfile.CHRTYPE)], "neither file, folder nor link"),
        ([special("pipe", tarfile.FIFOTYPE)], "neither file, folder nor link"),
    ],
)
def test_entries_that_are_refused(
    tmp_path: Path, entries: list[tarfile.TarInfo | tuple[str, bytes]], why: str
) -> None:
    made = archive(tmp_path, ("lib/first", b"x"), *entries)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(ExecutionEnvironmentError, match=why):
        unpack(made, tmp_path / "out")
    with pytest.raises(ExecutionEnvironmentError, match=why):
        read_members(made)
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"PK" + data])
def test_broken_archives(tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    made = archive(tmp_path, *[(f"lib/{number}", os.urandom(5000)) for number in range(20)])
    made.write_bytes(damage(made.read_bytes()))
    with pytest.raises(ExecutionEnvironmentError, match=r"env.tar.gz is no .tar.gz, or only part of one"):
        unpack(made, tmp_path / "out")
    assert not (tmp_path / "out").exists()
    with pytest.raises(ExecutionEnvironmentError, match="cannot read nosuch: No such file"):
        read_members(tmp_path / "nosuch")


def test_a_disk_that_is_full(tmp_path: Path) -> None:
    """A limit on the size of files stands for it: the system refuses a write in the middle."""
    made = archive(tmp_path, ("lib/small", b"x"), ("lib/large", os.urandom(3 << 20)))
    program = (
        "import resource, signal, sys; from pathlib import Path; from workbench.environments import unpack\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))\n"
        "unpack(Path(sys.argv[1]), Path(sys.argv[2]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, made, tmp_path / "out"], capture_output=True, text=True, timeout=60
    )
    assert "ExecutionEnvironmentError: cannot unpack env.tar.gz: File too large" in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_left_alone(tmp_path: Path) -> None:
    made = archive(tmp_path, ("lib/a", b"x"))
    (tmp_path / "out").mkdir()
    with pytest.raises(ExecutionEnvironmentError, match=r"cannot unpack env\.tar\.gz: File exists"):
        unpack(made, tmp_path / "out")
    assert (tmp_path / "out").is_dir()


def test_written_again_the_bytes_depend_on_the_content_alone(tmp_path: Path) -> None:
    entries: list[tarfile.TarInfo | tuple[str, bytes]] = [
        ("lib/a.py", b"a"),
        ("lib/__pycache__/a.pyc", b"time"),
        special("lib/b.py", tarfile.LNKTYPE, "lib/a.py"),
        special("lib64", tarfile.SYMTYPE, "lib"),
        ("bin/tool", b"t"),
    ]
    made = []
    for number, order in enumerate((entries, entries[::-1][:2] + entries[:3])):
        folder = tmp_path / str(number)
        folder.mkdir()
        source = archive(folder, *order, mode="w")
        rewrite(source, folder / "out.tar.gz", lambda _, data: data, lambda name: "__pycache__" in name)
        made.append((folder / "out.tar.gz").read_bytes())
    assert made[0] == made[1]
    members = read_members(tmp_path / "0/out.tar.gz")
    assert [each.name for each in members] == ["bin/tool", "lib/a.py", "lib/b.py", "lib64"]
    assert {each.mtime for each in members} == {315532800}
    assert [each.mode for each in members] == [0o755, 0o644, 0o644, 0o777]
