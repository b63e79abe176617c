"""Answers the number n with n responses, each of them n: their sum is the square."""

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            number = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()[0]
            sender = request.get_response_sender()
            for _ in range(number):
                # A new tensor for each response: one that was sent keeps the data it was sent with.
                tensor = pb_utils.Tensor("OUT", np.array([number], dtype=np.int32))
                sender.send(pb_utils.InferenceResponse([tensor]))
            # Says that no more responses follow; for n = 0 it is all that is sent.
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
        # A decoupled model returns nothing.
