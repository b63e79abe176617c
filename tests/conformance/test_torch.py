"""Models that use PyTorch, on the CPU; left out where it is not installed. Rows of sections 9.1, 9.7 and 9.8."""

from __future__ import annotations

import importlib.util
import subprocess

import numpy as np
import pytest

from tests.conformance.lab import Lab
from tests.conformance.targets import Target, config

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def _torch(target: Target) -> None:
    """PyTorch where the model runs, not where the test does."""
    if target.stub == "own":
        if importlib.util.find_spec("torch") is None:
            pytest.skip("PyTorch is not installed")
        return
    from workbench.server_install import find_server

    reference = find_server("24.10").reference_env
    assert reference is not None
    if subprocess.run(
        [reference / "bin" / "python3", "-c", "import torch"], capture_output=True, check=False
    ).returncode:
        pytest.skip("PyTorch is not in the environment of NVIDIA's stub")


def test_torch_module_inside_a_model(target: Target) -> None:
    source = """\
import torch
import triton_python_backend_utils as pb_utils

class Net(torch.nn.Module):
    def forward(self, a, b):
        return a + b, a - b

class TritonPythonModel:
    def initialize(self, args):
        self.net = Net()

    def execute(self, requests):
        out = []
        for r in requests:
            a, b = (torch.utils.dlpack.from_dlpack(t.to_dlpack()) for t in r.inputs())
            tensors = [pb_utils.Tensor.from_dlpack(n, torch.utils.dlpack.to_dlpack(t))
                       for n, t in zip(("SUM", "DIFFERENCE"), self.net(a, b))]
            out.append(pb_utils.InferenceResponse(tensors))
        return out
"""
    text = config(
        [("A", "FP32", [4]), ("B", "FP32", [4])], [("SUM", "FP32", [4]), ("DIFFERENCE", "FP32", [4])]
    )
    model = target.load(source, text, name="torch", wait=60)
    a, b = np.arange(4, dtype=np.float32), np.full(4, 2.5, dtype=np.float32)
    answer = model.infer(A=a, B=b, wait=60)
    assert answer.error is None
    np.testing.assert_array_equal(answer.outputs["SUM"], a + b)
    np.testing.assert_array_equal(answer.outputs["DIFFERENCE"], a - b)
    target.drop(model.name)


@pytest.mark.parametrize(
    "code, expected",
    [
        ("t = torch.arange(6.0).reshape(2, 3)\nresult = pb_utils.Tensor.from_dlpack('N', t).as_numpy().tolist()",
         "[[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]]"),
        ("pt = pb_utils.Tensor('N', np.array([True, False]))\nresult = torch.from_dlpack(pt).dtype", "torch.bool"),
        ("pb_utils.Tensor.from_dlpack('N', torch.arange(6.0).reshape(2, 3).T)",
         "TritonModelException: DLPack tensor is not contiguous."
         " Only contiguous DLPack tensors that are stored in C-Order are supported."),
        ("t = torch.ones(3, dtype=torch.bfloat16)\nresult = torch.from_dlpack(pb_utils.Tensor.from_dlpack('N', t)).dtype",
         "torch.bfloat16"),
    ],
    ids=["round-trip", "bool", "not-contiguous", "bf16"],
)  # fmt: skip
def test_torch_dlpack(lab: Lab, code: str, expected: str) -> None:
    assert lab.run(f"import torch\n{code}") == expected
