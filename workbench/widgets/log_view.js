// LogView: lines of models by level and text, following the newest.

const RANKS = { verbose: 0, output: 1, info: 1, warning: 2, error: 3 };
const LEVELS = ["verbose", "info", "warning", "error"];

class LogLines {
  constructor(model, element) {
    this.model = model;
    this.follows = true;
    this.colours = new Map(); // model: series
    this.drawn = new Map(); // number: node
    this.root = make("div", { class: "jp-TritonView jp-TritonLog" });
    element.append(this.root);
    this.title = make("strong");
    const redraw = () => this.draw(true);
    this.level = make("select", { onchange: redraw },
      ...LEVELS.map((each) => make("option", { value: each }, each)));
    this.level.value = model.get("data").level || "info";
    this.search = make("input", { type: "search", "aria-label": "Only lines with", placeholder: "Only lines with",
      oninput: redraw });
    this.followButton = make("button", { "aria-pressed": "true", onclick: () => this.follow(!this.follows) }, "Follow");
    this.copyButton = make("button", { onclick: () => this.copy() }, "Copy");
    this.said = make("span", { class: "jp-TritonView-muted", role: "status", "aria-live": "polite" });
    this.lines = make("div", { class: "jp-TritonLog-lines", role: "log", tabindex: "0", "aria-label": "Lines",
      "aria-live": "off", onscroll: () => this.scrolled() });
    this.problem = make("div", { class: "jp-TritonView-problem", role: "alert" });
    this.root.append(
      make("div", { class: "jp-TritonView-bar" },
        this.title, make("label", {}, "Level", this.level), this.search, this.followButton, this.copyButton, this.said),
      this.lines, this.problem);
    this.draw(true);
  }

  get shown() {
    const { lines } = this.model.get("data");
    const least = RANKS[this.level.value];
    const text = this.search.value.toLowerCase();
    return (lines || []).filter((each) => RANKS[each.level] >= least
      && (!text || each.text.toLowerCase().includes(text) || each.model.toLowerCase().includes(text)));
  }

  draw(anew) {
    const { model, earlier } = this.model.get("data");
    this.title.textContent = model ? `Logs ${model}` : "Logs";
    const shown = this.shown;
    if (anew) this.drawn.clear();
    const wanted = shown.map((each) => this.drawn.get(each.seq) || this.line(each));
    this.drawn = new Map(shown.map((each, index) => [each.seq, wanted[index]]));
    const before = earlier ? make("div", { class: "jp-TritonView-muted" }, `${earlier} earlier lines are not here`) : null;
    const none = wanted.length ? null : make("div", { class: "jp-TritonView-muted" }, "No lines yet");
    this.lines.replaceChildren(...[before, ...wanted, none].filter((each) => each !== null));
    if (this.follows) this.lines.scrollTop = this.lines.scrollHeight;
    this.problem.textContent = this.model.get("problem");
  }

  line(each) {
    if (!this.colours.has(each.model)) this.colours.set(each.model, (this.colours.size % 6) + 1);
    const level = each.level === "output" ? "" : ` ${each.level.toUpperCase()}`;
    const node = make("div", { class: `jp-TritonLog-line jp-mod-${each.level}` },
      make("span", { class: "jp-TritonLog-model",
        style: `--wb-series: var(--jp-triton-series-${this.colours.get(each.model)})` }, `[${each.model}]`),
      make("span", { class: "jp-TritonLog-level" }, level), ` ${each.text} `);
    if (each.line !== null) {
      node.append(make("button", { onclick: () => goToLine(this.model, each.line) }, `Line ${each.line}`));
    }
    return node;
  }

  follow(on) {
    this.follows = on;
    this.followButton.setAttribute("aria-pressed", String(on));
    if (on) this.lines.scrollTop = this.lines.scrollHeight;
  }

  // Whoever scrolls up wants to read; at the end it goes on.
  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.lines;
    const atEnd = scrollHeight - scrollTop - clientHeight < 4;
    if (atEnd !== this.follows) {
      this.follows = atEnd;
      this.followButton.setAttribute("aria-pressed", String(atEnd));
    }
  }

  async copy() {
    const shown = this.shown;
    const text = shown.map((each) => `[${each.model}] ${each.level.toUpperCase()} ${each.text}`).join("\n");
    try {
      await navigator.clipboard.writeText(text);
      this.said.textContent = `${shown.length} lines copied`;
    } catch {
      getSelection().selectAllChildren(this.lines);
      this.said.textContent = "selected; copy with the keyboard";
    }
  }
}

export default {
  render({ model, el }) {
    const view = new LogLines(model, el);
    const draw = () => view.draw(false);
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
