"""Errors of everything that leaves the kernel: folders for a server, servers we start, servers elsewhere.

::

    WorkbenchError
    |- ExportError            a model directory could not be written
    |- StubBuildError         the stub could not be built for an interpreter
    |- VerifyError            a clean server refuses an exported model: .failures, frames of the first
    |- ServerUnreachable      nobody answers at the address, or somebody who is no Triton server
    |- ServerModeError        the server does not let models be loaded
    |- PushError              a push failed; the message says what serves now
    |  `- LoadTimeout         the server is still loading
    `- ParityError            two places answer the same request differently: .report
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from workbench.errors import Frame, ModelFailure, WorkbenchError

__all__ = [
    "ExportError",
    "LoadTimeout",
    "ParityError",
    "PushError",
    "ServerModeError",
    "ServerUnreachable",
    "StubBuildError",
    "VerifyError",
]


class ExportError(WorkbenchError):
    """A model directory could not be written; nothing was changed."""


class StubBuildError(WorkbenchError):
    """The stub cannot be built for that interpreter. ``output`` is the end of what the build said."""

    exit_code = 3

    def __init__(self, message: str, *, output: Sequence[str] = (), hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.output = tuple(output)

    def _details(self) -> list[str]:
        return [f"  | {line}" for line in self.output]


class VerifyError(ModelFailure):
    """A clean server did not load an exported model, or answered otherwise than wanted.

    ``failures`` has one line for each model, by name; ``frames`` are those of the first.
    """

    def __init__(self, message: str, *, failures: Mapping[str, str] | None = None, **more: Any) -> None:
        super().__init__(message, **more)
        self.failures = dict(failures or {})

    def _details(self) -> list[str]:
        return [f"  {name}: {text}" for name, text in self.failures.items()] if len(self.failures) > 1 else []


class ServerUnreachable(WorkbenchError):  # noqa: N818 - the name users were promised
    """Nobody answers at the server's address."""

    exit_code = 3


class ServerModeError(WorkbenchError):
    """The server refuses to load or unload models on request."""

    exit_code = 3


class PushError(ModelFailure):
    """A model could not be brought onto a server.

    ``serving`` is the revision (``src:3f9a1c2``) that serves there now, ``another revision`` for one not of
    ours, or "" if none does.
    """

    def __init__(self, message: str, *, serving: str = "", frames: Sequence[Frame] = (), **more: Any) -> None:
        super().__init__(message, frames=frames, **more)
        self.serving = serving


class LoadTimeout(PushError):  # noqa: N818 - the name users were promised
    """The server was still loading when the time was over; it goes on, and may serve the revision later."""


class ParityError(WorkbenchError):
    """Two places answer one request differently. ``report`` has all of them."""

    def __init__(self, message: str, *, report: Any = None, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.report = report
