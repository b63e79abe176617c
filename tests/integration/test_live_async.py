"""Requests for coroutines."""

from __future__ import annotations

import asyncio
import threading
from contextlib import aclosing

import pytest

from tests.support.live import ECHO, define
from tests.support.waiting import until
from workbench.errors import ModelExecutionError
from workbench.targets.live import LiveTarget

COUNT = """\
def serve(request):
    sender = request.get_response_sender()
    for number in range(1000):
        if sender.is_cancelled():
            pb_utils.Logger.log_info(f"cancelled")
            break
        sender.send(reply(request, x * 0 + number))
        time.sleep(0.01)
    sender.send(flags=pb_utils.TRITONSERVER_RESPONSE_COMPLETE_FINAL)
for request in requests:
    threading.Thread(target=serve, args=(request,)).start()
"""


def test_many_requests_wait_at_once(live: LiveTarget) -> None:
    model = define(live, "time.sleep(0.01)\n" + ECHO, instances=2)

    async def work() -> list[float]:
        results = await asyncio.gather(*(model.ainfer(X=[number, 0]) for number in range(64)))
        return [float(each["Y"][0]) for each in results]

    assert asyncio.run(work()) == list(range(64))


def test_errors_arrive(live: LiveTarget) -> None:
    model = define(live, "raise ValueError('no')")

    async def work() -> None:
        with pytest.raises(ModelExecutionError, match="ValueError: no"):
            await model.ainfer({"X": [1, 1]})

    asyncio.run(work())


def test_a_cancelled_task_cancels_its_request(live: LiveTarget, printed: list[str]) -> None:
    model = define(
        live,
        "print('in')\nend = time.monotonic() + 30\n"
        "while not requests[0].is_cancelled() and time.monotonic() < end:\n"
        "    time.sleep(0.01)\n"
        "pb_utils.Logger.log_info(str(requests[0].is_cancelled()))\n" + ECHO,
    )

    async def work() -> None:
        task = asyncio.create_task(model.ainfer(X=[1, 1]))
        while not printed:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(work())
    until(lambda: [each.text for each in live.workbench.logs.records("m")] == ["True"])


def test_streams(live: LiveTarget) -> None:
    count = COUNT.replace("range(1000)", "range(20)")
    model = define(live, "import threading\n" + count, decoupled=True)

    async def work() -> list[float]:
        return [float(each["Y"][0]) async for each in model.astream(X=[1, 1])]

    assert asyncio.run(work()) == list(range(20))
    assert len(live.workbench.hosts["m"].recorder.requests) == 1


def test_a_stream_left_early_is_cancelled(live: LiveTarget) -> None:
    model = define(live, "import threading\n" + COUNT, decoupled=True)

    async def work() -> int:
        seen = 0
        async with aclosing(model.astream(X=[1, 1])) as stream:
            async for _ in stream:
                seen += 1
                if seen == 3:
                    break
        return seen

    assert asyncio.run(work()) == 3
    until(lambda: [each.text for each in live.workbench.logs.records("m")] == ["cancelled"])
    until(lambda: not [each for each in threading.enumerate() if each.name == "workbench-async"])
