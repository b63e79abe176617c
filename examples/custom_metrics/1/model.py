"""The mean of a tensor, with metrics of its own in the server's metrics endpoint."""

import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        labels = {"model": args["model_name"], "version": args["model_version"]}
        # The same names and labels in every instance: they all count in the same series.
        self.elements_family = pb_utils.MetricFamily(
            name="example_elements_total",
            description="Elements of all tensors seen",
            kind=pb_utils.MetricFamily.COUNTER,
        )
        self.seconds_family = pb_utils.MetricFamily(
            name="example_last_execute_seconds",
            description="Duration of the latest execute",
            kind=pb_utils.MetricFamily.GAUGE,
        )
        self.elements = self.elements_family.Metric(labels=labels)
        self.seconds = self.seconds_family.Metric(labels=labels)

    def execute(self, requests):
        started = time.perf_counter()
        responses = []
        for request in requests:
            array = pb_utils.get_input_tensor_by_name(request, "INPUT").as_numpy()
            self.elements.increment(array.size)
            mean = np.array([array.mean()], dtype=np.float32)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("MEAN", mean)]))
        self.seconds.set(time.perf_counter() - started)
        return responses

    def finalize(self):
        # A metric must go before its family, and both while the server still listens.
        del self.elements, self.seconds
        del self.elements_family, self.seconds_family
