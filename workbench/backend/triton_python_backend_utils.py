"""What a model imports as ``pb_utils``: the part that is plain Python.

The stub process puts the compiled classes (``Tensor``, ``InferenceRequest``, ``InferenceResponse``,
``Logger``, ``MetricFamily``, ...) and the functions that need the server (``load_model``, ``is_model_ready``,
``get_model_dir``, ...) on this module as attributes; the file itself never imports them. So it can be
imported anywhere, and the helpers below work anywhere, but a model only runs inside a stub.

Datatype numbers are those of ``TRITONSERVER_DataType``: BOOL 1, UINT8 2 ... FP64 12, BYTES 13, BF16 14.
"""

import json
import struct

import numpy as np

TRITONSERVER_REQUEST_FLAG_SEQUENCE_START = 1
TRITONSERVER_REQUEST_FLAG_SEQUENCE_END = 2
TRITONSERVER_RESPONSE_COMPLETE_FINAL = 1
TRITONSERVER_REQUEST_RELEASE_ALL = 1
TRITONSERVER_REQUEST_RELEASE_RESCHEDULE = 2

# config.pbtxt name -> NumPy type. BF16 is missing on purpose: NumPy has no such type. TYPE_BOOL is the
# builtin, which models compare with `is`.
TRITON_STRING_TO_NUMPY = {
    "TYPE_BOOL": bool,
    "TYPE_UINT8": np.uint8,
    "TYPE_UINT16": np.uint16,
    "TYPE_UINT32": np.uint32,
    "TYPE_UINT64": np.uint64,
    "TYPE_INT8": np.int8,
    "TYPE_INT16": np.int16,
    "TYPE_INT32": np.int32,
    "TYPE_INT64": np.int64,
    "TYPE_FP16": np.float16,
    "TYPE_FP32": np.float32,
    "TYPE_FP64": np.float64,
    "TYPE_STRING": np.object_,
}

# The dictionary above is in the order of the datatype numbers, which start at 1.
_NUMBER_TO_NUMPY = {
    number: np.bool_ if kind is bool else kind
    for number, kind in enumerate(TRITON_STRING_TO_NUMPY.values(), start=1)
}
# Kind and size, rather than the dtype itself: C's long and long long are two NumPy types of one layout.
_LAYOUT_TO_NUMBER = {
    (np.dtype(kind).kind, np.dtype(kind).itemsize): number for number, kind in _NUMBER_TO_NUMPY.items()
}
_BYTES_NUMBER = 13

_LENGTH = struct.Struct("<I")

# Attributes that exist only once a stub has put them here; see __getattr__.
_GRAFTED = frozenset(
    {
        "InferenceRequest",
        "InferenceResponse",
        "Logger",
        "MetricFamily",
        "PreferredMemory",
        "TRITONSERVER_MEMORY_CPU",
        "TRITONSERVER_MEMORY_GPU",
        "Tensor",
        "TritonError",
        "TritonModelException",
        "get_model_dir",
        "is_model_ready",
        "load_model",
        "unload_model",
    }
)


