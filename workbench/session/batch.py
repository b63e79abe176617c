"""Several requests in one ``execute``, put there by hand: what a scheduler would do if they came at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from workbench import preview
from workbench.errors import InferTimeout, WorkbenchUsageError
from workbench.messages import InferResult
from workbench.session.ensemble import EnsembleRevision
from workbench.session.revision import Retired, Revision
from workbench.session.ticket import Ticket

if TYPE_CHECKING:
    from workbench._host import Response, TensorTuple
    from workbench.session.model_host import ModelHost

__all__ = ["InferBatch", "infer_batch"]


class InferBatch(Sequence[InferResult]):
    """What the requests of one ``execute`` came back with, in their order."""

    def __init__(self, model: str, results: Sequence[InferResult], notes: Sequence[str] = ()) -> None:
        self.model = model
        self.results = tuple(results)
        self.notes = tuple(notes)

    def __getitem__(self, index: Any) -> Any:
        return self.results[index]

    def __len__(self) -> int:
        return len(self.results)

    def __iter__(self) -> Iterator[InferResult]:
        return iter(self.results)

    def _rows(self) -> list[list[str]]:
        rows = []
        for number, result in enumerate(self.results):
            many = len(result.responses) > 1
            for index, response in enumerate(result.responses):
                label = f"[{number}.{index}]" if many else f"[{number}]"
                for tensor in response.values():
                    values = preview.format_values(tensor.numpy())
                    rows.append([label, tensor.name, tensor.type_text, values])
            if not result.responses:
                rows.append([f"[{number}]", "(no response)"])
        return rows

    def to_data(self) -> dict[str, Any]:
        """Every result, for JSON."""
        results = [each.to_data() for each in self.results]
        return {"model": self.model, "results": results, "notes": list(self.notes)}

    def __repr__(self) -> str:
        count = len(self)
        head = f"InferBatch {self.model}: {count} request{'' if count == 1 else 's'} in one execute"
        return "\n".join([head, *preview.columns(self._rows()), *(f"  note: {each}" for each in self.notes)])

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        text = repr(self)
        table = preview.html_table(
            self._rows(), ["request", "tensor", "type", "values"], caption=text.split("\n", 1)[0]
        )
        return preview.mimebundle(text, "\n".join([table, *preview.html_notes(self.notes)]))


def infer_batch(
    host: ModelHost,
    requests: Sequence[Mapping[str, Any]],
    *,
    timeout: float | None = 30.0,
    request_id: str = "",
    parameters: Mapping[str, bool | int | str] | None = None,
    sequence: tuple[int | str, bool, bool] | None = None,
) -> InferBatch:
    """Send requests so that ``execute`` sees all of them in one list, whatever the scheduler would do.

    Args:
        host: The model.
        requests: Inputs of each request.
        timeout: Seconds to wait for all of it.
        request_id: The same for every request.
        parameters: The same for every request.
        sequence: Not possible here: requests of one sequence never share a batch.

    Raises:
        WorkbenchUsageError: the model is an ensemble, or handles sequences.
        InputError: inputs do not fit.
        ModelExecutionError: a request failed; the first that did is reported, with its place in the list.
        InferTimeout, StubCrashedError, ShmExhausted: as of a single request.
    """
    from workbench.session.request_runner import request_options

    while True:
        revision = host._serving()
        if isinstance(revision, EnsembleRevision) or revision.config.sequence_batching or sequence:
            kind = "an ensemble" if isinstance(revision, EnsembleRevision) else "for sequences"
            raise WorkbenchUsageError(
                f"{host.name} is {kind}: its requests never share an execute", hint="leave --batch out"
            )
        encoded = [revision.encoder.encode(each) for each in requests]
        more = request_options(parameters, None)
        tickets = [
            Ticket(revision, each, revision.output_names, request_id=request_id, **more) for each in encoded
        ]
        try:
            results = _run(host, revision, tickets, encoded, timeout)
        except Retired:
            continue
        return InferBatch(host.name, results, _notes(revision, encoded))


def _run(
    host: ModelHost,
    revision: Revision,
    tickets: Sequence[Ticket],
    encoded: Sequence[list[TensorTuple]],
    timeout: float | None,
) -> list[InferResult]:
    with revision.awaiting():
        instance = host.requests.execute_together(revision, tickets, timeout)
        results = []
        for number, (ticket, tuples) in enumerate(zip(tickets, encoded, strict=True), start=1):
            responses: list[Response] = []
            while True:
                try:
                    response = ticket.request.next_response(timeout)
                except TimeoutError:
                    raise InferTimeout(
                        f"{host.name} did not answer request {number} of {len(tickets)} in time",
                        hint="every request of the list needs its response, or a final flag",
                    ) from None
                if response is None:
                    break
                if response.error is not None:
                    raise host.requests.error(revision, tuples, response, responses, (number, len(tickets)))
                responses.append(response)
                if not revision.decoupled:
                    break
            results.append(host.requests.result(revision, responses, ticket.request_id))
        if revision.decoupled:
            instance.catch_up()
    return results


def _notes(revision: Revision, encoded: Sequence[list[TensorTuple]]) -> list[str]:
    """What a server would need, to do the same."""
    config, total = revision.config, sum(revision.encoder.batch_size(each) for each in encoded)
    if len(encoded) < 2:
        return []
    if config.dynamic_batching is None or config.max_batch_size < 2:
        return ["a server puts requests together only with dynamic_batching and max_batch_size of 2 or more"]
    if total > config.max_batch_size:
        return [f"a server would not: {total} is more than max_batch_size {config.max_batch_size}"]
    return []
