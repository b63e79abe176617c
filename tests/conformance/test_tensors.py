"""`Tensor`: its constructor, its views, DLPack. Rows of the contract's section 2.1, run inside a model."""

from __future__ import annotations

import numpy as np

from tests.conformance.lab import Lab, check, table, upstream_breaks
from tests.conformance.targets import Target

_BYTES = "np.array([b'a'], dtype=object)"
_UNSUPPORTED = "TritonModelException: NumPy dtype is not supported."


@table(
    ("name", "pb_utils.Tensor('N', np.zeros(2)).name()", "'N'"),
    ("empty-name", "pb_utils.Tensor('', np.zeros(2))", "TritonModelException: Tensor name cannot be an empty string."),
    ("none-name", "pb_utils.Tensor(None, np.zeros(2))", "TypeError: …"),
    ("none-array", "pb_utils.Tensor('N', None)", "TypeError: …"),
    ("list", "pb_utils.Tensor('N', [1, 2])", "TypeError: …"),
    ("scalar", "pb_utils.Tensor('N', 1.0)", "TypeError: …"),
    ("numpy-scalar", "pb_utils.Tensor('N', np.float32(3))", "TypeError: …"),
    ("keyword", "pb_utils.Tensor(name='N', array=np.zeros(2))", "TypeError: …"),
    ("no-arguments", "pb_utils.Tensor()", "TypeError: …"),
    ("no-copy", "a = np.arange(4)\nt = pb_utils.Tensor('N', a)\nresult = t.as_numpy() is a and t.as_numpy() is a", "True"),
    ("transposed", "a = np.arange(6).reshape(2, 3).T\nt = pb_utils.Tensor('N', a).as_numpy()\n"
     "result = (t is a, t.flags.c_contiguous, t.tolist() == a.tolist())", "(False, True, True)"),
    ("slice", "a = np.arange(8)[::2]\nt = pb_utils.Tensor('N', a).as_numpy()\n"
     "result = (t.flags.c_contiguous, t.tolist())", "(True, [0, 2, 4, 6])"),
    ("0-d", "pb_utils.Tensor('N', np.array(5.0)).shape()", "[]"),
    ("zero-size", "pb_utils.Tensor('N', np.zeros((0, 3))).shape()", "[0, 3]"),
    ("shape", "pb_utils.Tensor('N', np.zeros((2, 1, 3))).shape()", "[2, 1, 3]"),
    ("is-cpu", "pb_utils.Tensor('N', np.zeros(1)).is_cpu()", "True"),
    ("object", "t = pb_utils.Tensor('N', np.array([b'a', 'é', None, 3.5], dtype=object))\n"
     "result = t.as_numpy().tolist()", "[b'a', 'é', None, 3.5]"),
    ("S", "pb_utils.Tensor('N', np.array([b'ab', b'c'])).as_numpy()", "array([b'ab', b'c'], dtype='|S2')"),
    ("U", "pb_utils.Tensor('N', np.array(['x']))", _UNSUPPORTED),
    ("complex", "pb_utils.Tensor('N', np.array([1j]))", _UNSUPPORTED),
    ("datetime", "pb_utils.Tensor('N', np.array(['2020-01-01'], dtype='datetime64[D]'))", _UNSUPPORTED),
    ("big-endian", "pb_utils.Tensor('N', np.array([1.0], dtype='>f4'))", _UNSUPPORTED),
    ("longdouble", "pb_utils.Tensor('N', np.array([1], dtype=np.longdouble))", _UNSUPPORTED),
    ("structured", "pb_utils.Tensor('N', np.zeros(1, dtype=[('a', 'f4')]))", _UNSUPPORTED),
    ("class-module", "pb_utils.Tensor.__module__", "'c_python_backend_utils'"),
)  # fmt: skip
def test_constructor(lab: Lab, code: str, expected: str) -> None:
    check(lab, code, expected)


@table(
    ("writable", "x = request.inputs()[1].as_numpy()\nresult = (x.flags.writeable, x.dtype.name, x.tolist())",
     "(True, 'float32', [1.0, 2.0, 3.0])"),
    ("same-object", "t = request.inputs()[1]\nresult = t.as_numpy() is t.as_numpy()", "True"),
    ("private", "t = request.inputs()[1]\nt.as_numpy()[0] = 9\nresult = np.from_dlpack(t).tolist()", "[1.0, 2.0, 3.0]"),
    ("dlpack-read-only", "np.from_dlpack(request.inputs()[1]).flags.writeable", "False"),
    ("outlives", "a = request.inputs()[1].as_numpy()\nkept['private'] = a\nresult = a.tolist()", "[1.0, 2.0, 3.0]"),
    ("bytes", "v = request.inputs()[0].as_numpy()\nresult = (v.dtype.name, type(v[0]).__name__, v.shape)",
     "('object', 'bytes', (1,))"),
    ("shape", "request.inputs()[1].shape()", "[3]"),
    ("same-list", "request.inputs()[0] is request.inputs()[0]", "True"),
)  # fmt: skip
def test_server_tensor(lab: Lab, code: str, expected: str) -> None:
    """A tensor that came with a request: `as_numpy` is a private, writable copy; DLPack is the view."""
    got = lab.run(code if "\n" in code else f"result = ({code})", X=np.array([1, 2, 3], dtype=np.float32))
    assert got == expected


