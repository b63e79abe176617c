"""Ask for the squares of some numbers in one stream; print PASS if the responses add up to them."""

import argparse
import queue

import numpy as np
import tritonclient.grpc as triton

NUMBERS = [4, 2, 0, 1]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="localhost:8001", help="gRPC address of the server")
    url = parser.parse_args().url

    answers = queue.Queue()
    with triton.InferenceServerClient(url) as client:
        client.start_stream(callback=lambda result, error: answers.put((result, error)))
        for number in NUMBERS:
            tensor = triton.InferInput("IN", [1], "INT32")
            tensor.set_data_from_numpy(np.array([number], dtype=np.int32))
            client.async_stream_infer(
                "decoupled_square", [tensor], request_id=str(number), enable_empty_final_response=True
            )

        sums = dict.fromkeys(NUMBERS, 0)
        open_requests = len(NUMBERS)
        while open_requests:
            result, error = answers.get(timeout=60)
            if error is not None:
                raise error
            response = result.get_response()
            if response.outputs:
                sums[int(response.id)] += int(result.as_numpy("OUT")[0])
            open_requests -= response.parameters["triton_final_response"].bool_param
        client.stop_stream()

    assert sums == {number: number * number for number in NUMBERS}, sums
    print("PASS")


if __name__ == "__main__":
    main()
