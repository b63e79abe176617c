"""Archives of environments: read without leaving a folder, written so that the same content gives the same
bytes.

Triton unpacks such an archive with libarchive, before release 26.06 without any check. Here every entry is
checked, whatever the release: an archive comes from elsewhere, and is unpacked before anything in it runs.
"""

from __future__ import annotations

import gzip
import io
import os
import posixpath
import re
import shutil
import tarfile
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path, PurePosixPath

from workbench.environments.prefix import ExecutionEnvironmentError

__all__ = ["read_members", "rewrite", "unpack"]

#: Time of every entry we write: the first that all archive formats can hold.
FIXED_TIME = 315532800  # 1980-01-01
# The one link that may lead out: the interpreter of a virtual environment is a link to another one.
_INTERPRETER = re.compile(r"bin/python[0-9.]*")
_READ_ERRORS = (tarfile.TarError, gzip.BadGzipFile, EOFError, zlib.error)

Change = Callable[[tarfile.TarInfo, bytes], bytes]


def read_members(archive: Path) -> list[tarfile.TarInfo]:
    """The entries of a ``.tar.gz``, each checked; nothing is written.

    Raises:
        ExecutionEnvironmentError: it cannot be read, is no such archive, or an entry would leave the folder.
    """
    with _opened(archive) as tar:
        try:
            members = list(tar)
        except _READ_ERRORS as error:
            raise _broken(archive, error) from None
    _Check(archive).all(members)
    return members


def unpack(archive: Path, folder: Path) -> None:
    """Unpack a ``.tar.gz`` into a new folder. If that fails the folder is gone again.

    Refused are absolute names, ``..``, entries below a link, links that lead out of the folder (that of the
    interpreter may), and everything that is neither file, folder nor link.

    Raises:
        ExecutionEnvironmentError: an entry is refused, the archive is broken, or the disk refuses.
    """
    try:
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise ExecutionEnvironmentError(f"cannot unpack {archive.name}: {error.strerror}") from None
    try:
        with _opened(archive) as tar:
            check = _Check(archive)
            for member in tar:
                check.one(member)
                _extract(tar, member, folder / _plain(member.name), folder)
    except _READ_ERRORS as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise _broken(archive, error) from None
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise ExecutionEnvironmentError(f"cannot unpack {archive.name}: {error.strerror}") from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def rewrite(source: Path, target: Path, change: Change, leave_out: Callable[[str], bool]) -> int:
    """Write a tar again as ``.tar.gz``: sorted, with fixed times and owners. Gives the number of entries.

    Args:
        source: A tar, compressed or not.
        target: The new file.
        change: Gives a regular file's content, from its entry and what it was.
        leave_out: Says by its name which entry is left out.

    Raises:
        ExecutionEnvironmentError: an entry would be refused when unpacked.
        OSError: the disk refuses.
    """
    with tarfile.open(source) as tar:
        found = {_plain(each.name): each for each in tar if not leave_out(_plain(each.name))}
        found.pop("", None)
        _Check(source).all(found.values())
        with (
            target.open("xb") as file,
            # An empty name and no time in the header: they are part of the bytes.
            gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
            tarfile.open(fileobj=packed, mode="w|", format=tarfile.PAX_FORMAT) as out,
        ):
            for name in sorted(found):
                _add(out, tar, name, found[name], change)
    return len(found)


def _add(
    out: tarfile.TarFile, tar: tarfile.TarFile, name: str, member: tarfile.TarInfo, change: Change
) -> None:
    entry = tarfile.TarInfo(name)
    entry.mtime = FIXED_TIME
    entry.type, entry.linkname = member.type, member.linkname
    entry.mode = 0o755 if member.isdir() or member.mode & 0o100 else 0o644
    if member.isfile() or member.islnk():  # a hard link becomes a file: its target may come later now
        entry.type, entry.linkname = tarfile.REGTYPE, ""
        stream = tar.extractfile(member)
        assert stream is not None
        data = change(member, stream.read())
        entry.size = len(data)
        out.addfile(entry, io.BytesIO(data))
    else:
        entry.mode = 0o777 if member.issym() else entry.mode
        out.addfile(entry)


