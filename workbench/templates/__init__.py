"""Models to begin with: the cells of a notebook, for `workbench new`."""

from __future__ import annotations

import json
import re
from importlib import resources

from workbench.capture.notebook import Cell
from workbench.config_checks import check_model_name

__all__ = ["TEMPLATES", "notebook_text", "template_cells"]

#: By name, with what each shows.
TEMPLATES = {
    "basic": "two inputs, two outputs",
    "bls": "a model that calls another",
    "decoupled": "many responses to one request",
    "gpu": "tensors that stay on the GPU",
}


def template_cells(template: str, name: str) -> list[Cell]:
    """The cells of a template for a model of this name.

    Raises:
        KeyError: there is no such template.
        ModelConfigError: the name is not fit for a model.
    """
    check_model_name(name)
    TEMPLATES[template]
    text = resources.files(__name__).joinpath(f"{template}.txt").read_text(encoding="utf-8")
    parts = re.split(r"^# %%\n", text.replace("{{name}}", name), flags=re.MULTILINE)
    return [Cell(number, part.rstrip("\n")) for number, part in enumerate(parts[1:], 1)]


def notebook_text(cells: list[Cell]) -> str:
    """A notebook of these cells, not run yet: the text of an .ipynb file."""
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "execution_count": None,
                "id": f"cell-{cell.number}",
                "metadata": {},
                "outputs": [],
                "source": cell.text.splitlines(keepends=True),
            }
            for cell in cells
        ],
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1) + "\n"
