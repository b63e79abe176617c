import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Sends COUNT small responses and, with the last, the seconds that sending them took."""

    def execute(self, requests):
        for request in requests:
            count = int(pb_utils.get_input_tensor_by_name(request, "COUNT").as_numpy()[0])
            sender = request.get_response_sender()
            start = time.perf_counter()
            for number in range(count - 1):
                tensor = pb_utils.Tensor("SECONDS", np.array([number], np.float32))
                sender.send(pb_utils.InferenceResponse([tensor]))
            elapsed = np.array([time.perf_counter() - start], np.float32)
            sender.send(
                pb_utils.InferenceResponse([pb_utils.Tensor("SECONDS", elapsed)]),
                flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL,
            )
