"""What a server would refuse in a model, or do otherwise, said from the source alone."""

from workbench.lint.check import lint
from workbench.lint.report import Finding, LintReport

__all__ = ["Finding", "LintReport", "lint"]
