import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    """Calls `identity` COUNT times; answers the microseconds each call took."""

    def execute(self, requests):
        responses = []
        for request in requests:
            count = int(pb_utils.get_input_tensor_by_name(request, "COUNT").as_numpy()[0])
            durations = np.empty(count, np.float32)
            tensor = pb_utils.Tensor("INPUT", np.arange(4, dtype=np.float32))
            for number in range(count):
                start = time.perf_counter()
                answer = pb_utils.InferenceRequest(
                    model_name="identity", requested_output_names=["OUTPUT"], inputs=[tensor]
                ).exec()
                durations[number] = (time.perf_counter() - start) * 1e6
                if answer.has_error():
                    raise RuntimeError(answer.error().message())
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("MICROSECONDS", durations)]))
        return responses
