"""``triton_python_backend_utils`` without a stub: its plain-Python part."""

from __future__ import annotations

import importlib.util
from importlib import resources
from typing import Any


def load_module() -> Any:
    """A fresh copy of the file that a stub finds in its backend folder."""
    path = resources.files("workbench") / "backend" / "triton_python_backend_utils.py"
    spec = importlib.util.spec_from_file_location("triton_python_backend_utils", str(path))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


pb_utils = load_module()
