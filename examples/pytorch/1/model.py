"""The sum and the difference of two tensors, by a PyTorch module.

Tensors pass in both directions by DLPack: no copy, no NumPy, and what is on a GPU stays there.
"""

import torch
import triton_python_backend_utils as pb_utils


class AddSubNet(torch.nn.Module):
    def forward(self, a, b):
        return a + b, a - b


class TritonPythonModel:
    def initialize(self, args):
        on_gpu = args["model_instance_kind"] == "GPU"
        self.device = f"cuda:{args['model_instance_device_id']}" if on_gpu else "cpu"
        self.net = AddSubNet().to(self.device).eval()

    def execute(self, requests):
        responses = []
        with torch.inference_mode():
            for request in requests:
                a, b = (
                    torch.from_dlpack(pb_utils.get_input_tensor_by_name(request, name)).to(self.device)
                    for name in ("INPUT0", "INPUT1")
                )
                total, difference = self.net(a, b)
                outputs = [
                    pb_utils.Tensor.from_dlpack("OUTPUT0", total),
                    pb_utils.Tensor.from_dlpack("OUTPUT1", difference),
                ]
                responses.append(pb_utils.InferenceResponse(outputs))
        return responses
