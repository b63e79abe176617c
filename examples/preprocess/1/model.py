"""Turns an image of any size into what the classifier wants: 3 x 32 x 32, values in [-1, 1]."""

import numpy as np
import triton_python_backend_utils as pb_utils

SIDE = 32


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            image = pb_utils.get_input_tensor_by_name(request, "IMAGE").as_numpy()
            if 0 in image.shape:
                error = pb_utils.TritonError("the image is empty", pb_utils.TritonError.INVALID_ARG)
                responses.append(pb_utils.InferenceResponse(error=error))
                continue
            # The nearest pixel of each row and column.
            rows, columns = (np.arange(SIDE) * size // SIDE for size in image.shape[:2])
            small = image[np.ix_(rows, columns)]
            # transpose() only changes the order of the axes; Tensor makes it contiguous again.
            pixels = (small.astype(np.float32) / 127.5 - 1).transpose(2, 0, 1)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("PIXELS", pixels)]))
        return responses
