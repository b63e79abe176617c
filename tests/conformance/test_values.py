"""Requests, responses, errors and the other values of the module: arguments, defaults, texts. Sections 2.0, 2.2, 2.3, 2.6 to 2.9."""

from __future__ import annotations

import pytest

from tests.conformance.lab import Lab, check, table, upstream_breaks
from tests.conformance.targets import Target, config, source_of, text_input

_TENSOR = "pb_utils.Tensor('IN', np.zeros(1, dtype=np.float32))"
_REST = "requested_output_names=['OUT'], model_name='m'"


def _request(arguments: str = "", inputs: str = f"[{_TENSOR}]") -> str:
    return f"pb_utils.InferenceRequest(inputs={inputs}, {_REST}{', ' if arguments else ''}{arguments})"


_NAMES = [
    "InferenceRequest",
    "InferenceResponse",
    "Logger",
    "MetricFamily",
    "ModelConfig",
    "PreferredMemory",
    "Tensor",
    "TritonError",
    "TritonModelException",
    "TRITONSERVER_MEMORY_CPU",
    "TRITONSERVER_MEMORY_GPU",
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_START",
    "TRITONSERVER_REQUEST_FLAG_SEQUENCE_END",
    "TRITONSERVER_REQUEST_RELEASE_ALL",
    "TRITONSERVER_REQUEST_RELEASE_RESCHEDULE",
    "TRITONSERVER_RESPONSE_COMPLETE_FINAL",
    "TRITON_STRING_TO_NUMPY",
    "deserialize_bytes_tensor",
    "get_input_config_by_name",
    "get_input_tensor_by_name",
    "get_model_dir",
    "get_output_config_by_name",
    "get_output_tensor_by_name",
    "is_model_ready",
    "load_model",
    "numpy_to_triton_type",
    "serialize_byte_tensor",
    "triton_string_to_numpy",
    "triton_to_numpy_type",
    "unload_model",
    "using_decoupled_model_transaction_policy",
]
_COMPILED = [
    "InferenceResponseSender",
    "ResponseIterator",
    "InferenceTrace",
    "Metric",
    "MetricKind",
    "MemoryType",
    "SharedMemory",
    "shared_memory",
    "COUNTER",
    "GAUGE",
    "HISTOGRAM",
]


def test_names(lab: Lab) -> None:
    """Every name of the surface, in the module and in its compiled part."""
    assert lab.value(f"[name for name in {_NAMES} if not hasattr(pb_utils, name)]") == "[]"
    code = (
        f"import c_python_backend_utils as c\nresult = [name for name in {_COMPILED} if not hasattr(c, name)]"
    )
    assert lab.run(code) == "[]"


@table(
    ("sequence", "(pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_START, pb_utils.TRITONSERVER_REQUEST_FLAG_SEQUENCE_END)",
     "(1, 2)"),
    ("final", "pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL", "1"),
    ("release", "(pb_utils.TRITONSERVER_REQUEST_RELEASE_ALL, pb_utils.TRITONSERVER_REQUEST_RELEASE_RESCHEDULE)", "(1, 2)"),
    ("memory", "(int(pb_utils.TRITONSERVER_MEMORY_GPU), int(pb_utils.TRITONSERVER_MEMORY_CPU))", "(0, 1)"),
    ("argv", "sys.argv", "['']"),
    ("module", "type(self).__module__", "'1.model'"),
)  # fmt: skip
def test_constants(lab: Lab, code: str, expected: str) -> None:
    check(lab, code, expected)


