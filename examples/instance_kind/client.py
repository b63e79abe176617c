"""See where the instances of instance_kind run; print PASS if that fits the configuration."""

import argparse

import numpy as np
import tritonclient.http as triton


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="localhost:8000", help="HTTP address of the server")
    url = parser.parse_args().url

    array = np.random.rand(5).astype(np.float32)
    tensor = triton.InferInput("INPUT", [5], "FP32")
    tensor.set_data_from_numpy(array)
    with triton.InferenceServerClient(url, concurrency=4) as client:
        kind = client.get_model_config("instance_kind")["instance_group"][0]["kind"]
        results = [
            call.get_result() for call in [client.async_infer("instance_kind", [tensor]) for _ in range(8)]
        ]

    for result in results:
        device, instance = (result.as_numpy(name)[0].decode("utf-8") for name in ("DEVICE", "INSTANCE"))
        assert device.startswith("cuda:") if kind == "KIND_GPU" else device == "cpu", device
        assert instance.startswith("instance_kind"), instance
        np.testing.assert_allclose(result.as_numpy("OUTPUT"), array * 2, rtol=1e-6)
    print("PASS")


if __name__ == "__main__":
    main()
