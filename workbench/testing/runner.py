"""``workbench test``: notebooks as tests, by nbval; and ``--update``, which stores their outputs anew."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from configparser import RawConfigParser
from pathlib import Path
from typing import Any

from workbench.requirements import missing, requirements_of
from workbench.testing.environment import SANITIZE, notebooks_in, surroundings

__all__ = ["needed_sanitizing", "run_notebooks", "update_notebook"]

CELL_TIMEOUT_S = 600
_INI = Path(__file__).with_name("pytest.ini")


def run_notebooks(
    paths: Sequence[Path], *, lax: bool = False, skip_missing: bool = False, more: Sequence[str] = ()
) -> int:
    """Run notebooks under pytest in a process of its own.

    Args:
        paths: Notebooks and folders of notebooks.
        lax: Compare the outputs of marked cells only; errors count always.
        skip_missing: Skip cells whose ``%triton require`` is not met.
        more: Further arguments for pytest.

    Returns:
        pytest's exit status; 3 if the only failures are unmet requirements.
    """
    notebooks = notebooks_in([each.resolve() for each in paths])
    arguments = [
        "-c",
        str(_INI),
        f"--rootdir={Path.cwd()}",
        "-p",
        "no:cacheprovider",
        "-p",
        "workbench.testing.checks",
        "--nbval-lax" if lax else "--nbval",
        "--nbval-current-env",
        "--nbval-sanitize-with",
        str(SANITIZE),
        f"--nbval-cell-timeout={CELL_TIMEOUT_S}",
    ]
    if skip_missing:
        arguments.append("--skip-missing")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, *more, *map(str, notebooks)],
        env=surroundings(),
        check=False,
    )
    return done.returncode


def needed_sanitizing(notebook: Path) -> list[str]:
    """Names of the patterns that a notebook's stored outputs match; [] for one that repeats by itself."""
    import nbformat

    config = RawConfigParser()
    config.read_string(SANITIZE.read_text(encoding="utf-8"))
    patterns = {name: re.compile(config.get(name, "regex")) for name in config.sections()}
    found: set[str] = set()
    for cell in nbformat.read(notebook, as_version=4).cells:
        if "nbval-ignore-output" in cell.metadata.get("tags", ()):
            continue
        for text in _texts(cell.get("outputs", [])):
            found.update(name for name, pattern in patterns.items() if pattern.search(text))
    return sorted(name.removeprefix("regex:") for name in found)


def _texts(outputs: Sequence[Any]) -> list[str]:
    texts = []
    for each in outputs:
        texts += [each.get("text", ""), each.get("evalue", "")]
        texts += [value for value in each.get("data", {}).values() if isinstance(value, str)]
    return texts


def update_notebook(path: Path) -> str:
    """Run a notebook and store its outputs, if they changed.

    Returns:
        ``updated``, ``unchanged``, or why it was left alone.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell failed that is not meant to; the file is as before.
    """
    import nbformat
    from nbclient import NotebookClient

    before = path.read_text(encoding="utf-8")
    notebook = nbformat.reads(before, as_version=4)
    for cell in notebook.cells:
        reasons = missing(requirements_of(cell.source)) if cell.cell_type == "code" else []
        if reasons:
            return f"left alone: {'; '.join(reasons)}"
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_S,
        kernel_name="python3",
        record_timing=False,
        resources={"metadata": {"path": str(path.parent)}},
    )
    client.execute(env=surroundings())
    # What a kernel says of itself differs from machine to machine.
    notebook.metadata.pop("widgets", None)
    notebook.metadata["language_info"] = {"name": "python"}
    after = nbformat.writes(notebook) + "\n"
    if after == before:
        return "unchanged"
    path.write_text(after, encoding="utf-8")
    return "updated"
