"""Doubles a tensor on the device its instance was given, and says which device and instance that was.

The server starts a process for each instance and tells it the device; using it is up to the model.
"""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        kind, number = args["model_instance_kind"], args["model_instance_device_id"]
        self.device = f"cuda:{number}" if kind == "GPU" else "cpu"
        self.instance = args["model_instance_name"]
        self.torch = None
        if kind == "GPU":
            # Imported only where it is needed: it takes time and memory in each instance's process.
            import torch

            self.torch = torch

    def execute(self, requests):
        responses = []
        for request in requests:
            tensor = pb_utils.get_input_tensor_by_name(request, "INPUT")
            if self.torch is None:
                output = pb_utils.Tensor("OUTPUT", tensor.as_numpy() * 2)
            else:
                doubled = self.torch.from_dlpack(tensor).to(self.device) * 2
                output = pb_utils.Tensor.from_dlpack("OUTPUT", doubled)
            texts = [
                pb_utils.Tensor(name, np.array([text], dtype=object))
                for name, text in (("DEVICE", self.device), ("INSTANCE", self.instance))
            ]
            responses.append(pb_utils.InferenceResponse([output, *texts]))
        return responses
