"""The extension as a part of the page: commands, launcher, themes, accessibility, what it costs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.lab_page import LabPage
from tests.support.triton_panel import TritonPanel, model_cell

ROOT = Path(__file__).resolve().parents[2]
AXE = ROOT / "labextension" / "node_modules" / "axe-core" / "axe.min.js"
SCRIPTING_LIMIT_MS = 50
THEMES = ("JupyterLab Light", "JupyterLab Dark", "JupyterLab Dark High Contrast")

# Messages as a kernel sends them, of many models and of a long trace, ready to be given to the panel's store.
_PREPARE = """({ models, spans, updates }) => {
  const model = (index, success) => ({
    name: `model_${String(index).padStart(3, '0')}`, state: 'READY', target: 'live', src: 'src:1234567',
    device: 'cpu', instances: 1, is_mock: false, decoupled: false, signature: 'in: X FP32[-1]', error: null,
    cell: null, cell_text_hash: null, failed_src: null, requests: { success, failure: 0 }, reload_ms: null,
    region: null });
  const span = (id, start) => ({
    id, model: `model_${id % 100}`, kind: 'bls', how: 'exec', decoupled: false, start_ns: start,
    duration_ns: 1000, line: 4, cell: 'Cell In[2]', error: null, responses: 1, inputs: [], outputs: [],
    children: [], critical: false });
  const trace = round => {
    const root = { ...span(0, 0), duration_ns: spans * 100 + 1000 };
    for (let id = 1; id < spans; id++) root.children.push(span(id, id * 100));
    return { id: round, model: "m", ok: true, error: null, wall_ns: root.duration_ns, calls: spans, root };
  };
  window.updates = Array.from({ length: updates }, (_, round) => [
    { v: 1, kind: 'models', seq: 2 * round, body: {
      models: Array.from({ length: models }, (_, index) => model(index, round)) } },
    { v: 1, kind: 'trace', seq: 2 * round + 1, body: { traces: [trace(round)] } } ]);
  const panel = [...jupyterapp.shell.widgets('left')].find(each => each.id === 'triton-workbench-panel');
  window.tritonStore = panel.context.follower.current.store;
}"""
_APPLY = """async message => {
  window.tritonStore.apply(window.updates[message >> 1][message & 1]);
  const frame = () => new Promise(resolve => requestAnimationFrame(() => setTimeout(resolve)));
  await frame();
  await frame();
}"""


@pytest.fixture
def panel(lab: LabPage) -> TritonPanel:
    return TritonPanel(lab)


def violations(lab: LabPage, where: str) -> list[dict[str, Any]]:
    """What axe-core finds serious or worse in a part of the page."""
    if not lab.page.evaluate("() => 'axe' in window"):
        lab.page.evaluate(AXE.read_text())
    found = lab.page.evaluate("where => axe.run(where, { resultTypes: ['violations'] })", where)
    return [
        {"id": each["id"], "nodes": [node["html"][:300] for node in each["nodes"]]}
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


def test_panel_has_no_serious_fault_in_any_theme(lab: LabPage, panel: TritonPanel) -> None:
    lab.open_cells(
        "%load_ext workbench",
        model_cell("double", "y = x * 2"),
        model_cell("broken", "y = x").replace("class Tri", "import nowhere\nclass Tri"),
        "%triton infer double X=[1,2]",
    )
    panel.show()
    for cell in range(4):
        lab.run(cell)
    panel.wait_for_state("broken", "failed")
    for name in ("Models", "Trace", "Shm", "Servers", "Logs"):
        panel.section(name)
    for theme in THEMES:
        lab.theme(theme)
        assert violations(lab, "#triton-workbench-panel") == [], theme
        assert violations(lab, ".jp-TritonStatus") == [], theme
        lab.screenshot("lab-" + theme.removeprefix("JupyterLab ").lower().replace(" ", "-"))


def test_every_command_is_described_and_in_the_palette(lab: LabPage, panel: TritonPanel) -> None:
    lab.open_cells("value = 1")
    panel.show()
    described = lab.page.evaluate(
        """async () => {
          const { commands } = window.jupyterapp;
          const ids = commands.listCommands().filter(id => id.startsWith('triton-workbench:'));
          return Promise.all(ids.map(async id => ({
            id, label: commands.label(id), caption: commands.caption(id), isEnabled: commands.isEnabled(id),
            args: (await commands.describedBy(id)).args })));
        }"""
    )
    by_id = {each["id"].removeprefix("triton-workbench:"): each for each in described}
    assert {"reload", "replay", "replay-error", "trace-last", "show-shm", "lint", "go-to-failing-line"} < set(
        by_id
    )
    assert {"debug", "parity", "push", "rollback", "export", "verify", "connect", "stop-all"} < set(by_id)
    for name, each in by_id.items():
        assert each["label"] and each["caption"] and each["args"]["type"] == "object", name
    # Without the extension in the kernel a command is off, and says why.
    assert not by_id["reload"]["isEnabled"]
    assert by_id["reload"]["caption"] == "Load the extension in the kernel first"


def test_nothing_is_fetched_from_elsewhere(lab: LabPage, panel: TritonPanel) -> None:
    addresses: list[str] = []
    lab.page.on("request", lambda request: addresses.append(request.url))
    lab.open_cells("value = 1")
    panel.show()

    ours = [each for each in addresses if "triton-workbench" in each]
    assert any("/lab/extensions/triton-workbench/static/" in each for each in ours)
    assert all(each.startswith((lab.server.url, "data:", "blob:")) for each in addresses)


def test_new_model_notebook_runs_from_the_top(lab: LabPage, panel: TritonPanel) -> None:
    lab.open_cells("value = 1")
    panel.show()
    lab.command("triton-workbench:new-notebook")
    lab.wait(
        lambda: str(lab.page.evaluate("() => jupyterapp.shell.currentWidget?.context?.path")).startswith(
            "Untitled"
        ),
        "the new notebook",
    )
    lab.wait_for_kernel()
    for outputs in lab.run_all():
        assert all(each["output_type"] != "error" for each in outputs), outputs
    panel.wait_for_state("add_sub", "ready")
    assert (lab.server.notebooks / "repo" / "add_sub" / "config.pbtxt").is_file()


def test_update_of_a_large_workbench_costs_little(lab: LabPage, panel: TritonPanel) -> None:
    """100 models and a trace of 10,000 spans; the processor's time, so a busy machine does not count."""
    lab.open_cells("value = 1")
    panel.show()
    panel.section("Models")
    panel.section("Trace")
    updates = 12
    lab.page.evaluate(_PREPARE, {"models": 100, "spans": 10_000, "updates": updates})
    devtools = lab.page.context.new_cdp_session(lab.page)
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def scripting() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return 1000 * float(next(each["value"] for each in metrics if each["name"] == "ScriptDuration"))

    costs = []
    for message in range(2 * updates):
        before = scripting()
        lab.page.evaluate(_APPLY, message)
        costs.append(scripting() - before)

    assert panel.row("model_099").is_visible() or panel.row("model_099").count() == 1
    drawn = panel.node.locator(".jp-TritonTrace-row").count()
    assert 0 < drawn < 200  # of 10,000
    costs = sorted(costs[4:])  # the first compile the code
    figures = {"median_ms": costs[len(costs) // 2], "largest_ms": costs[-1], "updates": len(costs)}
    artifacts = ROOT / "build" / "artifacts"
    artifacts.mkdir(parents=True, exist_ok=True)
    (artifacts / "lab-update.json").write_text(json.dumps(figures))
    assert figures["median_ms"] < SCRIPTING_LIMIT_MS, figures