@table(
    ("keywords", "type(" + _request("request_id='r', correlation_id=3, model_version=2, flags=1, timeout=5")
     + ").__name__", "'InferenceRequest'"),
    ("positional", f"type(pb_utils.InferenceRequest('r', 3, [{_TENSOR}], ['OUT'], 'm', 2, 1, 5)).__name__",
     "'InferenceRequest'"),
    ("id", _request("request_id='r'") + ".request_id()", "'r'"),
    ("id-default", _request() + ".request_id()", "''"),
    ("id-none", _request("request_id=None"), "TypeError: …"),
    ("correlation", _request("correlation_id=3") + ".correlation_id()", "3"),
    ("correlation-text", _request("correlation_id='three'") + ".correlation_id()", "'three'"),
    ("correlation-default", _request() + ".correlation_id()", "0"),
    ("correlation-none", _request("correlation_id=None"), "TypeError: …"),
    ("correlation-float", _request("correlation_id=1.5"), "…Correlation ID must be integer or string…"),
    ("correlation-negative", _request("correlation_id=-1"), "RuntimeError: Unable to cast Python instance…"),
    ("correlation-big", _request("correlation_id=2**63") + ".correlation_id()", "9223372036854775808"),
    ("inputs-none", _request(inputs="None"), "TypeError: …"),
    ("inputs-list-none", _request("request_id='r'", inputs="[None]"),
     "TritonModelException: Input tensor for request with id 'r' and model name 'm' should not be empty."),
    ("inputs-empty", _request(inputs="[]") + ".inputs()", "[]"),
    ("outputs-none", f"pb_utils.InferenceRequest(inputs=[{_TENSOR}], requested_output_names=None, model_name='m')",
     "TypeError: …"),
    ("outputs-list-none", f"pb_utils.InferenceRequest(inputs=[{_TENSOR}], requested_output_names=[None], model_name='m')",
     "TypeError: …"),
    ("outputs-empty-name", "pb_utils.InferenceRequest(request_id='r', inputs=[], requested_output_names=[''], model_name='m')",
     "TritonModelException: Requested output name for request with id 'r' and model name 'm' should not be empty."),
    ("outputs-empty", "pb_utils.InferenceRequest(inputs=[], requested_output_names=[], model_name='m')"
     ".requested_output_names()", "set()"),
    ("outputs-duplicate", "pb_utils.InferenceRequest(inputs=[], requested_output_names=['A', 'A'], model_name='m')"
     ".requested_output_names()", "{'A'}"),
    ("model-none", "pb_utils.InferenceRequest(inputs=[], requested_output_names=['A'], model_name=None)", "TypeError: …"),
    ("version-none", _request("model_version=None"), "TypeError: …"),
    ("flags", _request("flags=3") + ".flags()", "3"),
    ("flags-default", _request() + ".flags()", "0"),
    ("flags-none", _request("flags=None"), "TypeError: …"),
    ("set-flags", "r = " + _request() + "\nr.set_flags(2)\nresult = r.flags()", "2"),
    ("timeout", _request("timeout=11000000000") + ".timeout()", "11000000000"),
    ("timeout-default", _request() + ".timeout()", "0"),
    ("missing-inputs", f"pb_utils.InferenceRequest({_REST})", "TypeError: …"),
    ("missing-outputs", f"pb_utils.InferenceRequest(inputs=[{_TENSOR}], model_name='m')", "TypeError: …"),
    ("missing-model", f"pb_utils.InferenceRequest(inputs=[{_TENSOR}], requested_output_names=['OUT'])", "TypeError: …"),
    ("missing-all", "pb_utils.InferenceRequest()", "TypeError: …"),
    ("parameters", _request("parameters={'a': 1, 'b': 'x', 'c': True}") + ".parameters()",
     "'{\"a\": 1, \"b\": \"x\", \"c\": true}'"),
    ("parameters-default", _request() + ".parameters()", "'{}'"),
    ("parameters-none", _request("parameters=None") + ".parameters()", "'{}'"),
    ("parameters-key", _request("parameters={1: 1}"),
     "…Expect parameters keys to have type str, found type <class 'int'>"),
    ("parameters-value", _request("parameters={'a': 1.5}"),
     "…Expect parameters values to have type bool/int/str, found type <class 'float'>"),
    ("parameters-list", _request("parameters=[1]"), "…, got <class 'list'>"),
    ("preferred", "type(" + _request(
        "preferred_memory=pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU, 0)") + ").__name__", "'InferenceRequest'"),
    ("trace", "type(" + _request("trace=request.trace()") + ").__name__", "'InferenceRequest'"),
    ("trace-class", "type(request.trace()).__name__, request.trace().get_context()", "('InferenceTrace', None)"),
    ("same-tensors", "r = " + _request() + "\nresult = r.inputs()[0] is r.inputs()[0]", "True"),
    ("sender", "request.get_response_sender() is request.get_response_sender()", "True"),
    ("sender-class", "type(request.get_response_sender()).__name__", "'InferenceResponseSender'"),
    ("not-cancelled", "request.is_cancelled(), request.get_response_sender().is_cancelled()", "(False, False)"),
)  # fmt: skip
def test_request(lab: Lab, code: str, expected: str) -> None:
    check(lab, code, expected)


