"""Ask for the squares of some numbers at once; print PASS if they are right.

Needs bls_decoupled_async and decoupled_square loaded.
"""

import argparse

import numpy as np
import tritonclient.http as triton

NUMBERS = np.array([4, 2, 0, 1], dtype=np.int32)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="localhost:8000", help="HTTP address of the server")
    url = parser.parse_args().url

    tensor = triton.InferInput("IN", list(NUMBERS.shape), "INT32")
    tensor.set_data_from_numpy(NUMBERS)
    with triton.InferenceServerClient(url) as client:
        totals = client.infer("bls_decoupled_async", [tensor]).as_numpy("SUM")

    np.testing.assert_array_equal(totals, NUMBERS**2)
    print("PASS")


if __name__ == "__main__":
    main()
