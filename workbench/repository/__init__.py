"""A model as a folder: config.pbtxt and 1/model.py."""

from workbench.repository.entry import open_entry, remove_entry, write_entry

__all__ = ["open_entry", "remove_entry", "write_entry"]
