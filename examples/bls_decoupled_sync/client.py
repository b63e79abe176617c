"""Ask for the squares of some numbers; print PASS if they are right.

Needs bls_decoupled_sync and decoupled_square loaded.
"""

import argparse

import numpy as np
import tritonclient.http as triton


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="localhost:8000", help="HTTP address of the server")
    url = parser.parse_args().url

    with triton.InferenceServerClient(url) as client:
        for number in (4, 2, 0, 1):
            tensor = triton.InferInput("IN", [1], "INT32")
            tensor.set_data_from_numpy(np.array([number], dtype=np.int32))
            total = client.infer("bls_decoupled_sync", [tensor]).as_numpy("SUM")
            assert total.tolist() == [number * number], (number, total)
    print("PASS")


if __name__ == "__main__":
    main()
