"""Models that the endurance tests drive, on the live host and on a real server alike."""

from __future__ import annotations

ECHO = """\
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            array = pb_utils.get_input_tensor_by_name(request, "INPUT").as_numpy()
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT", array)]))
        return responses
"""

# Decoupled: COUNT responses; stops early where the client has cancelled.
REPEAT = """\
import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def execute(self, requests):
        for request in requests:
            count = int(pb_utils.get_input_tensor_by_name(request, "COUNT").as_numpy()[0])
            sender = request.get_response_sender()
            for number in range(count):
                if number % 8 == 7 and sender.is_cancelled():
                    break
                tensor = pb_utils.Tensor("OUTPUT", np.array([number], np.int32))
                sender.send(pb_utils.InferenceResponse([tensor]))
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
"""

# MODE 0: COUNT calls of echo. 1: one stream of COUNT responses, read to its end. 2: COUNT streams of which
# one response is read before they are cancelled (where the release can) and dropped.
# Answers what it counted, and the bytes free in its region before and after.
CALLER = """\
import gc
import time

import c_python_backend_utils
import numpy as np
import triton_python_backend_utils as pb_utils


def free_memory():
    gc.collect()
    return c_python_backend_utils.shared_memory.free_memory()


class TritonPythonModel:
    def execute(self, requests):
        responses = []
        for request in requests:
            mode, count = (int(x) for x in pb_utils.get_input_tensor_by_name(request, "WORK").as_numpy())
            # Once before counting: what is made once and kept is not a leak.
            self.work(mode, min(count, 4))
            before = self.settled()
            done = self.work(mode, count)
            after = self.settled()
            report = np.array([done, before, after], np.int64)
            responses.append(pb_utils.InferenceResponse([pb_utils.Tensor("REPORT", report)]))
        return responses

    def settled(self):
        # Streams that were dropped go on for a while, and clean-ups travel in the background: the same value
        # has to be seen for a second.
        end = time.monotonic() + 30
        seen = []
        while time.monotonic() < end and (len(seen) < 6 or len(set(seen[-6:])) > 1):
            seen.append(free_memory())
            time.sleep(0.2)
        return seen[-1]

    def work(self, mode, count):
        if mode == 0:
            return sum(self.call(number) for number in range(count))
        if mode == 1:
            return sum(1 for each in self.stream(count) if len(each.output_tensors()) > 0)
        return sum(self.cancelled() for _ in range(count))

    def call(self, number):
        tensor = pb_utils.Tensor("INPUT", np.array([number], np.float32))
        answer = pb_utils.InferenceRequest(
            model_name="ECHO_NAME", requested_output_names=["OUTPUT"], inputs=[tensor]
        ).exec()
        if answer.has_error():
            raise RuntimeError(answer.error().message())
        return int(answer.output_tensors()[0].as_numpy()[0] == number)

    def stream(self, count):
        tensor = pb_utils.Tensor("COUNT", np.array([count], np.int32))
        return pb_utils.InferenceRequest(
            model_name="REPEAT_NAME", requested_output_names=["OUTPUT"], inputs=[tensor]
        ).exec(decoupled=True)

    def cancelled(self):
        iterator = self.stream(12)
        first = next(iterator)
        if first.has_error():
            raise RuntimeError(first.error().message())
        if hasattr(iterator, "cancel"):
            iterator.cancel()
        return 1
"""


def caller(echo: str, repeat: str) -> str:
    """The caller's source, for children of these names."""
    return CALLER.replace("ECHO_NAME", echo).replace("REPEAT_NAME", repeat)


CONFIG = """\
backend: "python"
input {{ name: "{input}" data_type: {input_type} dims: [ {input_dims} ] }}
output {{ name: "{output}" data_type: {output_type} dims: [ {output_dims} ] }}
model_transaction_policy {{ decoupled: {decoupled} }}
instance_group {{ kind: KIND_CPU count: 1 }}
"""


def config(given: str, taken: str, *, decoupled: bool = False) -> str:
    """config.pbtxt for ``NAME:TYPE:dims`` in and out."""
    name, kind, dims = given.split(":")
    out_name, out_kind, out_dims = taken.split(":")
    return CONFIG.format(
        input=name,
        input_type=kind,
        input_dims=dims,
        output=out_name,
        output_type=out_kind,
        output_dims=out_dims,
        decoupled=str(decoupled).lower(),
    )
