"""Send strings, some of them odd; print PASS if they come back unchanged."""

import argparse

import numpy as np
import tritonclient.http as triton

STRINGS = [
    b"plain",
    "na\u00efve \u65e5\u672c\u8a9e".encode(),
    b"",
    b"\x00\xff not UTF-8 \x00",
    b"x" * 100_000,
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="localhost:8000", help="HTTP address of the server")
    url = parser.parse_args().url

    array = np.array(STRINGS, dtype=object).reshape(1, -1)
    tensor = triton.InferInput("INPUT", list(array.shape), "BYTES")
    tensor.set_data_from_numpy(array)
    with triton.InferenceServerClient(url) as client:
        answer = client.infer("identity_string", [tensor]).as_numpy("OUTPUT")

    assert answer.shape == array.shape, answer.shape
    assert answer.tolist() == array.tolist()
    print("PASS")


if __name__ == "__main__":
    main()
