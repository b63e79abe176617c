"""A gate in a model's ``execute``: it stands there until the test lets it go on."""

from __future__ import annotations

from pathlib import Path

from tests.support.waiting import until


class Gate:
    """Two files: the model makes one when it has come to the gate, the test the other to open it.

    Attributes:
        wait: The statement that waits, for a source that has imported `os` and `time`.
    """

    def __init__(self, folder: Path) -> None:
        self._reached, self._opened = folder / "reached", folder / "opened"
        self.wait = (
            f"while not (open({str(self._reached)!r}, 'w').close() or os.path.exists({str(self._opened)!r})):"
            " time.sleep(0.005)"
        )

    def wait_for_model(self) -> None:
        """Until the model stands at the gate."""
        until(self._reached.exists, "the model to come to the gate")

    def open(self) -> None:
        self._opened.touch()
