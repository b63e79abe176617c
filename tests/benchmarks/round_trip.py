"""One request there and back: live, HTTP, gRPC, gRPC with system shared memory, and plain memcpy."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

import workbench as wb

from .support import MODELS, microseconds, percentile, sample, server, show

SIZES = (16, 64 << 10, 1 << 20, 16 << 20, 64 << 20)


def _effort(size: int) -> dict[str, float | int]:
    if size <= 64 << 10:
        return {"seconds": 2.0, "least": 500, "most": 5000}
    return {"seconds": 2.0, "least": 15, "most": 300}


def _measure(call: Callable[[], object], size: int) -> tuple[float, float]:
    samples = sample(call, **_effort(size))  # type: ignore[arg-type]
    return percentile(samples, 0.5), percentile(samples, 0.99)


def _live(array: np.ndarray) -> Callable[[], object]:
    model = wb.current().models["identity"]
    inputs = {"INPUT": array}
    return lambda: model.infer(inputs)["OUTPUT"].numpy()


def _client(module: str, client: object, array: np.ndarray) -> Callable[[], object]:
    import importlib

    api = importlib.import_module(f"tritonclient.{module}")

    def call() -> object:
        tensor = api.InferInput("INPUT", array.shape, "FP32")
        tensor.set_data_from_numpy(array)
        return client.infer("identity", [tensor]).as_numpy("OUTPUT")  # type: ignore[attr-defined]

    return call


class _SharedMemoryCall:
    """gRPC, both tensors in system shared memory; the input is copied in for each request."""

    def __init__(self, client: object, array: np.ndarray) -> None:
        import tritonclient.grpc as grpc
        import tritonclient.utils.shared_memory as shm

        self._shm, self._client, self._array = shm, client, array
        size = array.nbytes
        self._regions = [
            shm.create_shared_memory_region(name, f"/wb_bench_{name}", size) for name in ("in", "out")
        ]
        for name in ("in", "out"):
            client.register_system_shared_memory(name, f"/wb_bench_{name}", size)  # type: ignore[attr-defined]
        self._input = grpc.InferInput("INPUT", array.shape, "FP32")
        self._input.set_shared_memory("in", size)
        self._output = grpc.InferRequestedOutput("OUTPUT")
        self._output.set_shared_memory("out", size)

    def __call__(self) -> object:
        self._shm.set_shared_memory_region(self._regions[0], [self._array])
        self._client.infer("identity", [self._input], outputs=[self._output])  # type: ignore[attr-defined]
        return self._shm.get_contents_as_numpy(self._regions[1], np.float32, self._array.shape)

    def close(self) -> None:
        self._client.unregister_system_shared_memory()  # type: ignore[attr-defined]
        for region in self._regions:
            self._shm.destroy_shared_memory_region(region)


def main() -> None:
    """Print the table."""
    rows: list[list[str]] = []
    source = MODELS / "identity" / "1" / "model.py"
    wb.define("identity", source=source, inputs=["INPUT:FP32[-1]"], outputs=["OUTPUT:FP32[-1]"])
    with server("nvidia", ["identity"]) as process:
        http, grpc = process.http(), process.grpc()
        for size in SIZES:
            array = np.arange(size // 4, dtype=np.float32)
            target = np.empty_like(array)
            shared = _SharedMemoryCall(grpc, array)
            results = {
                "live": _measure(_live(array), size),
                "HTTP": _measure(_client("http", http, array), size),
                "gRPC": _measure(_client("grpc", grpc, array), size),
                "gRPC + shm": _measure(shared, size),
                "memcpy": _measure(partial(np.copyto, target, array), size),
            }
            shared.close()
            live = results["live"][0]
            for way, (p50, p99) in results.items():
                rows.append(
                    [
                        f"{size:,}" if way == "live" else "",
                        way,
                        microseconds(p50),
                        microseconds(p99),
                        f"{p50 / live:.2f}",
                    ]
                )
    wb.current().close()
    show(
        "Round trip of one FP32 tensor, there and back (identity; server 24.10 with NVIDIA's stub)",
        ["bytes", "way", "p50 µs", "p99 µs", "× live"],
        rows,
    )


if __name__ == "__main__":
    main()
