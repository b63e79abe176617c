"""Have plain images classified by the ensemble; print PASS if their colours are named.

Needs image_pipeline loaded, which brings preprocess and classify with it.
"""

import argparse

import numpy as np
import tritonclient.http as triton
from tritonclient.utils import InferenceServerException

COLOURS = {"red": (200, 30, 20), "green": (10, 180, 60), "blue": (0, 0, 90)}


def classify(client, image):
    tensor = triton.InferInput("IMAGE", list(image.shape), "UINT8")
    tensor.set_data_from_numpy(image)
    result = client.infer("image_pipeline", [tensor])
    return result.as_numpy("LABEL")[0].decode("utf-8"), result.as_numpy("SCORES")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="localhost:8000", help="HTTP address of the server")
    url = parser.parse_args().url

    with triton.InferenceServerClient(url) as client:
        for colour, rgb in COLOURS.items():
            image = np.full((48, 100, 3), rgb, dtype=np.uint8)
            label, scores = classify(client, image)
            assert label == colour, (label, colour)
            np.testing.assert_allclose(scores.sum(), 1, rtol=1e-5)
        try:
            classify(client, np.zeros((0, 5, 3), dtype=np.uint8))
        except InferenceServerException as error:
            assert "the image is empty" in str(error), error
        else:
            raise AssertionError("an empty image was classified")
    print("PASS")


if __name__ == "__main__":
    main()
