"""For PYTHONPATH under sanitizers: the compiled parts come from the build that WORKBENCH_SANITIZED names."""

import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import spec_from_file_location
from pathlib import Path


class _Sanitized:
    """Goes before whatever else would find them."""

    @staticmethod
    def find_spec(name: str, path: object = None, target: object = None) -> ModuleSpec | None:
        package, _, module = name.rpartition(".")
        if package != "workbench" or module not in ("_host", "_stub"):
            return None
        (file,) = Path(os.environ["WORKBENCH_SANITIZED"]).glob(f"{module}.*.so")
        return spec_from_file_location(name, file)


if "WORKBENCH_SANITIZED" in os.environ:
    sys.meta_path.insert(0, _Sanitized)
