"""Ask jax_add_sub for a sum and a difference; print PASS if both are right."""

import argparse

import numpy as np
import tritonclient.http as triton

MODEL = "jax_add_sub"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="localhost:8000", help="HTTP address of the server")
    url = parser.parse_args().url

    arrays = [np.random.rand(4).astype(np.float32) for _ in range(2)]
    inputs = [triton.InferInput(f"INPUT{i}", [4], "FP32") for i in range(2)]
    for tensor, array in zip(inputs, arrays, strict=True):
        tensor.set_data_from_numpy(array)

    with triton.InferenceServerClient(url) as client:
        result = client.infer(MODEL, inputs)

    np.testing.assert_allclose(result.as_numpy("OUTPUT0"), arrays[0] + arrays[1], rtol=1e-6)
    np.testing.assert_allclose(result.as_numpy("OUTPUT1"), arrays[0] - arrays[1], rtol=1e-6)
    print("PASS")


if __name__ == "__main__":
    main()
