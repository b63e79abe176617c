"""The compiled half of ``triton_python_backend_utils``, with the names that exist only here.

A model needs it for annotations at most::

    if TYPE_CHECKING:
        from c_python_backend_utils import InferenceResponseSender
"""

from triton_python_backend_utils import TRITONSERVER_MEMORY_CPU as TRITONSERVER_MEMORY_CPU
from triton_python_backend_utils import TRITONSERVER_MEMORY_GPU as TRITONSERVER_MEMORY_GPU
from triton_python_backend_utils import InferenceRequest as InferenceRequest
from triton_python_backend_utils import InferenceResponse as InferenceResponse
from triton_python_backend_utils import Logger as Logger
from triton_python_backend_utils import MetricFamily as MetricFamily
from triton_python_backend_utils import PreferredMemory as PreferredMemory
from triton_python_backend_utils import Tensor as Tensor
from triton_python_backend_utils import TritonError as TritonError
from triton_python_backend_utils import TritonModelException as TritonModelException
from triton_python_backend_utils import (
    _InferenceResponseSender,
    _InferenceTrace,
    _MemoryType,
    _Metric,
    _MetricKind,
    _ResponseIterator,
)

InferenceResponseSender = _InferenceResponseSender
InferenceTrace = _InferenceTrace
MemoryType = _MemoryType
Metric = _Metric
MetricKind = _MetricKind
ResponseIterator = _ResponseIterator