@table(
    ("is-cancelled", _request() + ".is_cancelled()", "False"),
    ("release-flags", _request() + ".set_release_flags(1)", "TritonModelException: …"),
)
def test_bls_request_misuse(target: Target, lab: Lab, code: str, expected: str) -> None:
    upstream_breaks(
        target, "is_cancelled() of a request made by a model aborts the server, set_release_flags() the stub"
    )
    check(lab, code, expected)


def test_incoming_request(lab: Lab) -> None:
    """What the client sent, as the model reads it."""
    code = "result = (request.request_id(), request.correlation_id(), request.flags(), request.timeout())"
    assert lab.run(code) == "('', 0, 0, 0)"
    assert lab.run(code, request_id="r7", timeout_us=123456) == "('r7', 0, 0, 123456)"
    names = (
        "result = (type(request.requested_output_names()).__name__, sorted(request.requested_output_names()))"
    )
    assert lab.run(names) == "('set', ['OUT', 'RESULT'])"
    assert lab.run(names, outputs=["RESULT"]) == "('set', ['RESULT'])"


def test_incoming_parameters(lab: Lab) -> None:
    """JSON text, compact; the keys that are the server's own are not in it."""
    code = "result = (type(request.parameters()).__name__, dict(sorted(json.loads(request.parameters()).items())))"
    sent: dict[str, bool | int | str | float] = {"a": 1, "b": "x", "c": True, "d": 2.5}
    assert lab.run(code, parameters=sent, timeout_us=5) == f"('str', {sent!r})"
    assert lab.run("result = request.parameters()") == "'{}'"
    assert lab.run("result = request.parameters()", parameters={"k": "v"}) == """'{"k":"v"}'"""


@pytest.mark.parametrize("correlation", [42, "forty-two"])
def test_incoming_sequence(target: Target, correlation: int | str) -> None:
    """Number or text, the type the client used; START and END as flags."""
    text = config(
        [("CODE", "BYTES", [1])],
        [("RESULT", "BYTES", [1])],
        extra="sequence_batching { max_sequence_idle_microseconds: 60000000 }\n",
    )
    model = target.load(source_of("lab"), text, name="sequence")
    code = text_input("result = (request.correlation_id(), request.flags())")
    said = [
        model.infer(CODE=code, sequence=(correlation, start, end)).text("RESULT")
        for start, end in ((True, False), (False, False), (False, True), (True, True))
    ]
    assert said == [f"({correlation!r}, {flags})" for flags in (1, 0, 2, 3)]
    target.drop(model.name)


@table(
    ("empty", "pb_utils.InferenceResponse([]).output_tensors()", "[]"),
    ("nothing", "pb_utils.InferenceResponse().output_tensors()", "[]"),
    ("keyword", f"[t.name() for t in pb_utils.InferenceResponse(output_tensors=[{_TENSOR}]).output_tensors()]", "['IN']"),
    ("none", "pb_utils.InferenceResponse(output_tensors=None)", "TypeError: …"),
    ("list-none", "pb_utils.InferenceResponse(output_tensors=[None])",
     "TritonModelException: Output tensor for inference response should not be empty."),
    ("error-text", "pb_utils.InferenceResponse([], error='text')", "TypeError: …"),
    ("error", "r = pb_utils.InferenceResponse([], pb_utils.TritonError('bad'))\n"
     "result = (r.has_error(), r.error().message(), int(r.error().code()))", "(True, 'bad', 1)"),
    ("no-error", "r = pb_utils.InferenceResponse([])\nresult = (r.has_error(), r.error())", "(False, None)"),
    ("error-and-tensors", f"r = pb_utils.InferenceResponse([{_TENSOR}], pb_utils.TritonError('bad'))\n"
     "result = (r.has_error(), len(r.output_tensors()))", "(True, 1)"),
    ("same-object", f"t = {_TENSOR}\nresult = pb_utils.InferenceResponse([t]).output_tensors()[0] is t", "True"),
)  # fmt: skip
def test_response(lab: Lab, code: str, expected: str) -> None:
    check(lab, code, expected)


