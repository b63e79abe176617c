"""Stream responses from decoupled_repeat; print PASS if they come complete and in order."""

import argparse
import queue

import numpy as np
import tritonclient.grpc as triton

VALUES = [4, 2, 0, 1]
DELAYS_MS = [1, 20, 1, 5]
WAIT_MS = 10


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="localhost:8001", help="gRPC address of the server")
    url = parser.parse_args().url

    answers = queue.Queue()
    with triton.InferenceServerClient(url) as client:
        client.start_stream(callback=lambda result, error: answers.put((result, error)))
        inputs = []
        for name, values, datatype in (
            ("IN", np.array(VALUES, np.int32), "INT32"),
            ("DELAY", np.array(DELAYS_MS, np.uint32), "UINT32"),
            ("WAIT", np.array([WAIT_MS], np.uint32), "UINT32"),
        ):
            tensor = triton.InferInput(name, list(values.shape), datatype)
            tensor.set_data_from_numpy(values)
            inputs.append(tensor)
        client.async_stream_infer("decoupled_repeat", inputs, enable_empty_final_response=True)

        received = []
        final = False
        while not final:
            result, error = answers.get(timeout=60)
            if error is not None:
                raise error
            response = result.get_response()
            final = response.parameters["triton_final_response"].bool_param
            if response.outputs:
                received.append((int(result.as_numpy("IDX")[0]), int(result.as_numpy("OUT")[0])))
        client.stop_stream()

    assert received == list(enumerate(VALUES)), received
    print("PASS")


if __name__ == "__main__":
    main()
