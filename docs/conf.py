"""The documentation site: Sphinx with MyST.

Sphinx, because half of the site is made out of the code (docstrings, parsers, wire layouts) and the tutorial
is the notebooks themselves, with their stored outputs. Nothing is fetched while building or reading.
"""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "Triton Workbench"
copyright = "The Triton Workbench authors"
release = version = version_of("triton-workbench")

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "generated"]
exclude_patterns = ["_build", "_ext"]
html_theme = "furo"
html_title = "Triton Workbench"

nb_execution_mode = "off"  # the stored outputs are tests of their own
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
suppress_warnings = ["mystnb.unknown_mime_type"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_mock_imports: list[str] = []
nitpicky = False
highlight_language = "none"
