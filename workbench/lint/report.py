"""Findings, and how they are shown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from workbench import preview
from workbench.errors import LintError

__all__ = ["Finding", "LintReport"]


@dataclass(frozen=True, order=True)
class Finding:
    """One thing at one line.

    Attributes:
        line: Line of the cell, 1 the first.
        code: ``W101`` and the like; see the table in `workbench.lint.check`.
        text: What is wrong.
        hint: What to write instead.
        file: The sibling file it is in, "" for the model's own.
    """

    line: int
    code: str
    text: str
    hint: str = ""
    file: str = ""

    @property
    def place(self) -> str:
        return f"{self.file} line {self.line}" if self.file else f"line {self.line}"


class LintReport(Sequence[Finding]):
    """Findings in order of line. True if there are none."""

    def __init__(self, model: str, findings: Sequence[Finding], release: str) -> None:
        self.model = model
        self.findings = tuple(sorted(findings, key=lambda each: (each.file, each.line, each.code)))
        self.release = release

    def __getitem__(self, index: Any) -> Any:
        return self.findings[index]

    def __len__(self) -> int:
        return len(self.findings)

    def __bool__(self) -> bool:
        return not self.findings

    def raise_if_any(self) -> None:
        """Raise LintError unless the model is portable."""
        if self.findings:
            raise LintError(self._head(), report=self, hint=self.findings[0].hint)

    def _head(self) -> str:
        count = len(self.findings)
        if not count:
            return f"Lint {self.model}: portable to {self.release}"
        return f"Lint {self.model}: {count} finding{'' if count == 1 else 's'} for {self.release}"

    def to_data(self) -> dict[str, Any]:
        """The findings, for JSON."""
        findings = [asdict(each) for each in self.findings]
        return {"model": self.model, "release": self.release, "findings": findings}

    def __repr__(self) -> str:
        lines = [self._head()]
        width = max((len(each.place) for each in self.findings), default=0)
        for each in self.findings:
            lines.append(f"  {each.code}  {each.place.ljust(width)}  {each.text}")
            if each.hint:
                lines.append(f"  {'':4}  {'':{width}}  hint: {each.hint}")
        return "\n".join(lines)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, str]:
        rows = [[each.code, each.place, each.text, each.hint] for each in self.findings]
        if not rows:
            return preview.mimebundle(repr(self))
        table = preview.html_table(rows, ["code", "place", "finding", "hint"], caption=self._head())
        return preview.mimebundle(repr(self), table)
