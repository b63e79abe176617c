"""A notebook workbench for Triton Inference Server models written in Python."""

from importlib.metadata import version as _version

__version__ = _version("triton-workbench")

__all__ = ["__version__"]