def test_server_array_outlives_its_request(lab: Lab) -> None:
    lab.run("kept['private'] = request.inputs()[1].as_numpy()", X=np.array([4, 5], dtype=np.float32))
    lab.run("result = 1", X=np.array([6, 7], dtype=np.float32))
    assert lab.value("kept['private'].tolist()") == "[4.0, 5.0]"


def test_returned_input_sends_its_original_bytes(lab: Lab) -> None:
    code = """
        def execute(self, requests):
            x = requests[0].inputs()[1]
            x.as_numpy()[:] = 7
            out = pb_utils.Tensor.from_dlpack("OUT", x)
            return [pb_utils.InferenceResponse([out])]
    """
    answer = lab.infer(code, X=np.array([1, 2], dtype=np.float32))
    assert answer.error is None
    assert answer.outputs["OUT"].tolist() == [1.0, 2.0]


@table(
    ("capsule", "type(pb_utils.Tensor('N', np.zeros(2)).to_dlpack()).__name__", "'PyCapsule'"),
    ("capsule-name", "str(pb_utils.Tensor('N', np.zeros(2)).to_dlpack()).split('\"')[1]", "'dltensor'"),
    ("dlpack-stream", "type(pb_utils.Tensor('N', np.zeros(2)).__dlpack__(stream=None)).__name__", "'PyCapsule'"),
    ("device", "tuple(map(int, pb_utils.Tensor('N', np.zeros(2)).__dlpack_device__()))", "(1, 0)"),
    ("bytes", f"pb_utils.Tensor('N', {_BYTES}).to_dlpack()",
     "TritonModelException: DLPack does not have support for string tensors."),
    ("from-empty-name", "pb_utils.Tensor.from_dlpack('', None)",
     "TritonModelException: Tensor name cannot be an empty string."),
    ("from-none", "pb_utils.Tensor.from_dlpack('N', None)", "TritonModelException: Provided tensor is not supported.…"),
    ("from-number", "pb_utils.Tensor.from_dlpack('N', 5)", "TritonModelException: Provided tensor is not supported.…"),
    ("round-trip", "t = pb_utils.Tensor('A', np.arange(6, dtype=np.int16).reshape(2, 3))\n"
     "u = pb_utils.Tensor.from_dlpack('B', t.to_dlpack())\nresult = (u.name(), u.shape(), u.as_numpy().tolist())",
     "('B', [2, 3], [[0, 1, 2], [3, 4, 5]])"),
    ("protocol", "t = pb_utils.Tensor('A', np.array([True, False]))\nu = pb_utils.Tensor.from_dlpack('B', t)\n"
     "result = (u.as_numpy().dtype.name, u.as_numpy().tolist(), u.is_cpu())", "('bool', [True, False], True)"),
    ("numpy-reads", "np.from_dlpack(pb_utils.Tensor('A', np.arange(3.0))).tolist()", "[0.0, 1.0, 2.0]"),
    ("refcount", "import sys\nt = pb_utils.Tensor('A', np.arange(3.0))\nbefore = sys.getrefcount(t)\n"
     "a = np.from_dlpack(t)\nheld = sys.getrefcount(t)\ndel a\ngc.collect()\n"
     "result = (held - before, sys.getrefcount(t) - before)", "(1, 0)"),
    ("unused-capsule", "import sys\nt = pb_utils.Tensor('A', np.arange(3.0))\nbefore = sys.getrefcount(t)\n"
     "c = t.to_dlpack()\nheld = sys.getrefcount(t)\ndel c\nresult = (held - before, sys.getrefcount(t) - before)", "(1, 0)"),
    ("consumer-keeps-memory", "t = pb_utils.Tensor('A', np.full(1000, 7.0))\na = np.from_dlpack(t)\ndel t\ngc.collect()\n"
     "result = float(a.sum())", "7000.0"),
)  # fmt: skip
def test_dlpack(lab: Lab, code: str, expected: str) -> None:
    check(lab, code, expected)


