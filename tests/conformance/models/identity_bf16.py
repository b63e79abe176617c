"""Hands a BF16 tensor back by DLPack, and says what as_numpy has against it."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            tensor = pb_utils.get_input_tensor_by_name(request, "IN")
            try:
                said = repr(tensor.as_numpy())
            except Exception as error:
                said = f"{type(error).__name__}: {error}"
            outputs = [
                pb_utils.Tensor.from_dlpack("OUT", tensor),
                pb_utils.Tensor("TEXT", np.array([said.encode()], dtype=np.object_)),
            ]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses
