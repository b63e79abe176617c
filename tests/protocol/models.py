"""The model of most tests here: what it does is chosen by the request's id, so one process serves many."""

MANY_WAYS = """
import asyncio
import json
import threading
import time

import numpy as np
import triton_python_backend_utils as pb_utils

FINAL = pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL


def array(request, name="INPUT0"):
    return pb_utils.get_input_tensor_by_name(request, name).as_numpy()


def text(value):
    return np.array([json.dumps(value)], dtype=np.object_)


def answer(*arrays):
    return pb_utils.InferenceResponse([pb_utils.Tensor(f"OUTPUT{i}", a) for i, a in enumerate(arrays)])


def add_sub(request):
    return answer(array(request) + array(request, "INPUT1"), array(request) - array(request, "INPUT1"))


def identity(request):
    return answer(array(request))


def same_tensor(request):
    return pb_utils.InferenceResponse([pb_utils.Tensor("OUTPUT0", array(request))])


def facts(request):
    return answer(text({
        "id": request.request_id(),
        "correlation": request.correlation_id(),
        "flags": request.flags(),
        "timeout": request.timeout(),
        "parameters": json.loads(request.parameters()),
        "outputs": sorted(request.requested_output_names()),
        "trace": request.trace().get_context(),
    }))


def fail(request):
    raise ValueError("the model says no")


def refuse(request):
    return pb_utils.InferenceResponse(error=pb_utils.TritonError("not here", pb_utils.TritonError.NOT_FOUND))


def log(request):
    pb_utils.Logger.log_info("info line")
    pb_utils.Logger.log_warn("warning line")
    pb_utils.Logger.log_error("error line")
    pb_utils.Logger.log_verbose("verbose line")
    return answer(array(request))


def nothing(request):
    return None


def send(request):
    sender = request.get_response_sender()
    sender.send(answer(array(request)), flags=FINAL)
    return None


def send_then_close(request):
    sender = request.get_response_sender()
    sender.send(answer(array(request)))
    sender.send(flags=FINAL)
    return None


def send_later(request):
    sender = request.get_response_sender()
    values = array(request)

    def run():
        for value in values:
            sender.send(answer(np.array([value])))
        sender.send(flags=FINAL)

    threading.Thread(target=run).start()
    return None


def send_error(request):
    sender = request.get_response_sender()
    sender.send(pb_utils.InferenceResponse(error=pb_utils.TritonError("sent error")), flags=FINAL)
    return None


def send_and_drop(request):
    request.get_response_sender().send(answer(array(request)))
    return None


def cancelled(request):
    return answer(np.array([request.is_cancelled()]))


def reschedule(request):
    if not SEEN.get("rescheduled"):
        SEEN["rescheduled"] = True
        request.set_release_flags(pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)
        return None
    SEEN["rescheduled"] = False
    return answer(array(request))


def call(request, **options):
    return pb_utils.InferenceRequest(
        model_name="other",
        inputs=[pb_utils.Tensor("INPUT0", array(request))],
        requested_output_names=["OUTPUT0"],
        request_id="inner",
        correlation_id=7,
        **options,
    )


def pass_on(response):
    if response.has_error():
        return answer(text({"error": response.error().message()}))
    return answer(pb_utils.get_output_tensor_by_name(response, "OUTPUT0").as_numpy())


def bls(request):
    return pass_on(call(request).exec())


def bls_async(request):
    async def both():
        return await asyncio.gather(call(request).async_exec(), call(request).async_exec())

    first, second = asyncio.run(both())
    for response in (first, second):
        if response.has_error():
            return pass_on(response)
    total = sum(pb_utils.get_output_tensor_by_name(r, "OUTPUT0").as_numpy() for r in (first, second))
    return answer(total)


def bls_stream(request):
    parts = []
    for response in call(request).exec(decoupled=True):
        if response.has_error():
            return pass_on(response)
        if response.output_tensors():
            parts.append(pb_utils.get_output_tensor_by_name(response, "OUTPUT0").as_numpy())
    return answer(np.concatenate(parts) if parts else np.zeros(0, dtype=np.float32))


def bls_cancel(request):
    responses = call(request).exec(decoupled=True)
    next(iter(responses))
    responses.cancel()
    rest = list(responses)
    return answer(np.array([len(rest)]))


def bls_is_cancelled(request):
    return answer(np.array([call(request).is_cancelled()]))


def metrics(request):
    family = pb_utils.MetricFamily(name="things", description="of this", kind=pb_utils.MetricFamily.COUNTER)
    metric = family.Metric(labels={"a": "b"})
    metric.increment(2.5)
    metric.set(4)
    value = metric.value()
    del metric, family
    return answer(np.array([value], dtype=np.float32))


def histogram(request):
    family = pb_utils.MetricFamily(name="times", description="in s", kind=pb_utils.MetricFamily.HISTOGRAM)
    metric = family.Metric(labels={}, buckets=[0.1, 1.0, 10.0])
    metric.observe(0.5)
    del metric, family
    return answer(array(request))


def refused_metric(request):
    try:
        pb_utils.MetricFamily(name="refused", description="", kind=pb_utils.MetricFamily.GAUGE)
    except pb_utils.TritonModelException as error:
        return answer(text(str(error)))


def control(request):
    pb_utils.load_model("other", config=json.dumps({"x": 1}), files={"file:1/model.py": b"\\x00code"})
    ready = pb_utils.is_model_ready("other", "3")
    try:
        pb_utils.unload_model("other", unload_dependents=True)
        refused = None
    except pb_utils.TritonModelException as error:
        refused = str(error)
    return answer(text({"ready": ready, "refused": refused}))


def busy(request):
    end = time.monotonic() + float(array(request)[0])
    while time.monotonic() < end:
        sum(range(1000))
    return answer(array(request))


def die(request):
    import os
    import signal

    os.kill(os.getpid(), signal.SIGKILL)


SEEN = {}


class TritonPythonModel:
    def initialize(self, args):
        self.args = args

    def execute(self, requests):
        if requests and requests[0].request_id() == "fail":
            raise ValueError("the model says no")
        return [globals()[request.request_id() or "add_sub"](request) for request in requests]

    def finalize(self):
        pb_utils.Logger.log_info("finalized")
"""

#: The same for decoupled models, whose execute returns nothing.
DECOUPLED = MANY_WAYS.replace(
    'return [globals()[request.request_id() or "add_sub"](request) for request in requests]',
    "[globals()[request.request_id()](request) for request in requests]",
)
