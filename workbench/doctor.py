"""What of this machine decides whether models run: the first thing to ask for when something does not."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import platform
import resource
import shutil
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any

from workbench import preview

__all__ = ["Check", "DoctorReport", "examine"]

_SHM = "/dev/shm"  # noqa: S108 - where POSIX shared memory lives
_MIB = 1 << 20
OK, NOTE, FAIL = "ok", "note", "FAIL"


@dataclass(frozen=True)
class Check:
    """One finding. ``status`` is ok, note (something will not work, most things will) or FAIL."""

    name: str
    status: str
    detail: str
    hint: str = ""


@dataclass(frozen=True)
class DoctorReport:
    """Findings in a fixed order. They describe this machine, so no two reports need agree."""

    checks: tuple[Check, ...]

    @property
    def ok(self) -> bool:
        return all(each.status != FAIL for each in self.checks)

    def to_json(self) -> str:
        return json.dumps({"ok": self.ok, "checks": [asdict(each) for each in self.checks]}, indent=2)

    def _rows(self) -> list[list[str]]:
        return [[each.name, each.status, each.detail] for each in self.checks]

    def __repr__(self) -> str:
        failed = sum(each.status == FAIL for each in self.checks)
        lines = [f"Doctor: {'all well' if self.ok else f'{failed} failed'}", *preview.columns(self._rows())]
        lines += [f"  hint: {each.name}: {each.hint}" for each in self.checks if each.hint]
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        return preview.mimebundle(repr(self), preview.html_table(self._rows(), ["check", "status", "detail"]))


def examine() -> DoctorReport:
    """Look at everything. Starts no process and changes nothing."""
    return DoctorReport(tuple(_guarded(name, look) for name, look in _CHECKS))


def _guarded(name: str, look: Callable[[], tuple[str, str, str]]) -> Check:
    try:
        return Check(name, *look())
    except Exception as error:  # one broken part of a machine must not hide the others
        return Check(name, FAIL, f"{type(error).__name__}: {error}")


def _platform() -> tuple[str, str, str]:
    system, machine = platform.system(), platform.machine()
    known = system == "Linux" and machine in ("x86_64", "aarch64")
    return (
        (OK if known else FAIL),
        f"{system} {machine}",
        "" if known else "Linux on x86_64 or aarch64 is needed",
    )


def _python() -> tuple[str, str, str]:
    detail = f"{platform.python_implementation()} {platform.python_version()}, {sys.executable}"
    return OK, detail, ""


def _native() -> tuple[str, str, str]:
    from workbench import __version__, _host

    built = getattr(_host, "__version__", __version__)
    stub = util.find_spec("workbench._stub")
    if stub is None:
        return FAIL, "_stub is missing", "reinstall: pip install --force-reinstall triton-workbench"
    releases = f"releases {_host.RELEASES[0].name} to {_host.RELEASES[-1].name}"
    if built != __version__:
        return (
            FAIL,
            f"package {__version__}, compiled part {built}",
            "reinstall: pip install --force-reinstall triton-workbench",
        )
    return OK, f"{__version__}, {releases}", ""


def _shared_memory() -> tuple[str, str, str]:
    usage = shutil.disk_usage(_SHM)
    detail = f"{_SHM} {preview.format_bytes(usage.total)}, {preview.format_bytes(usage.free)} free"
    if not os.access(_SHM, os.W_OK):
        return FAIL, detail, f"{_SHM} is not writable"
    if usage.free < 128 * _MIB:
        return (
            NOTE,
            detail,
            "a model's region starts with 64 MiB: docker run --shm-size=1g, or smaller regions",
        )
    return OK, detail, ""


def _orphans() -> tuple[str, str, str]:
    from workbench.session import regions

    left = regions.orphans()
    size = 0
    for each in left:
        with contextlib.suppress(OSError):  # somebody else has removed it
            size += each.stat().st_size
    if left:
        return (
            NOTE,
            f"{len(left)} without an owner, {preview.format_bytes(size)}",
            "%load_ext workbench removes them",
        )
    return OK, "none without an owner", ""


def _limits() -> tuple[str, str, str]:
    files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    processes, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    locked = "unlimited" if processes == resource.RLIM_INFINITY else str(processes)
    detail = f"{files} open files, {locked} processes"
    return (OK, detail, "") if files >= 256 else (NOTE, detail, "ulimit -n 1024")


def _packages() -> tuple[str, str, str]:
    found = [f"{name} {metadata.version(name)}" for name in ("numpy", "tritonclient", "protobuf", "ipython")]
    return OK, ", ".join(found), ""


def _compiler() -> tuple[str, str, str]:
    found = next((path for name in ("c++", "g++", "clang++") if (path := shutil.which(name))), None)
    if found is None:
        return NOTE, "none", "only needed to build a stub for another Python"
    return OK, found, ""


def _cuda() -> tuple[str, str, str]:
    try:
        driver = ctypes.CDLL("libcuda.so.1")
    except OSError:
        return NOTE, "no driver", "models run on the CPU"
    version = ctypes.c_int()
    if driver.cuInit(0) != 0 or driver.cuDriverGetVersion(ctypes.byref(version)) != 0:
        return NOTE, "the driver does not start", "nvidia-smi says more"
    count = ctypes.c_int()
    driver.cuDeviceGetCount(ctypes.byref(count))
    return (
        OK,
        f"driver for CUDA {version.value // 1000}.{version.value % 1000 // 10}, {count.value} devices",
        "",
    )


def _triton() -> tuple[str, str, str]:
    from workbench import server_install

    try:
        found = server_install.find_server()
    except server_install.ServerInstallError:
        return NOTE, "none", "workbench server install fetches one; live models need none"
    stub = found.backends / "python" / "triton_python_backend_stub"
    detail = f"{found.release or 'unknown release'} in {found.root}"
    return OK, detail + ("" if stub.is_file() else ", without a Python stub"), ""


def _lab() -> tuple[str, str, str]:
    versions = []
    for name in ("jupyterlab", "notebook", "ipykernel", "ipywidgets", "anywidget"):
        try:
            versions.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            continue
    extensions = Path(sys.prefix) / "share" / "jupyter" / "labextensions"
    here = any(extensions.glob("*workbench*"))
    detail = ", ".join(versions) or "no Jupyter packages"
    return OK, f"{detail}; lab extension {'installed' if here else 'not installed'}", ""


_CHECKS: tuple[tuple[str, Callable[[], tuple[str, str, str]]], ...] = (
    ("platform", _platform),
    ("python", _python),
    ("workbench", _native),
    ("shared memory", _shared_memory),
    ("regions", _orphans),
    ("limits", _limits),
    ("packages", _packages),
    ("compiler", _compiler),
    ("cuda", _cuda),
    ("triton", _triton),
    ("jupyter", _lab),
)
