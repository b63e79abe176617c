"""From a notebook cell, a file or a class to the source of a model, line for line."""

from workbench.capture.cell import source_from_cell, source_from_object, split_cell
from workbench.capture.checks import check_source, check_syntax

__all__ = ["check_source", "check_syntax", "source_from_cell", "source_from_object", "split_cell"]
