"""A child for business-logic scripting. Its first input decides what it does, its configuration whether it is decoupled.

IN (INT32 [n]): the answer is OUT = IN * 2, and TEXT, what the child saw of the request. A decoupled child answers IN[0]
times, then with an empty final response. A first value of -1 asks for an error response, -2 for an exception, -3 for a
cancelled one, -4 for a stream that runs until it is cancelled, -5 for one that takes no notice,
-6 for an error response followed by a final one.
"""

import json
import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


class TritonPythonModel:
    def initialize(self, args):
        self.decoupled = pb_utils.using_decoupled_model_transaction_policy(json.loads(args["model_config"]))

    def respond(self, request, value):
        seen = {
            "id": request.request_id(),
            "correlation": request.correlation_id(),
            "flags": request.flags(),
            "timeout": request.timeout(),
            "parameters": json.loads(request.parameters()),
            "outputs": sorted(request.requested_output_names()),
        }
        outputs = [
            pb_utils.Tensor("OUT", value * 2),
            pb_utils.Tensor("TEXT", np.array([json.dumps(seen).encode()], dtype=object)),
        ]
        return pb_utils.InferenceResponse(outputs)

    def execute(self, requests):
        responses = []
        for request in requests:
            value = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()
            first = int(value.flat[0]) if value.size else 0
            if first == -2:
                raise ValueError("the child raised")
            if first in (-1, -6):
                error = pb_utils.TritonError("the child refused", pb_utils.TritonError.NOT_FOUND)
                response = pb_utils.InferenceResponse(error=error)
            else:
                response = self.respond(request, value)
            if not self.decoupled:
                responses.append(response)
                continue
            sender = request.get_response_sender()
            if first in (-4, -5):
                threading.Thread(target=self.stream, args=(sender, request, first == -4)).start()
                continue
            if first == -1:
                sender.send(response, flags=FINAL)
                continue
            if first == -6:
                sender.send(response)
            for i in range(first):
                sender.send(self.respond(request, np.array([i], dtype=np.int32)))
            sender.send(flags=FINAL)
        return None if self.decoupled else responses

    def stream(self, sender, request, heed):
        for i in range(20 if not heed else 2000):
            if heed and sender.is_cancelled():
                error = pb_utils.TritonError("stopped", pb_utils.TritonError.CANCELLED)
                sender.send(pb_utils.InferenceResponse(error=error), flags=FINAL)
                return
            sender.send(self.respond(request, np.array([i], dtype=np.int32)))
            time.sleep(0.005)
        sender.send(flags=FINAL)
