"""Look at the configuration that auto_complete_nobatch gave itself, and use it; print PASS if it is right."""

import argparse

import numpy as np
import tritonclient.http as triton

MODEL = "auto_complete_nobatch"
SHAPE = [4]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="localhost:8000", help="HTTP address of the server")
    url = parser.parse_args().url

    arrays = [np.random.rand(*SHAPE).astype(np.float32) for _ in range(2)]
    inputs = [triton.InferInput(f"INPUT{i}", SHAPE, "FP32") for i in range(2)]
    for tensor, array in zip(inputs, arrays, strict=True):
        tensor.set_data_from_numpy(array)

    with triton.InferenceServerClient(url) as client:
        config = client.get_model_config(MODEL)
        result = client.infer(MODEL, inputs)

    assert config["max_batch_size"] == 0, config
    assert ("dynamic_batching" in config) is False, config
    for section, names in (("input", ["INPUT0", "INPUT1"]), ("output", ["OUTPUT0", "OUTPUT1"])):
        found = [(each["name"], each["data_type"], each["dims"]) for each in config[section]]
        assert found == [(name, "TYPE_FP32", [4]) for name in names], found
    np.testing.assert_allclose(result.as_numpy("OUTPUT0"), arrays[0] + arrays[1], rtol=1e-6)
    np.testing.assert_allclose(result.as_numpy("OUTPUT1"), arrays[0] - arrays[1], rtol=1e-6)
    print("PASS")


if __name__ == "__main__":
    main()
