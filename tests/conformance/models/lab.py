"""Runs the Python code that a request brings, so that one loaded model serves many cases.

Input CODE (BYTES [1]) is run once per request; the name ``result`` it leaves behind goes out as text in RESULT, as
``repr``. What it raises goes out too, as ``Type: text``. With ``execute`` defined instead, that is called as the model's
own ``execute`` and its return value is returned as it is.
"""

import asyncio
import gc
import json
import sys
import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils


def said(value):
    return pb_utils.Tensor("RESULT", np.array([str(value).encode()], dtype=np.object_))


class TritonPythonModel:
    def initialize(self, args):
        self.args = args
        self.config = json.loads(args["model_config"])
        self.kept = {}

    def names(self, request):
        return {
            "pb_utils": pb_utils,
            "np": np,
            "json": json,
            "gc": gc,
            "sys": sys,
            "time": time,
            "asyncio": asyncio,
            "threading": threading,
            "request": request,
            "self": self,
            "kept": self.kept,
            "said": said,
            "__name__": "case",
        }

    def execute(self, requests):
        responses = []
        for request in requests:
            code = pb_utils.get_input_tensor_by_name(request, "CODE").as_numpy()[0].decode()
            names = self.names(request)
            error = None
            try:
                exec(compile(code, "case.py", "exec"), names)
            except Exception as raised:
                error = raised
            if "execute" in names:
                return names["execute"](self, requests)
            text = f"{type(error).__name__}: {error}" if error else repr(names.get("result"))
            responses.append(pb_utils.InferenceResponse([said(text)]))
        return responses
