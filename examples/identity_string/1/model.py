"""Gives strings back as they came.

Strings arrive as `bytes`, also if the client sent text: use ``.decode("utf-8")`` to work with text, and send
text or bytes back, as an array of dtype ``object``.
"""

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            strings = pb_utils.get_input_tensor_by_name(request, "INPUT").as_numpy()
            pb_utils.Logger.log_verbose(f"{strings.size} strings, shape {strings.shape}")
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", strings)]))
        return responses