class _Check:
    """Whether entries, in this order, stay inside the folder they are unpacked into."""

    def __init__(self, archive: Path) -> None:
        self._archive = archive
        self._links: set[str] = set()
        self._files: set[str] = set()

    def all(self, members: Iterable[tarfile.TarInfo]) -> None:
        for each in members:
            self.one(each)

    def one(self, member: tarfile.TarInfo) -> None:
        name, path = _plain(member.name), PurePosixPath(member.name)
        if path.is_absolute():
            self._refuse(member, "is an absolute path")
        if ".." in path.parts:
            self._refuse(member, "leads out of the folder")
        if "\0" in member.name:
            self._refuse(member, "is no file name")
        above = {str(each) for each in PurePosixPath(name).parents} if name else set()
        if above & self._links or name in self._links:
            self._refuse(member, "goes through a link")
        if member.issym():
            target = posixpath.normpath(posixpath.join(posixpath.dirname(name), member.linkname))
            climbs = PurePosixPath(member.linkname.lstrip("./")).parts  # "x/../..", where x may be a link
            leads_out = target.startswith(("/", "../")) or target == ".." or ".." in climbs
            if leads_out and not _INTERPRETER.fullmatch(name):
                self._refuse(member, "is a link out of the folder")
            if name in self._files:
                self._refuse(member, "is there twice")
            self._links.add(name)
        elif member.islnk():
            if _plain(member.linkname) not in self._files:
                self._refuse(member, "is a link to what is no file of the archive")
            self._files.add(name)
        elif member.isfile():
            self._files.add(name)
        elif not member.isdir():
            self._refuse(member, "is neither file, folder nor link")

    def _refuse(self, member: tarfile.TarInfo, why: str) -> None:
        raise ExecutionEnvironmentError(
            f"{self._archive.name}: the entry {member.name!r} {why}",
            hint="pack the environment again with venv-pack or conda-pack",
        )


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, place: Path, folder: Path) -> None:
    """Write one checked entry. Nothing below `folder` is a link on the way to `place`."""
    place.parent.mkdir(parents=True, exist_ok=True)
    if member.isdir():
        place.mkdir(exist_ok=True)
        return
    if place.is_file():  # a later entry of a name replaces an earlier one, as tar does
        place.unlink()
    if member.issym():
        place.symlink_to(member.linkname)
        return
    if member.islnk():
        os.link(folder / _plain(member.linkname), place, follow_symlinks=False)
        return
    stream = tar.extractfile(member)
    assert stream is not None
    descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        shutil.copyfileobj(stream, file, 1 << 20)
    place.chmod(0o755 if member.mode & 0o100 else 0o644)
    os.utime(place, (member.mtime, member.mtime))  # compiled files are valid for a source of that time


def _plain(name: str) -> str:
    """``bin/python`` of ``./bin/python`` and ``bin//python/``; "" of the folder itself."""
    plain = str(PurePosixPath(name))
    return "" if plain == "." else plain


def _opened(archive: Path) -> tarfile.TarFile:
    try:
        return tarfile.open(archive, "r:gz")
    except _READ_ERRORS as error:
        raise _broken(archive, error) from None
    except OSError as error:
        raise ExecutionEnvironmentError(f"cannot read {archive.name}: {error.strerror or error}") from None


def _broken(archive: Path, error: BaseException) -> ExecutionEnvironmentError:
    return ExecutionEnvironmentError(
        f"{archive.name} is no .tar.gz, or only part of one: {str(error) or type(error).__name__}",
        hint="venv-pack -o env.tar.gz, or conda-pack, makes one",
    )
