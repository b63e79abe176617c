"""The sum and the difference of two tensors, compiled by JAX where it is installed, else with NumPy."""

import numpy as np
import triton_python_backend_utils as pb_utils

try:
    import jax
except ModuleNotFoundError:
    jax = None


def add_sub(a, b):
    return a + b, a - b


class TritonPythonModel:
    def initialize(self, args):
        # jax.jit compiles at the first call with new shapes: here, so that the first client does not wait.
        self.add_sub = jax.jit(add_sub) if jax else add_sub
        self.add_sub(np.zeros(4, np.float32), np.zeros(4, np.float32))
        pb_utils.Logger.log_info(f"computing with {'JAX' if jax else 'NumPy'}")

    def execute(self, requests):
        responses = []
        for request in requests:
            inputs = [pb_utils.get_input_tensor_by_name(request, f"INPUT{i}").as_numpy() for i in range(2)]
            outputs = [
                pb_utils.Tensor(f"OUTPUT{i}", np.asarray(array))
                for i, array in enumerate(self.add_sub(*inputs))
            ]
            responses.append(pb_utils.InferenceResponse(outputs))
        return responses
