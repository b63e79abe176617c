"""What can be set of the live host: the keys of ``--backend-config=python,<key>=<value>``, and whose stub of
which release.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any
from uuid import uuid4

from workbench.errors import WorkbenchUsageError
from workbench.session.regions import PREFIX
from workbench.suggest import did_you_mean

__all__ = ["Settings"]

_MIB = 1 << 20


@dataclass(frozen=True)
class Settings:
    """Defaults are those of the user documentation of Triton's Python backend.

    Attributes:
        shm_default_byte_size: Size of a new region, at least 1 MiB.
        shm_growth_byte_size: By how much a region grows, at least.
        stub_timeout_seconds: Limit for a stub to start, for auto-complete and for ``initialize``.
        shm_region_prefix_name: Region names are this and a random UUID.
        thread_pool_size: Calls to other models answered at once, per instance.
        shm_message_queue_size: Entries of a message queue.
        release: Row of the release table, ``24.10``; "" is the newest.
        stub: ``own`` or ``nvidia``.
        trace_buffer_byte_size: Size of the ring that the last messages are kept in, for traces; 0: none are.
        backend_directory: Where Python-based backends lie, ``<folder>/<name>/model.py``.
    """

    shm_default_byte_size: int = 64 * _MIB
    shm_growth_byte_size: int = 64 * _MIB
    stub_timeout_seconds: float = 30.0
    shm_region_prefix_name: str = PREFIX
    thread_pool_size: int = 32
    shm_message_queue_size: int = 1000
    release: str = ""
    stub: str = "own"
    backend_directory: str = ""
    trace_buffer_byte_size: int = 4 * _MIB

    def __post_init__(self) -> None:
        # Texts as the backend has them (pb_utils contract §7.3).
        if self.shm_default_byte_size < _MIB:
            raise WorkbenchUsageError("shm-default-byte-size can't be smaller than 1 MiB")
        if self.shm_growth_byte_size <= 0:
            raise WorkbenchUsageError("shm-growth-byte-size can't be smaller than or equal to zero.")
        if self.stub_timeout_seconds <= 0:
            raise WorkbenchUsageError("stub-timeout-seconds can't be smaller than or equal to zero.")
        if not self.shm_region_prefix_name or "/" in self.shm_region_prefix_name:
            raise WorkbenchUsageError("shm-region-prefix-name is a name without slashes, not empty")
        if self.thread_pool_size < 1:
            raise WorkbenchUsageError("thread-pool-size can't be less than 1.")
        if self.shm_message_queue_size < 1:
            raise WorkbenchUsageError("shm_message_queue_size can't be less than 1.")
        if self.trace_buffer_byte_size < 0:
            raise WorkbenchUsageError("trace-buffer-byte-size can't be smaller than zero.")
        if self.stub not in ("own", "nvidia"):
            raise WorkbenchUsageError(f"unknown stub {self.stub!r}", hint="own or nvidia")

    def updated(self, changes: Mapping[str, Any]) -> Settings:
        """A copy with some keys changed; keys as the backend spells them (``shm-default-byte-size``) or as
        here.

        Raises:
            WorkbenchUsageError: an unknown key, or a value out of range.
        """
        known = {field.name: type(getattr(self, field.name)) for field in fields(self)}
        values: dict[str, Any] = {}
        for key, value in changes.items():
            name = key.removeprefix("python,").replace("-", "_")  # as after --backend-config=
            if name not in known:
                spelled = [each.replace("_", "-") for each in known]
                raise WorkbenchUsageError(
                    f"unknown backend-config key {key!r}{did_you_mean(key, spelled)}",
                    hint="keys: " + " ".join(spelled),
                )
            try:
                values[name] = known[name](value)
            except (ValueError, TypeError, OverflowError):
                raise WorkbenchUsageError(f"{key} takes a number, got {value!r}") from None
        return replace(self, **values)

    def region_name(self) -> str:
        """A name no region has."""
        return f"{self.shm_region_prefix_name}{uuid4()}"
