"""A model as a folder: config.pbtxt and 1/model.py."""

from workbench.repository.entry import (
    backend_folder,
    backend_source,
    open_entry,
    remove_entry,
    write_entry,
)
from workbench.repository.versions import choose_version, is_version, versions_in

__all__ = [
    "backend_folder",
    "backend_source",
    "choose_version",
    "is_version",
    "open_entry",
    "remove_entry",
    "versions_in",
    "write_entry",
]
