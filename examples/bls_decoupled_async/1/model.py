"""Asks decoupled_square about every element of IN at the same time, and adds up each one's responses."""

import asyncio

import numpy as np
import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    async def execute(self, requests):
        return await asyncio.gather(*(self.add_up_all(request) for request in requests))

    async def add_up_all(self, request):
        numbers = pb_utils.get_input_tensor_by_name(request, "IN").as_numpy()
        try:
            totals = await asyncio.gather(*(self.add_up(number) for number in numbers))
        except pb_utils.TritonModelException as error:
            return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error)))
        return pb_utils.InferenceResponse([pb_utils.Tensor("SUM", np.array(totals, dtype=np.int32))])

    async def add_up(self, number):
        call = pb_utils.InferenceRequest(
            model_name="decoupled_square",
            requested_output_names=["OUT"],
            inputs=[pb_utils.Tensor("IN", np.array([number], dtype=np.int32))],
        )
        responses = await call.async_exec(decoupled=True)
        # Only the first response was awaited. Waiting for the others here would block the event loop.
        return await asyncio.to_thread(self.total, responses)

    def total(self, responses):
        total = 0
        for response in responses:
            if response.has_error():
                raise pb_utils.TritonModelException(response.error().message())
            tensor = pb_utils.get_output_tensor_by_name(response, "OUT")
            if tensor is not None:
                total += int(tensor.as_numpy()[0])
        return total