def __getattr__(name):
    """Called for names the module does not have (yet)."""
    if name in _GRAFTED:
        raise AttributeError(
            f"module {__name__!r} has no attribute {name!r} outside a running model\n"
            "hint: this name exists only inside a stub process; run the model with the workbench or a Triton "
            "server, and use the name inside TritonPythonModel's methods"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


# --- datatypes


def triton_string_to_numpy(triton_type_string):
    """NumPy type of a datatype's name in config.pbtxt, ``"TYPE_FP32"`` -> ``numpy.float32``.

    Raises:
        KeyError: the name is unknown, or it is TYPE_BF16, which NumPy cannot represent.
    """
    return TRITON_STRING_TO_NUMPY[triton_type_string]


def triton_to_numpy_type(data_type):
    """NumPy type of a datatype number, ``11`` -> ``numpy.float32``; None if there is none."""
    return _NUMBER_TO_NUMPY.get(data_type)


def numpy_to_triton_type(data_type):
    """Datatype number of a NumPy type or dtype, ``numpy.float32`` -> ``11``; None if Triton has none.

    ``object`` and byte strings (``S<n>``) are BYTES, 13. Arrays in the other byte order have no datatype.
    """
    if data_type is None:  # numpy.dtype(None) would be float64
        return None
    try:
        dtype = np.dtype(data_type)
    except TypeError:
        return None
    if not dtype.isnative:
        return None
    if dtype.kind == "S":
        return _BYTES_NUMBER
    return _LAYOUT_TO_NUMBER.get((dtype.kind, dtype.itemsize))


# --- tensors of BYTES


def serialize_byte_tensor(input_tensor):
    """Wire form of an array of strings: for each element, in C order, its length and its bytes.

    Args:
        input_tensor: array of dtype ``object`` (``bytes`` go in as they are, anything else as the UTF-8 text
            of ``str(element)``) or ``S<n>``, any shape.

    Returns:
        ``bytes``: per element a 4-byte little-endian length, then the data, no padding. An empty array gives
        ``()`` and any other dtype gives None, as models written for a server expect.

    Raises:
        UnicodeEncodeError: an element's text cannot be encoded as UTF-8.
    """
    if input_tensor.size == 0:
        return ()
    if input_tensor.dtype.kind == "S":
        return _serialize_fixed_width(np.ascontiguousarray(input_tensor))
    if input_tensor.dtype.kind != "O":
        return None
    parts = []
    for element in input_tensor.ravel(order="C").tolist():
        data = element if isinstance(element, bytes) else str(element).encode("utf-8")
        parts.append(_LENGTH.pack(len(data)))
        parts.append(data)
    return b"".join(parts)


def _serialize_fixed_width(array):
    """Rows of length + padded text, then everything but the padding."""
    count, width = array.size, array.dtype.itemsize
    lengths = np.char.str_len(array).reshape(count)  # trailing NULs are padding to NumPy
    rows = np.empty((count, 4 + width), dtype=np.uint8)
    rows[:, :4] = lengths.astype("<u4").reshape(count, 1).view(np.uint8)
    if width:
        rows[:, 4:] = array.reshape(count, 1).view(np.uint8)
    return rows[np.arange(4 + width) < 4 + lengths[:, np.newaxis]].tobytes()


def deserialize_bytes_tensor(encoded_tensor):
    """Elements of a tensor of BYTES, from its wire form.

    Args:
        encoded_tensor: ``bytes`` or any other contiguous buffer in the form `serialize_byte_tensor` writes.

    Returns:
        1-D array of dtype ``object`` whose elements are ``bytes``.

    Raises:
        struct.error: the buffer ends in the middle of an element.
    """
    data = bytes(encoded_tensor)
    elements = _equal_elements(data)
    if elements is None:
        elements = _any_elements(data)
    result = np.empty(len(elements), dtype=np.object_)
    result[:] = elements
    return result


def _equal_elements(data):
    """The elements, if all have the length of the first one; else None. Needs no step per element."""
    if len(data) < 4:
        return None
    width = _LENGTH.unpack_from(data)[0]
    if width == 0 or len(data) % (4 + width):
        return None
    rows = np.frombuffer(data, dtype=np.dtype([("length", "<u4"), ("data", f"V{width}")]))
    return rows["data"].tolist() if (rows["length"] == width).all() else None


def _any_elements(data):
    elements = []
    offset, end = 0, len(data)
    while offset < end:
        if offset + 4 > end:
            raise struct.error(
                f"incomplete length of element {len(elements)} at byte {offset}: {end - offset} of 4 bytes"
            )
        length = _LENGTH.unpack_from(data, offset)[0]
        offset += 4
        if offset + length > end:
            raise struct.error(
                f"element {len(elements)} at byte {offset} has {length} bytes, but only {end - offset} are "
                "left"
            )
        elements.append(data[offset : offset + length])
        offset += length
    return elements


# --- finding things by name


def _named_tensor(tensors, name):
    return next((tensor for tensor in tensors if tensor.name() == name), None)


def get_input_tensor_by_name(inference_request, name):
    """First input tensor of that name, or None: an optional input the client left out is simply not there."""
    return _named_tensor(inference_request.inputs(), name)


def get_output_tensor_by_name(inference_response, name):
    """First output tensor of that name in a response of another model, or None."""
    return _named_tensor(inference_response.output_tensors(), name)


def _named_config(entries, name):
    return next((entry for entry in entries if entry["name"] == name), None)


def get_input_config_by_name(model_config, name):
    """That input's part of the configuration, or None.

    Args:
        model_config: the parsed configuration, ``json.loads(args["model_config"])``.
        name: the input's name.
    """
    return _named_config(model_config.get("input", ()), name)


def get_output_config_by_name(model_config, name):
    """That output's part of the configuration, or None. `model_config` is the parsed configuration."""
    return _named_config(model_config.get("output", ()), name)


def using_decoupled_model_transaction_policy(model_config):
    """Whether the (parsed) configuration says ``model_transaction_policy { decoupled: true }``."""
    return model_config.get("model_transaction_policy", {}).get("decoupled", False)


# --- auto-complete


class ModelConfig:
    """The configuration that ``auto_complete_config`` may fill in.

    What the user wrote in config.pbtxt stands: a setter that would contradict it raises ValueError and
    changes nothing. ``_model_config`` is the plain dictionary behind it, which goes back to the server as
    JSON.

    Args:
        model_config: JSON text of the configuration, in protobuf's field names.
    """

    def __init__(self, model_config):
        self._model_config = json.loads(model_config)

    def as_dict(self):
        """The live dictionary, not a copy."""
        return self._model_config

    def set_max_batch_size(self, max_batch_size):
        """Set the largest batch; 0 means that tensors have no batch dimension.

        Raises:
            ValueError: the configuration has a larger one.
        """
        specified = self._model_config.get("max_batch_size", 0)
        if specified > max_batch_size:
            raise ValueError(
                f"configuration specified max_batch_size {specified}, but in auto-complete-config function "
                f"for model '{self._name}' specified max_batch_size {max_batch_size}"
            )
        self._model_config["max_batch_size"] = max_batch_size

    def set_dynamic_batching(self):
        """Turn on dynamic batching, with its defaults unless the configuration has it already.

        Raises:
            ValueError: the configuration chose sequence batching or is an ensemble.
        """
        for choice in ("sequence_batching", "ensemble_scheduling"):
            if choice in self._model_config:
                raise ValueError(
                    f"Configuration specified scheduling_choice as '{choice}', but auto-complete-config "
                    f"function for model '{self._name}' tries to set scheduling_choice as 'dynamic_batching'"
                )
        self._model_config.setdefault("dynamic_batching", {})

    def add_input(self, input):
        """Declare an input, or complete the one of that name.

        Args:
            input: ``name``, ``data_type`` (``"TYPE_FP32"``), ``dims`` (list of int without the batch
                dimension, -1 for any) and, if wanted, ``optional`` (bool).

        Raises:
            ValueError: a property is missing or unknown, or contradicts the configuration.
        """
        self._add("input", input, ("name", "data_type", "dims", "optional"))

    def add_output(self, output):
        """Declare an output, or complete the one of that name.

        Args:
            output: ``name``, ``data_type`` and ``dims``, as for `add_input`.

        Raises:
            ValueError: a property is missing or unknown, or contradicts the configuration.
        """
        self._add("output", output, ("name", "data_type", "dims"))

    def set_model_transaction_policy(self, transaction_policy_dict):
        """Make the model decoupled (or say that it is not), with ``{"decoupled": True}``.

        Raises:
            ValueError: another property is given, or the configuration says the opposite.
        """
        if not transaction_policy_dict.keys() <= {"decoupled"}:
            raise ValueError(
                f"model transaction property in auto-complete-config function for model '{self._name}' "
                "contains property other than 'decoupled'."
            )
        specified = self._model_config.get("model_transaction_policy", {})
        wanted = {**specified, **transaction_policy_dict}
        if "decoupled" in specified and wanted["decoupled"] != specified["decoupled"]:
            raise ValueError(
                f"trying to change decoupled property in auto-complete-config for model '{self._name}', "
                f"which is already set to '{specified['decoupled']}'."
            )
        self._model_config["model_transaction_policy"] = wanted

    @property
    def _name(self):
        return self._model_config["name"]

    def _add(self, section, given, allowed):
        self._check_properties(section, given, allowed)
        entries = self._model_config.setdefault(section, [])
        specified = _named_config(entries, given["name"])
        if specified is None:
            entries.append(dict(given))
        else:
            self._check_agreement(section, given, specified)
            specified.update(given)

    def _check_properties(self, section, given, allowed):
        where = f"in auto-complete-config function for model '{self._name}'"
        if "name" not in given:
            raise ValueError(f"{section} {where} is missing 'name' property.")
        tensor = f"{section} '{given['name']}' {where}"
        if not given.keys() <= set(allowed):
            *most, last = (f"'{key}'" for key in allowed)
            raise ValueError(f"{tensor} contains property other than {', '.join(most)} and {last}.")
        for key in ("data_type", "dims"):
            if key not in given:
                raise ValueError(f"{tensor} is missing '{key}' property.")

    def _check_agreement(self, section, given, specified):
        """Unset values (TYPE_INVALID, no dims, no word about optional) agree with everything."""
        datatype = specified.get("data_type", "TYPE_INVALID")
        if datatype not in ("TYPE_INVALID", given["data_type"]):
            raise ValueError(
                f"unable to load model '{self._name}', configuration expects datatype {datatype} for "
                f"{section} '{given['name']}', model provides {given['data_type']}"
            )
        for key in ("dims", "optional"):
            wanted = given.get(key)
            present = specified.get(key)
            if key in given and present is not None and present != [] and present != wanted:
                raise ValueError(
                    f"model '{self._name}', tensor '{given['name']}': the model expects {key} {wanted} but "
                    f"the model configuration specifies {key} {present}"
                )
