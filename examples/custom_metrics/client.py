"""Send some tensors and read the model's own metrics; print PASS if they count what was sent."""

import argparse
import re
import urllib.request

import numpy as np
import tritonclient.http as triton

SERIES = re.compile(r'^example_elements_total\{model="custom_metrics",version="1"\} (\S+)$', re.MULTILINE)


def counted(url):
    with urllib.request.urlopen(f"http://{url}/metrics", timeout=10) as page:
        text = page.read().decode("utf-8")
    found = SERIES.search(text)
    assert found, f"no such metric at {url}"
    return float(found[1])


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="localhost:8000", help="HTTP address of the server")
    parser.add_argument("--metrics-url", default="localhost:8002", help="address of the metrics endpoint")
    args = parser.parse_args()

    before = counted(args.metrics_url)
    with triton.InferenceServerClient(args.url) as client:
        for size in range(1, 11):
            array = np.random.rand(size).astype(np.float32)
            tensor = triton.InferInput("INPUT", [size], "FP32")
            tensor.set_data_from_numpy(array)
            mean = client.infer("custom_metrics", [tensor]).as_numpy("MEAN")
            np.testing.assert_allclose(mean, [array.mean()], rtol=1e-6)

    assert counted(args.metrics_url) - before == sum(range(1, 11))
    print("PASS")


if __name__ == "__main__":
    main()
