"""All rules over one model.

====  ==================================================================================
W100  the source is no Python, or has no class TritonPythonModel
W101  a class of pb_utils is looked up while the model is imported
W201  no execute
W202  execute returns something that is no list, or a list of something that is no response
W203  execute returns None and nobody answers
W204  a decoupled model that never answers, or never sends the final flag
W205  execute of a decoupled model returns a value
W301  an array of NumPy's str type as a tensor
W401  a name that the model does not define
W402  a debugger that was left in
W403  another model is unloaded while this one loads
W501  a feature that the release does not have yet
====  ==================================================================================

A rule speaks only where the source leaves no doubt: what a variable holds is not guessed.
"""

from __future__ import annotations

from collections.abc import Iterator

from workbench.lint.breakpoints import left_breakpoints
from workbench.lint.control import unload_while_loading
from workbench.lint.execute import execute_rules, string_arrays
from workbench.lint.import_time import grafted_at_import
from workbench.lint.names import undefined_names
from workbench.lint.releases import check_release, newer_features
from workbench.lint.report import Finding, LintReport
from workbench.lint.source import ModelTree
from workbench.model_config import ModelConfig
from workbench.model_source import ModelSource

__all__ = ["lint"]


def lint(name: str, source: ModelSource, config: ModelConfig | None, release: str) -> LintReport:
    """Judge a model's source.

    Args:
        name: The model's name.
        source: Its text; findings are at its lines.
        config: Its configuration: whether it is decoupled, and datatypes. None: neither is known.
        release: Release of Triton that it is to run on, ``24.10``.

    Raises:
        WorkbenchUsageError: the release is none.
    """
    return LintReport(name, list(_findings(source, config, check_release(release))), release)


def _findings(source: ModelSource, config: ModelConfig | None, release: str) -> Iterator[Finding]:
    try:
        model = ModelTree(source.text)
    except (SyntaxError, ValueError) as error:
        line = getattr(error, "lineno", None) or 1
        yield Finding(line, "W100", f"{type(error).__name__}: {getattr(error, 'msg', None) or error}")
        return
    if model.model_class is None and "TritonPythonModel" not in source.text:
        yield Finding(1, "W100", "there is no class TritonPythonModel", "a server looks for that name")
    yield from grafted_at_import(model)
    yield from execute_rules(model, config)
    yield from string_arrays(model)
    yield from undefined_names(model)
    yield from left_breakpoints(model)
    yield from unload_while_loading(model)
    yield from newer_features(model, config, release)
