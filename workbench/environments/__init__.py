"""Execution environments: a Python with its packages, as a folder or as an archive, that a model brings."""

from workbench.environments.archive import unpack
from workbench.environments.prefix import (
    Environment,
    ExecutionEnvironmentError,
    environment_at,
    interpreter_prefix,
    minor_of,
)

__all__ = [
    "Environment",
    "ExecutionEnvironmentError",
    "environment_at",
    "interpreter_prefix",
    "minor_of",
    "unpack",
]
