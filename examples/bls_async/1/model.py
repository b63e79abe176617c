"""Asks two models at the same time: the sum comes from one, the difference from the other."""

import asyncio

import triton_python_backend_utils as pb_utils


class TritonPythonModel:
    async def execute(self, requests):
        # Not only the two models of one request: the requests of the batch run at the same time as well.
        return await asyncio.gather(*(self.ask_both(request) for request in requests))

    async def ask_both(self, request):
        inputs = [pb_utils.get_input_tensor_by_name(request, name) for name in ("INPUT0", "INPUT1")]
        calls = [
            pb_utils.InferenceRequest(model_name=model, requested_output_names=[output], inputs=inputs)
            for model, output in (("add_sub", "OUTPUT0"), ("jax_add_sub", "OUTPUT1"))
        ]
        answers = await asyncio.gather(*(call.async_exec() for call in calls))
        for answer in answers:
            if answer.has_error():
                return pb_utils.InferenceResponse(error=answer.error())
        return pb_utils.InferenceResponse([answer.output_tensors()[0] for answer in answers])
