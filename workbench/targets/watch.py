"""A model's file, or its folder, watched while the model lives: saved with another content it is loaded."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from contextvars import copy_context
from pathlib import Path

from watchfiles import watch

__all__ = ["SourceWatch", "content_hash"]

_DEBOUNCE_MS = 400  # the longest that changes one after the other are taken for one
_QUIET_MS = 50  # without another change: then it is over
_READ_WHOLE = 1 << 20  # bytes; of larger files size and time count
_SKIPPED_ENDS = (".pyc", "~", ".swp", ".tmp")


class SourceWatch:
    """Calls a function, in a thread of its own, when what it watches has changed.

    Editors write a file anew and move it into place, so its folder is watched; and they touch files without
    changing them, so the content is compared.
    """

    def __init__(self, path: Path, known: str, reload: Callable[[], None]) -> None:
        """Begin. The context of the caller is that of the calls: what they print goes there.

        Args:
            path: A file, or a folder, of which files at any depth count.
            known: `content_hash` of what was loaded.
            reload: Called after a change; it must not raise.
        """
        self.path = path.resolve()
        self._reload = reload
        self._context = copy_context()
        self._hash = known
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"workbench-watch-{path.name}", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, after the call that is under way. Afterwards there are no more calls."""
        self._stop.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _run(self) -> None:
        self._look()  # it may have been saved since the model was loaded
        for polling in (False, True):
            try:
                for _ in self._changes(polling):
                    self._look()
                return
            except OSError:  # no watch to be had of the system, or not on this file system
                continue

    def _changes(self, polling: bool) -> Iterator[object]:
        folder = self.path if self.path.is_dir() else self.path.parent
        return watch(
            folder,
            watch_filter=None,
            debounce=_DEBOUNCE_MS,
            step=_QUIET_MS,
            stop_event=self._stop,
            raise_interrupt=False,
            recursive=self.path.is_dir(),
            force_polling=polling or None,
        )

    def _look(self) -> None:
        found = content_hash(self.path)
        if not found or found == self._hash or self._stop.is_set():
            return
        self._hash = found
        self._context.run(self._reload)


def content_hash(path: Path) -> str:
    """Of a file's content, or of all that matters in a folder; "" if it is not there or empty, as between two
    steps of an editor.
    """
    digest = hashlib.sha256()
    try:
        if not path.is_dir():
            content = path.read_bytes()
            return hashlib.sha256(content).hexdigest() if content else ""
        for file in sorted(path.rglob("*")):
            inside = file.relative_to(path)
            hidden = any(part.startswith(".") or part == "__pycache__" for part in inside.parts)
            if hidden or file.name.endswith(_SKIPPED_ENDS) or not file.is_file():
                continue
            state = file.stat()
            digest.update(f"{inside}\0{state.st_size}\0".encode())
            if state.st_size <= _READ_WHOLE:
                digest.update(file.read_bytes())
            else:
                digest.update(str(state.st_mtime_ns).encode())
    except OSError:
        return ""
    return digest.hexdigest()