@table(
    ("ndarray", "a = np.arange(3.0)\nt = pb_utils.Tensor.from_dlpack('N', a)\nresult = t.as_numpy().tolist()",
     "[0.0, 1.0, 2.0]"),
    ("zero-copy-source", "a = np.arange(3.0)\nt = pb_utils.Tensor.from_dlpack('N', a)\ndel a\ngc.collect()\n"
     "result = t.as_numpy().tolist()", "[0.0, 1.0, 2.0]"),
    ("not-contiguous", "pb_utils.Tensor.from_dlpack('N', np.arange(6.0).reshape(2, 3).T)",
     "TritonModelException: DLPack tensor is not contiguous."
     " Only contiguous DLPack tensors that are stored in C-Order are supported."),
    ("extent-one", "pb_utils.Tensor.from_dlpack('N', np.arange(8.0).reshape(4, 1, 2)[:, :1]).shape()", "[4, 1, 2]"),
)  # fmt: skip
def test_dlpack_of_numpy(target: Target, lab: Lab, code: str, expected: str) -> None:
    upstream_breaks(
        target, "consuming an ndarray's capsule renames it unusually, and NumPy 2 then kills the process"
    )
    check(lab, code, expected)


def test_capsule_twice(lab: Lab, target: Target) -> None:
    upstream_breaks(target, "a capsule is accepted twice, and its memory is then released twice")
    code = """
        c = pb_utils.Tensor("A", np.arange(3.0)).to_dlpack()
        first = pb_utils.Tensor.from_dlpack("B", c)
        try:
            second = pb_utils.Tensor.from_dlpack("C", c)
            result = second.as_numpy().tolist() == first.as_numpy().tolist()
        except pb_utils.TritonModelException:
            result = True
    """
    assert lab.run(code) == "True"


def test_triton_dtype(lab: Lab, target: Target) -> None:
    upstream_breaks(target, "triton_dtype() cannot be called at all: no conversion of its return type")
    assert lab.value("pb_utils.Tensor('N', np.zeros(1, dtype=np.float32)).triton_dtype()") == "11"


def test_non_contiguous_outputs(lab: Lab) -> None:
    """Outputs that are views with strides arrive in C order."""
    code = """
        def execute(self, requests):
            x = requests[0].inputs()[1].as_numpy().reshape(2, 3)
            return [pb_utils.InferenceResponse([pb_utils.Tensor("OUT", x.T)])]
    """
    answer = lab.infer(code, X=np.arange(6, dtype=np.float32))
    assert answer.outputs["OUT"].tolist() == [[0, 3], [1, 4], [2, 5]]


def test_string_outputs(lab: Lab) -> None:
    """Object and S arrays, empty ones, and the way other objects become text."""
    code = """
        def execute(self, requests):
            out = np.array([b"a\\x00b", "día", None, 3.5], dtype=object)
            return [pb_utils.InferenceResponse([pb_utils.Tensor("RESULT", out)])]
    """
    answer = lab.infer(code)
    assert answer.outputs["RESULT"].tolist() == [b"a\x00b", "día".encode(), b"None", b"3.5"]
    for array in ("np.array([b'xyz', b'q'])", "np.array(['día'.encode()], dtype=np.bytes_)"):
        answer = lab.infer(
            f"def execute(self, requests):\n return [pb_utils.InferenceResponse([pb_utils.Tensor('RESULT', {array})])]"
        )
        expected = [b"xyz", b"q"] if "xyz" in array else ["día".encode()]
        assert answer.outputs["RESULT"].tolist() == expected
    for dtype in ("object", "np.bytes_"):
        answer = lab.infer(
            "def execute(self, requests):\n"
            f" return [pb_utils.InferenceResponse([pb_utils.Tensor('RESULT', np.array([], dtype={dtype}))])]"
        )
        assert answer.error is None
        assert answer.outputs["RESULT"].shape == (0,)


def test_change_before_the_first_send_counts(lab: Lab) -> None:
    code = """
        def execute(self, requests):
            a = np.zeros(2, dtype=np.float32)
            tensor = pb_utils.Tensor("OUT", a)
            a[:] = 5
            return [pb_utils.InferenceResponse([tensor])]
    """
    assert lab.infer(code).outputs["OUT"].tolist() == [5.0, 5.0]


def test_bool_and_numpy_kinds_out(lab: Lab) -> None:
    """Outputs are not compared with the configuration: dtype and shape are sent as they are."""
    for kind, wire in (
        ("np.bool_", "BOOL"),
        ("np.float16", "FP16"),
        ("np.uint64", "UINT64"),
        ("np.int8", "INT8"),
    ):
        code = (
            "def execute(self, requests):\n"
            f" return [pb_utils.InferenceResponse([pb_utils.Tensor('OUT', np.ones((1, 2), dtype={kind}))])]"
        )
        answer = lab.infer(code)
        assert answer.error is None
        assert answer.datatypes == {"OUT": wire}
        assert answer.outputs["OUT"].shape == (1, 2)
