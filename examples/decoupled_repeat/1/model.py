"""Repeats the elements of IN, one response each, from a thread that outlives `execute`."""

import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    def initialize(self, args):
        self.threads = set()
        self.lock = threading.Lock()

    def execute(self, requests):
        for request in requests:
            values, delays, wait = (
                pb_utils.get_input_tensor_by_name(request, name).as_numpy()
                for name in ("IN", "DELAY", "WAIT")
            )
            thread = threading.Thread(
                target=self.respond, args=(request.get_response_sender(), values, delays), daemon=True
            )
            with self.lock:
                self.threads.add(thread)
            thread.start()
            # The next batch may come as soon as this method returns, with responses still to be sent.
            time.sleep(wait[0] / 1000)

    def respond(self, sender, values, delays):
        try:
            for index, (value, delay) in enumerate(zip(values, delays, strict=True)):
                time.sleep(delay / 1000)
                if sender.is_cancelled():
                    break
                outputs = [
                    pb_utils.Tensor("OUT", np.array([value], dtype=np.int32)),
                    pb_utils.Tensor("IDX", np.array([index], dtype=np.uint32)),
                ]
                sender.send(pb_utils.InferenceResponse(outputs))
        except Exception as error:
            # Nobody else would notice what goes wrong in this thread.
            sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error))))
        finally:
            sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
            with self.lock:
                self.threads.discard(threading.current_thread())

    def finalize(self):
        # Without this the process could end under a thread that is still sending.
        with self.lock:
            threads = list(self.threads)
        for thread in threads:
            thread.join()
