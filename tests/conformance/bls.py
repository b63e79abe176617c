"""Two models to call, and code that calls them from inside another."""

from __future__ import annotations

import textwrap
from typing import NamedTuple

from tests.conformance.lab import Lab
from tests.conformance.targets import Model


class Children(NamedTuple):
    """The same model twice: one answer for a request, and a stream of them."""

    plain: Model
    stream: Model


HELPERS = """
def tensor(value, dtype=np.int32, name='IN'):
    return pb_utils.Tensor(name, np.array(value, dtype=dtype))
def call(model, value=(1, 2), outputs=('OUT',), inputs=None, **options):
    return pb_utils.InferenceRequest(inputs=[tensor(value)] if inputs is None else inputs,
                                     requested_output_names=list(outputs), model_name=model, **options)
def out(response, name='OUT'):
    if response.has_error():
        return 'error: ' + response.error().message()
    found = pb_utils.get_output_tensor_by_name(response, name)
    return None if found is None else found.as_numpy().tolist()
def every(responses):
    return [out(r) for r in responses]
"""


def run(lab: Lab, children: Children, code: str) -> str:
    """What `code` leaves in ``result``; it finds the names of the children as C and D, and the helpers."""
    names = f"C, D = {children.plain.name!r}, {children.stream.name!r}\n"
    return lab.run(names + HELPERS + textwrap.dedent(code))


def value(lab: Lab, children: Children, expression: str) -> str:
    return run(lab, children, f"result = ({expression})")
