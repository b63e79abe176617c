"""What every view has: module and style from files, a fallback as text and HTML, updates while shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from workbench.widgets.updater import MOST_HZ, Updater

__all__ = ["View", "module", "style"]

_FOLDER = Path(__file__).parent


def module(name: str) -> str:
    """The JavaScript of a view: the shared helpers, then ``name.js``, as one module without imports."""
    return (_FOLDER / "common.js").read_text() + (_FOLDER / f"{name}.js").read_text()


def style(name: str) -> str:
    """The style of a view: the shared one, then ``name.css``."""
    return (_FOLDER / "theme.css").read_text() + (_FOLDER / f"{name}.css").read_text()


class View(anywidget.AnyWidget):  # type: ignore[misc]
    """A view on a result object.

    Args:
        bundle: The result's own mimebundle: what is shown where widgets are not.
        data: What the module draws.
        poll: Called in a thread while a view is shown, at most `hz` times a second; gives new data, or None
            if nothing changed.
        hz: At most 4.
    """

    data = traitlets.Dict().tag(sync=True)
    problem = traitlets.Unicode().tag(sync=True)  # why the view is not updated any more

    def __init__(
        self,
        bundle: Mapping[str, str],
        data: Mapping[str, Any],
        poll: Callable[[], Mapping[str, Any] | None] | None = None,
        hz: float = MOST_HZ,
        **traits: Any,
    ) -> None:
        super().__init__(data=dict(data), **traits)
        self._bundle = dict(bundle)
        self._poll = poll
        self._updater = Updater(self._update, hz) if poll is not None else None
        self.on_msg(self._on_message)

    @property
    def updating(self) -> bool:
        """Whether it is being updated now: it is on a screen, and there is something to follow."""
        return self._updater is not None and self._updater.running

    def act(self, kind: str, content: Mapping[str, Any]) -> None:
        """A message of the front end other than "shown" and "hidden"; views with controls override it."""

    def close(self) -> None:
        """Stop updating and remove the view."""
        if self._updater is not None:
            self._updater.close()
        super().close()

    def _on_message(self, _: Any, content: Any, __: Any) -> None:
        kind = content.get("kind") if isinstance(content, dict) else None
        view = str(content.get("view", "")) if kind else ""
        if kind == "shown":
            if self._updater is not None:
                self._updater.shown(view)
        elif kind == "hidden":
            if self._updater is not None:
                self._updater.hidden(view)
        elif kind is not None:
            self.act(kind, content)

    def _update(self) -> None:
        assert self._poll is not None
        try:
            data = self._poll()
        except Exception as error:
            self.problem = f"not updated any more: {error}"
            raise
        if data is not None:
            self.data = dict(data)

    def _repr_mimebundle_(self, **options: Any) -> Any:
        shown = super()._repr_mimebundle_(**options)
        if shown is None:
            return dict(self._bundle)
        data, metadata = shown if isinstance(shown, tuple) else (shown, {})
        return {**data, **self._bundle}, metadata
