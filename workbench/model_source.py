"""Values a model is made of before it runs: its source text and its folder on disk."""

from __future__ import annotations

import ast
import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from workbench.errors import WorkbenchError

if TYPE_CHECKING:
    from workbench.model_config import ModelConfig

__all__ = ["ModelEntry", "ModelSource"]


@dataclass(frozen=True)
class ModelSource:
    """The text of a model.py, and the name its lines have for the user.

    Line N of ``text`` is line N of the cell it came from.
    """

    text: str
    label: str = "model.py"  # "Cell In[2]", or the file's name
    #: Files beside model.py, by name.
    siblings: tuple[tuple[str, ModelSource], ...] = ()

    @cached_property
    def src(self) -> str:
        """``src:`` and the first seven hex digits of the text's SHA-256; siblings count too, where there are
        any.
        """
        digest = hashlib.sha256(self.text.encode())
        for name, sibling in sorted(self.siblings):
            digest.update(f"\0{name}\0{sibling.text}".encode())
        return "src:" + digest.hexdigest()[:7]

    @cached_property
    def lines(self) -> tuple[str, ...]:
        return tuple(self.text.splitlines())

    @property
    def mentions_auto_complete(self) -> bool:
        return "auto_complete_config" in self.text

    @cached_property
    def _functions(self) -> list[tuple[int, int, str, str]]:
        """(first line, last line, name, qualified name), outer before inner."""
        found: list[tuple[int, int, str, str]] = []

        def walk(node: ast.AST, prefix: str) -> None:
            for child in ast.iter_child_nodes(node):
                name = prefix
                if isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
                    name = f"{prefix}.{child.name}" if prefix else child.name
                    if not isinstance(child, ast.ClassDef):
                        found.append((child.lineno, child.end_lineno or child.lineno, child.name, name))
                walk(child, name)

        try:
            walk(ast.parse(self.text), "")
        except SyntaxError:
            return []
        return found

    def qualified(self, line: int, function: str) -> str:
        """``TritonPythonModel.execute`` for a line inside it; the bare name where the source does not say."""
        inside = [row for row in self._functions if row[0] <= line <= row[1] and row[2] == function]
        return inside[-1][3] if inside else function

    def line_of(self, qualified: str) -> int:
        """Line of the ``def`` of a function, 0 if the source does not define it."""
        return next((row[0] for row in self._functions if row[3] == qualified), 0)


@dataclass(frozen=True)
class ModelEntry:
    """A model's folder: ``<path>/config.pbtxt`` and ``<path>/<version>/<filename>``."""

    name: str
    path: Path  # the model's directory; its parent plays the repository
    source: ModelSource
    config: ModelConfig
    version: int = 1
    owned: bool = True  # made by us, so removed with the revision
    backend_dir: Path | None = None  # of a Python-based backend, whose model.py serves the model
    patched: bool = False  # methods of this source, state of an earlier one

    def require_whole(self, refusal: type[WorkbenchError] = WorkbenchError) -> None:
        """Refuse a patched model: its processes hold what earlier sources made, and nobody knows whether its
        own loads as a whole.

        Args:
            refusal: The error to raise.

        Raises:
            WorkbenchError: it is patched.
        """
        if self.patched:
            raise refusal(
                f"{self.name} is patched: {self.source.src} was never loaded as a whole, so it stays here",
                hint=f'run its cell once without --patch, or wb.model("{self.name}").reload()',
            )

    @property
    def model_file(self) -> Path:
        return self.path / str(self.version) / self.config.filename

    @property
    def code_file(self) -> Path:
        """The file with the class: the model's own, or its backend's."""
        return self.model_file if self.backend_dir is None else self.backend_dir / "model.py"
