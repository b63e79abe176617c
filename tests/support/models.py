"""Small model repositories, and what is in one."""

from __future__ import annotations

import stat
from pathlib import Path

IDENTITY_CONFIG = """\
backend: "python"
input { name: "INPUT0" data_type: TYPE_FP32 dims: [ -1 ] }
output { name: "OUTPUT0" data_type: TYPE_FP32 dims: [ -1 ] }
instance_group { kind: KIND_CPU count: 1 }
"""

IDENTITY_SOURCE = """\
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [
            pb_utils.InferenceResponse(
                [pb_utils.Tensor("OUTPUT0", pb_utils.get_input_tensor_by_name(request, "INPUT0").as_numpy())]
            )
            for request in requests
        ]
"""


def write_model(
    repository: Path,
    name: str,
    source: str = IDENTITY_SOURCE,
    config: str | None = IDENTITY_CONFIG,
    version: int = 1,
) -> Path:
    """Write one model into a repository; gives the model's folder. `config` None: no config.pbtxt."""
    folder = repository / name
    (folder / str(version)).mkdir(parents=True)
    (folder / str(version) / "model.py").write_text(source)
    if config is not None:
        (folder / "config.pbtxt").write_text(config)
    return folder


def contents(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Mode and content of every file, by path."""
    return {
        str(path.relative_to(folder)): (stat.S_IMODE(path.stat().st_mode), path.read_bytes())
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
