"""What axe-core finds wrong with a part of a page, text hard to read, and controls that cannot be got at."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from playwright.sync_api import Locator

from tests.support.lab_page import LabPage

#: The last one is that which the next test finds.
THEMES = ("JupyterLab Dark", "JupyterLab Dark High Contrast", "JupyterLab Light")
_AXE = Path(__file__).resolve().parents[2] / "labextension" / "node_modules" / "axe-core" / "axe.min.js"
_CONTROLS = "button, input, select, summary, [role=treegrid], [role=listbox], [role=log]"
# Each control, scrolled to: its left and right ends must be what is found at their places on the screen.
_CLIPPED = """(node, controls) => [...node.querySelectorAll(controls)]
  .filter(each => each.checkVisibility({ visibilityProperty: true }))
  .filter(each => {
    each.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    const { left, right, top, height } = each.getBoundingClientRect();
    return ![left + 2, right - 2].every(x => {
      const found = document.elementFromPoint(x, top + Math.min(height / 2, 8));
      return found && (each.contains(found) || found.contains(each) && found.matches('label'));
    });
  })
  .map(each => each.outerHTML.slice(0, 200))"""


def violations(where: Locator) -> list[dict[str, Any]]:
    """What is serious or worse in the parts of the page that `where` finds."""
    page = where.page
    if not page.evaluate("() => 'axe' in window"):
        assert _AXE.is_file(), "axe-core is not installed; python labextension/build.py tools does that"
        page.evaluate(_AXE.read_text())
    found = where.evaluate_all("nodes => axe.run(nodes, { resultTypes: ['violations'] })")
    return [
        {"id": each["id"], "nodes": [node["html"][:300] for node in each["nodes"]]}
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


def clipped(where: Locator) -> list[str]:
    """Controls within `where` of which an end is out of sight, scrolling granted."""
    return list(where.evaluate(_CLIPPED, _CONTROLS))


def contrast(one: str, other: str) -> float:
    """The ratio that WCAG asks to be 4.5 or more."""

    def luminance(colour: str) -> float:
        parts = [float(each) / 255 for each in re.findall(r"[\d.]+", colour)[:3]]
        linear = [each / 12.92 if each <= 0.03928 else ((each + 0.055) / 1.055) ** 2.4 for each in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def check_themes(lab: LabPage, name: str, view: Locator, look: Callable[[], object] = lambda: None) -> None:
    """Text stands out from what is behind it, in every theme, and nothing is hidden from some people.

    Args:
        name: Of the pictures.
        look: What else to do in each theme.
    """
    for theme in THEMES:
        lab.theme(theme)
        text = view.evaluate("each => [getComputedStyle(each).color, getComputedStyle(each).backgroundColor]")
        assert contrast(*text) >= 4.5, (theme, text)
        assert violations(view) == [], theme
        look()
        lab.screenshot(f"{name}-{theme.split(' ', 1)[1].lower().replace(' ', '-')}", view)
