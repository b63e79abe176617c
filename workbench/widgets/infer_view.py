"""InferView: what came back, tensor by tensor: figures, a histogram, an image where it may be one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import preview
from workbench.widgets.base import View, module, style

if TYPE_CHECKING:
    from workbench.messages import InferResult, Tensor

__all__ = ["InferView", "infer_data", "show"]

_TENSORS = 40
_BINS = 32
_IMAGES = 4  # of one tensor
_PIXELS = 96  # along the longer side
_IMAGE_BYTES = 72_000  # of all images together
_SMALLEST = 8  # pixels along a side; smaller arrays are read better as numbers
_SAMPLE = 1_000_000  # values of a larger tensor that the histogram is made of


class InferView(View):
    """Stands still: an answer does not change."""

    _esm = module("infer_view")
    _css = style("infer_view")

    def __init__(self, result: InferResult) -> None:
        super().__init__(result._repr_mimebundle_(), infer_data(result))


def infer_data(result: InferResult) -> dict[str, Any]:
    """Figures and previews of every tensor, within what a page can take: of more there is a number."""
    rows: list[dict[str, Any]] = []
    room = _IMAGE_BYTES
    total = 0
    for number, response in enumerate(result.responses):
        if response.error is not None:
            rows.append({"response": number, "error": response.error[1]})
            total += 1
            continue
        for tensor in response.values():
            total += 1
            if len(rows) >= _TENSORS:
                continue
            row = _tensor(tensor, room)
            room -= sum(len(each["pixels"]) for each in row["images"])
            rows.append({"response": number, "error": None, **row})
    return {
        "model": result.model,
        "responses": len(result.responses),
        "tensors": rows,
        "more": total - len(rows),
    }


def _tensor(tensor: Tensor, room: int) -> dict[str, Any]:
    array = tensor.numpy()
    row: dict[str, Any] = {
        "name": tensor.name,
        "type": tensor.type_text,
        "device": tensor.device,
        "bytes": None if array.dtype == np.object_ else array.nbytes,
        "values": preview.format_values(array),
        "figures": None,
        "histogram": None,
        "images": [],
        "image_count": 0,
    }
    if array.dtype == np.object_ or array.size == 0:
        return row
    numbers = array.astype(np.float64) if array.dtype.kind in "bf" else array
    finite = numbers[np.isfinite(numbers)] if array.dtype.kind == "f" else numbers
    if finite.size:
        row["figures"] = {
            "min": _text(finite.min()),
            "max": _text(finite.max()),
            "mean": _text(finite.mean(dtype=np.float64)),
            "not_finite": int(numbers.size - finite.size),
        }
        row["histogram"] = _histogram(finite.reshape(-1))
    pictures = _pictures(array)
    row["image_count"] = len(pictures)
    for picture in pictures[:_IMAGES]:
        image = _image(picture)
        room -= len(image["pixels"])
        if room < 0:
            break
        row["images"].append(image)
    return row


def _text(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, (float, np.floating)) else str(value)


def _histogram(values: np.ndarray) -> dict[str, Any] | None:
    if values.size < 2:
        return None
    step = max(1, values.size // _SAMPLE)
    counts, edges = np.histogram(values[::step].astype(np.float64), _BINS)
    return {"low": _text(edges[0]), "high": _text(edges[-1]), "counts": [int(each) for each in counts]}


def _pictures(array: np.ndarray) -> list[np.ndarray]:
    """Parts of an array that may be images: (height, width) or with 1, 3 or 4 channels before or after."""
    if array.ndim < 2 or array.dtype.kind not in "uifb":
        return []
    channels = (1, 3, 4)
    if array.ndim >= 3 and array.shape[-1] in channels and min(array.shape[-3:-1]) >= _SMALLEST:
        return list(array.reshape(-1, *array.shape[-3:]))
    if min(array.shape[-2:]) < _SMALLEST:
        return []
    if array.ndim >= 3 and array.shape[-3] in channels:
        return list(np.moveaxis(array.reshape(-1, *array.shape[-3:]), 1, -1))
    return list(array.reshape(-1, *array.shape[-2:], 1))


def _image(picture: np.ndarray) -> dict[str, Any]:
    """An image as bytes, four to a pixel; every n-th pixel of a large one. Values are spread over the range
    that they have, but bytes are taken as they are.
    """
    step = -(-max(picture.shape[:2]) // _PIXELS)
    small = picture[::step, ::step]
    if small.dtype != np.uint8:
        spread = np.nan_to_num(small.astype(np.float64), posinf=0.0, neginf=0.0)
        low, high = float(spread.min()), float(spread.max())
        small = ((spread - low) * (255.0 / (high - low) if high > low else 0.0)).astype(np.uint8)
    height, width, channels = small.shape
    pixels = np.full((height, width, 4), 255, np.uint8)
    pixels[..., : max(channels, 3)] = small
    return {"width": width, "height": height, "step": step, "pixels": pixels.tobytes()}


def show(result: InferResult) -> None:
    """Display what came back."""
    from IPython.display import display

    display(InferView(result))