@table(
    ("default", "e = pb_utils.TritonError('m')\nresult = (e.message(), e.code(), int(e.code()))",
     "('m', <__ErrorCode.INTERNAL: 1>, 1)"),
    ("codes", "[int(getattr(pb_utils.TritonError, n)) for n in 'UNKNOWN INTERNAL NOT_FOUND INVALID_ARG UNAVAILABLE UNSUPPORTED"
     " ALREADY_EXISTS CANCELLED'.split()]", "[0, 1, 2, 3, 4, 5, 6, 7]"),
    ("code", "pb_utils.TritonError('m', pb_utils.TritonError.CANCELLED).code() == pb_utils.TritonError.CANCELLED", "True"),
    ("none", "pb_utils.TritonError(None)", "TypeError: …"),
    ("number", "pb_utils.TritonError('m', 3)", "TypeError: …"),
    ("not-an-exception", "raise pb_utils.TritonError('m')\n", "TypeError: exceptions must derive from BaseException"),
    ("exception", "e = pb_utils.TritonModelException('t')\nresult = (type(e).__mro__[1].__name__, e.args)",
     "('Exception', ('t',))"),
    ("exception-raised", "raise pb_utils.TritonModelException('t')\n", "TritonModelException: t"),
)  # fmt: skip
def test_errors(lab: Lab, code: str, expected: str) -> None:
    check(lab, code, expected)


@table(
    ("cpu", "type(pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_CPU)).__name__", "'PreferredMemory'"),
    ("gpu", "type(pb_utils.PreferredMemory(pb_utils.TRITONSERVER_MEMORY_GPU, 1)).__name__", "'PreferredMemory'"),
    ("keywords", "type(pb_utils.PreferredMemory(preferred_memory_type=pb_utils.TRITONSERVER_MEMORY_CPU,"
     " preferred_device_id=0)).__name__", "'PreferredMemory'"),
    ("none", "pb_utils.PreferredMemory(None)", "TypeError: …"),
    ("text", "pb_utils.PreferredMemory('CPU')", "TypeError: …"),
)  # fmt: skip
def test_preferred_memory(lab: Lab, code: str, expected: str) -> None:
    check(lab, code, expected)


@table(
    ("level-none", "pb_utils.Logger.log('m', None)", "TypeError: …"),
    ("level-number", "pb_utils.Logger.log('m', 1)", "TypeError: …"),
    ("message-none", "pb_utils.Logger.log(None, pb_utils.Logger.INFO)", "TypeError: …"),
    ("message-number", "pb_utils.Logger.log_info(5)", "TypeError: …"),
    ("info-none", "pb_utils.Logger.log_info(None)", "TypeError: …"),
    ("warn-none", "pb_utils.Logger.log_warn(None)", "TypeError: …"),
    ("error-none", "pb_utils.Logger.log_error(None)", "TypeError: …"),
    ("verbose-none", "pb_utils.Logger.log_verbose(None)", "TypeError: …"),
    ("default-level", "pb_utils.Logger.log('conformance: a message')", "None"),
    ("keywords", "pb_utils.Logger.log(message='conformance: a message', level=pb_utils.Logger.WARNING)", "None"),
    ("levels", "l = pb_utils.Logger\nresult = [int(x) for x in (l.INFO, l.WARNING, l.ERROR, l.VERBOSE, l.LogLevel.ERROR)]",
     "[0, 1, 2, 3, 2]"),
    ("constructor", "pb_utils.Logger()", "TypeError: c_python_backend_utils.Logger: No constructor defined!"),
)  # fmt: skip
def test_logger_arguments(lab: Lab, code: str, expected: str) -> None:
    check(lab, code, expected)
