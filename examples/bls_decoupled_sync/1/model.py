"""Adds up the responses of decoupled_square."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        return [self.add_up(request) for request in requests]

    def add_up(self, request):
        call = pb_utils.InferenceRequest(
            model_name="decoupled_square",
            requested_output_names=["OUT"],
            inputs=[pb_utils.get_input_tensor_by_name(request, "IN")],
        )
        total = 0
        # Returns at the first response; the loop waits for the others.
        for response in call.exec(decoupled=True):
            if response.has_error():
                return pb_utils.InferenceResponse(error=response.error())
            # The last response may come without tensors, only to say that it was the last.
            tensor = pb_utils.get_output_tensor_by_name(response, "OUT")
            if tensor is not None:
                total += int(tensor.as_numpy()[0])
        return pb_utils.InferenceResponse([pb_utils.Tensor("SUM", np.array([total], dtype=np.int32))])
