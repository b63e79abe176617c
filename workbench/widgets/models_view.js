// ModelsView: a table of models with their state, and buttons for what can be done with one.

const SIGNS = { READY: "✓", FAILED: "✗", LOADING: "…", UNAVAILABLE: "–" };
const ACTIONS = [
  { kind: "reload", label: "Reload", doing: "Reloading" },
  { kind: "replay", label: "Replay", doing: "Replaying" },
  { kind: "unload", label: "Unload", doing: "Unloading" },
];

class ModelsTable {
  constructor(model, element) {
    this.model = model;
    this.asked = null; // the model whose unloading waits for a second click
    this.root = make("div", { class: "jp-TritonView jp-TritonModels" });
    element.append(this.root);
    this.title = make("strong");
    this.body = make("tbody");
    this.more = make("div", { class: "jp-TritonView-muted" });
    this.message = make("pre", { class: "jp-TritonModels-message", role: "status", "aria-live": "polite" });
    this.problem = make("div", { class: "jp-TritonView-problem", role: "alert" });
    const head = ["Model", "State", "Target", "Source", "Device", "Instances", "Requests", "Signature", "Actions"];
    this.root.append(
      make("div", { class: "jp-TritonView-bar" }, this.title),
      make("div", { class: "jp-TritonModels-scroll" },
        make("table", { "aria-label": "Models" },
          make("thead", {}, make("tr", {}, ...head.map((each) => make("th", { scope: "col" }, each)))),
          this.body)),
      this.more, this.message, this.problem,
    );
    this.draw();
  }

  draw() {
    const { models, more, ready, busy, message } = this.model.get("data");
    if (!models) return;
    const focused = this.body.contains(document.activeElement) ? document.activeElement.dataset.action : null;
    const count = models.length + more;
    this.title.textContent = count ? `Models: ${ready} of ${count} ready` : "Models: none";
    this.more.textContent = more ? `${more} more, as %triton models tells` : "";
    this.body.replaceChildren(...models.map((each) => this.row(each, busy[each.name])));
    // The row was made anew; whoever works with the keyboard stays where they were.
    if (focused) this.body.querySelector(`[data-action="${CSS.escape(focused)}"]`)?.focus();
    if (this.message.textContent !== message) this.message.textContent = message;
    this.problem.textContent = this.model.get("problem");
  }

  row(each, doing) {
    const cell = (...children) => make("td", {}, ...children);
    const failed = each.state === "FAILED";
    const state = failed ? "failed" : each.state === "READY" ? "ready" : "other";
    const { success, failure } = each.requests;
    const detail = make("td", {}, each.signature);
    if (each.error) detail.append(this.error(each.error));
    return make("tr", {},
      make("th", { scope: "row" }, each.name),
      make("td", { class: `jp-TritonModels-state jp-mod-${state}` }, `${SIGNS[each.state] || ""} ${each.state}`),
      cell(each.target), cell(each.src || "-"), cell(each.device), cell(each.is_mock ? "-" : String(each.instances)),
      cell(failure ? `${success}, ${failure} failed` : String(success)), detail,
      make("td", { class: "jp-TritonModels-actions" }, ...this.actions(each, doing)));
  }

  error(error) {
    const node = make("div", { class: "jp-TritonModels-error" }, `✗ ${error.ename}: ${error.evalue.split("\n")[0]}`);
    if (error.line !== null) {
      node.append(" ", make("button", { onclick: () => goToLine(this.model, error.line) },
        `Go to ${error.cell || "model.py"} Line ${error.line}`));
    }
    return node;
  }

  actions(each, doing) {
    const wanted = each.is_mock ? ACTIONS.slice(2) : ACTIONS;
    return wanted.map(({ kind, label, doing: name }) => {
      const again = kind === "unload" && this.asked === each.name;
      return make("button", {
        "data-action": `${kind} ${each.name}`,
        "aria-label": again ? `Really unload ${each.name}` : `${label} ${each.name}`,
        "aria-disabled": doing ? "true" : null,
        onclick: () => { if (!doing) this.act(kind, each.name); },
      }, doing === kind ? `${name}…` : again ? "Really Unload" : label);
    });
  }

  act(kind, name) {
    if (kind === "unload" && this.asked !== name) {
      this.asked = name;
    } else {
      this.asked = null;
      this.model.send({ kind, model: name });
    }
    this.draw();
  }
}

export default {
  render({ model, el }) {
    const view = new ModelsTable(model, el);
    const draw = () => view.draw();
    model.on("change:data", draw);
    model.on("change:problem", draw);
    const end = followShown(model, el);
    return () => {
      model.off("change:data", draw);
      model.off("change:problem", draw);
      end();
    };
  },
};
