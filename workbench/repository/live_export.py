"""Models of a session → a repository folder."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workbench.repository.export import ExportReport, export
from workbench.server_errors import ExportError

if TYPE_CHECKING:
    from workbench.session.workbench import Workbench

__all__ = ["export_live"]


def export_live(
    workbench: Workbench,
    names: Sequence[str],
    directory: str | Path,
    *,
    with_requests: bool = False,
    **options: Any,
) -> ExportReport:
    """Write live models into a repository folder, as they serve.

    Args:
        workbench: The session.
        names: The models; a name given twice counts once.
        directory: The repository.
        with_requests: Write the recorded requests of each model beside it, for `verify`.
        **options: As of `workbench.repository.export.export`.

    Raises:
        ModelNotFound: there is no such model.
        ExportError: a model was patched since it was loaded, or see `export`.
        StubBuildError: the stub's executable cannot be built here.
    """
    entries, requests = [], {}
    for name in dict.fromkeys(names):
        model = workbench.model(name)
        if model.name not in workbench.hosts:
            raise ExportError(f"{name} is a mock; there is nothing to export")
        host = workbench.hosts[model.name]
        host.entry.require_whole(ExportError)
        entries.append(host.entry)
        if with_requests:
            requests[model.name] = host.recorder.requests
    return export(entries, Path(directory), requests=requests, **options)
