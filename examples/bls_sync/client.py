"""Ask bls_sync to ask other models; print PASS if the answers, and an error, arrive.

Needs bls_sync and add_sub loaded; pytorch is asked too if it is.
"""

import argparse

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException


def ask(client, name, arrays):
    inputs = [triton.InferInput("MODEL_NAME", [1], "BYTES")]
    inputs[0].set_data_from_numpy(np.array([name], dtype=object))
    for i, array in enumerate(arrays):
        tensor = triton.InferInput(f"INPUT{i}", list(array.shape), "FP32")
        tensor.set_data_from_numpy(array)
        inputs.append(tensor)
    result = client.infer("bls_sync", inputs)
    return result.as_numpy("OUTPUT0"), result.as_numpy("OUTPUT1")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="localhost:8000", help="HTTP address of the server")
    url = parser.parse_args().url

    a, b = (np.random.rand(4).astype(np.float32) for _ in range(2))
    with triton.InferenceServerClient(url) as client:
        for name in ["add_sub"] + ["pytorch"] * client.is_model_ready("pytorch"):
            total, difference = ask(client, name, [a, b])
            np.testing.assert_allclose(total, a + b, rtol=1e-6)
            np.testing.assert_allclose(difference, a - b, rtol=1e-6)
            print(f"{name}: right")
        try:
            ask(client, "no_such_model", [a, b])
        except InferenceServerException as error:
            assert "no_such_model" in str(error), error
            print("no_such_model: refused")
        else:
            raise AssertionError("a model that does not exist has answered")
    print("PASS")


if __name__ == "__main__":
    main()
