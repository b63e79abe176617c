"""What axe-core finds wrong with a part of a page, and controls that cannot be got at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import Locator

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
