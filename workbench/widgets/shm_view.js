// ShmView: blocks of a shared-memory region in order of address, the region's history, and what changed between
// two marks.

const SERIES = { control: 6, queue: 6, request: 1, tensor: 2, string: 3, response: 4, message: 5, unknown: 6 };
const AGES = [
  { below: 1, name: "under 1 s", series: 3 },
  { below: 10, name: "under 10 s", series: 1 },
  { below: 60, name: "under 1 min", series: 2 },
  { below: Infinity, name: "older", series: 5 },
];
const FIXED = new Set(["control", "queue"]);

const colour = (series) => `--wb-block: var(--jp-triton-series-${series})`;
const identity = (block) => [block.offset, block.size, block.origin, block.request].join(":");

function ageClass(block) {
  return block.age_s === null ? null : AGES.find((each) => block.age_s < each.below);
}

function seriesOf(block, byAge) {
  if (!byAge) return SERIES[block.kind] || 6;
  const age = ageClass(block);
  return age ? age.series : 6;
}

// Wide enough to be hit, and wider the larger it is; true proportions are in the bar above the map.
function widthOf(size) {
  return Math.round(6 + 6 * Math.max(Math.log2(size / 32), 1));
}

function describe(block, cell) {
  const parts = [`${bytes(block.size)} ${block.kind}`];
  if (block.label) parts.push(block.label);
  if (block.origin) parts.push(block.origin === "response" ? "of an answer" : `of a ${block.origin}`);
  if (block.request !== null) parts.push(`request ${block.request}`);
  if (block.line !== null) parts.push(`${cell} line ${block.line}`);
  if (block.age_s !== null) parts.push(`${seconds(block.age_s)} old`);
  if (block.held) parts.push("held by a result here");
  return parts.join(", ");
}

// Makes these the children, in this order, without moving those that are in place.
function place(parent, wanted) {
  const stay = new Set(wanted);
  for (const child of [...parent.children]) if (!stay.has(child)) child.remove();
  wanted.forEach((node, index) => {
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] || null);
  });
}

class ShmMap {
  constructor(model, element) {
    this.model = model;
    this.nodes = new Map();
    this.paused = null;
    this.byAge = false;
    this.selected = null;
    this.marks = [];
    this.root = make("div", { class: "jp-TritonView jp-TritonShm" });
    element.append(this.root);
    this.title = make("strong");
    this.pauseButton = make("button", { "aria-pressed": "false", onclick: () => this.pause() }, "Pause");
    this.ageButton = make("button", { "aria-pressed": "false", onclick: () => this.toggleAge() }, "Colour by age");
    this.markButton = make("button", { onclick: () => this.mark() }, "Mark");
    this.clearButton = make("button", { onclick: () => this.clear() }, "Clear Marks");
    this.figures = make("div", { class: "jp-TritonView-muted" });
    this.bar = make("div", { class: "jp-TritonShm-bar", role: "img" });
    this.history = svg("svg", {
      class: "jp-TritonShm-history", viewBox: "0 0 600 60", preserveAspectRatio: "none", role: "img",
    });
    this.map = make("div", {
      class: "jp-TritonShm-map", role: "toolbar", "aria-label": "Blocks in order of address",
      onkeydown: (event) => this.key(event),
    });
    this.legend = make("div", { class: "jp-TritonShm-legend" });
    this.detail = make("div", { class: "jp-TritonShm-detail", role: "status", "aria-live": "polite" });
    this.difference = make("div", { class: "jp-TritonShm-difference" });
    this.hint = make("div", { class: "jp-TritonView-muted" });
    this.problem = make("div", { class: "jp-TritonView-problem", role: "alert" });
    this.root.append(
      make("div", { class: "jp-TritonView-bar" },
        this.title, this.pauseButton, this.ageButton, this.markButton, this.clearButton),
      this.figures, this.bar, this.history, this.map, this.legend, this.detail, this.difference, this.hint,
      this.problem,
    );
    this.draw();
  }

  get data() {
    return this.paused || this.model.get("data");
  }

  pause() {
    this.paused = this.paused ? null : this.model.get("data");
    this.pauseButton.setAttribute("aria-pressed", String(this.paused !== null));
    this.draw();
  }

  toggleAge() {
    this.byAge = !this.byAge;
    this.ageButton.setAttribute("aria-pressed", String(this.byAge));
    this.draw();
  }

  // The first mark is what later ones are compared with; a third one takes the second's place.
  mark() {
    const report = this.data.report;
    if (this.marks.length > 1) this.marks.pop();
    this.marks.push(report);
    this.draw();
  }

  clear() {
    this.marks = [];
    this.draw();
  }

  select(block) {
    this.selected = this.selected === identity(block) ? null : identity(block);
    this.draw();
  }

  key(event) {
    const blocks = [...this.map.querySelectorAll("button")];
    const here = blocks.indexOf(document.activeElement);
    const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -blocks.length, End: blocks.length };
    if (here < 0 || !(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation();
    const to = Math.min(Math.max(here + steps[event.key], 0), blocks.length - 1);
    blocks.forEach((each, index) => each.setAttribute("tabindex", index === to ? "0" : "-1"));
    blocks[to].focus();
  }

  draw() {
    const { report, cell, live } = this.data;
    if (!report) return;
    this.title.textContent = `Shm ${report.model || report.region}`;
    this.pauseButton.hidden = !live;
    this.markButton.textContent = this.marks.length ? "Mark Again" : "Mark";
    this.clearButton.disabled = this.marks.length === 0;
    this.figures.textContent = [
      `capacity ${bytes(report.capacity)}`,
      report.growths ? `grew ${report.growths}x` : null,
      `in use ${bytes(report.in_use)}`,
      `peak ${bytes(report.peak)}`,
      `largest free ${bytes(report.largest_free)}`,
      `queued ${report.queues.reduce((sum, each) => sum + each.depth, 0)}`,
      this.paused ? "paused" : null,
    ].filter(Boolean).join(", ");
    this.hint.textContent = report.hint ? `hint: ${report.hint}` : "";
    this.problem.textContent = this.model.get("problem") || "";
    this.drawBar(report);
    this.drawHistory();
    this.drawMap(report, cell);
    this.drawLegend(report);
    this.drawDetail(report, cell);
    this.drawDifference(report, cell);
  }

  drawBar(report) {
    const parts = report.kinds.map(({ kind, bytes: size }) => make("span", {
      style: `width: ${(100 * size) / report.capacity}%; ${colour(SERIES[kind] || 6)}`,
      title: `${kind} ${bytes(size)}`,
    }));
    this.bar.replaceChildren(...parts);
    this.bar.setAttribute("aria-label", `${bytes(report.in_use)} of ${bytes(report.capacity)} in use`);
  }

  drawHistory() {
    const points = this.data.history;
    const top = Math.max(...points.map((each) => each[1]), 1);
    const [start, end] = [points[0][0], points[points.length - 1][0]];
    const line = (column) => points.map((each) => {
      const x = end > start ? (600 * (each[0] - start)) / (end - start) : 0;
      return `${x.toFixed(1)},${(58 - (56 * each[column]) / top).toFixed(1)}`;
    }).join(" ");
    this.history.hidden = points.length < 2;
    this.history.replaceChildren(
      svg("polyline", { points: line(1), style: "stroke: var(--wb-muted); stroke-dasharray: 4 3" }),
      svg("polyline", { points: line(2), style: "stroke: var(--jp-triton-series-2)" }),
    );
    this.history.setAttribute("aria-label",
      `Capacity (dashed) and bytes in use over the last ${Math.round(end - start)} seconds`);
  }

  drawMap(report, cell) {
    const blocks = [...report.blocks].sort((a, b) => a.offset - b.offset);
    const known = this.marks.length ? new Set(this.marks[0].blocks.map(identity)) : null;
    const wanted = [];
    let before = null;
    const free = (size) => { if (size > 0) wanted.push(this.free(`free:${before}`, size)); };
    for (const block of blocks) {
      if (before !== null && !report.truncated) free(block.offset - before);
      before = block.offset + block.size;
      const id = identity(block);
      const kept = Boolean(block.origin) && !block.held && report.verdict !== "busy"
        && !["control", "stub"].includes(block.origin);
      const node = this.node(id, "button");
      node.className = `jp-TritonShm-block${kept ? " jp-mod-kept" : ""}`
        + (known && !known.has(id) ? " jp-mod-new" : "");
      node.style.cssText = `width: ${widthOf(block.size)}px; ${colour(seriesOf(block, this.byAge))}`;
      node.title = describe(block, cell);
      node.setAttribute("aria-label", describe(block, cell) + (kept ? ", kept" : ""));
      node.setAttribute("aria-pressed", String(this.selected === id));
      node.dataset.block = id;
      node.textContent = block.kind[0].toUpperCase();
      node.onclick = () => this.select(block);
      wanted.push(node);
    }
    if (before !== null) free(report.capacity - before);
    place(this.map, wanted);
    this.nodes = new Map([...this.nodes].filter(([, node]) => node.parentNode === this.map));
    const buttons = wanted.filter((each) => each.tagName === "BUTTON");
    const reachable = buttons.find((each) => each === document.activeElement)
      || buttons.find((each) => each.dataset.block === this.selected) || buttons[0];
    buttons.forEach((each) => each.setAttribute("tabindex", each === reachable ? "0" : "-1"));
  }

  // The element of a block stays the same while the block does: a click must not lose it half-way.
  node(id, tag) {
    if (!this.nodes.has(id)) this.nodes.set(id, make(tag));
    return this.nodes.get(id);
  }

  free(id, size) {
    const node = this.node(id, "span");
    node.className = "jp-TritonShm-free";
    node.style.width = `${widthOf(size) * 2}px`;
    node.title = `${bytes(size)} free`;
    node.textContent = bytes(size);
    return node;
  }

  drawLegend(report) {
    const entries = this.byAge
      ? AGES.map((each) => [each.name, each.series])
      : report.kinds.map(({ kind, bytes: size, blocks }) =>
        [`${kind[0].toUpperCase()} ${kind} ${bytes(size)} in ${blocks}`, SERIES[kind] || 6]);
    this.legend.replaceChildren(...entries.map(([text, series]) =>
      make("span", {}, make("span", { class: "jp-TritonShm-swatch", style: colour(series) }), text)));
  }

  drawDetail(report, cell) {
    const block = report.blocks.find((each) => identity(each) === this.selected);
    if (!block) {
      this.detail.textContent = this.selected ? "The block is gone." : "";
      return;
    }
    this.detail.replaceChildren(describe(block, cell));
    if (block.line !== null) {
      this.detail.append(" ", make("button", { onclick: () => goToLine(this.model, block.line) },
        `Go to ${cell === "cell" ? "Cell" : cell} Line ${block.line}`));
    }
  }

  drawDifference(report, cell) {
    if (!this.marks.length) {
      this.difference.replaceChildren();
      return;
    }
    const [from, to] = [this.marks[0], this.marks[1] || report];
    const known = new Set(from.blocks.map(identity));
    const now = new Set(to.blocks.map(identity));
    const came = to.blocks.filter((each) => !known.has(identity(each)) && !FIXED.has(each.kind));
    const gone = from.blocks.filter((each) => !now.has(identity(each))).length;
    const size = came.reduce((sum, each) => sum + each.size, 0);
    this.difference.replaceChildren(
      make("div", {}, `Since the mark${this.marks[1] ? " (to the second)" : ""}: ${came.length} blocks came, `
        + `${bytes(size)}; ${gone} went; in use ${to.in_use >= from.in_use ? "+" : "-"}`
        + bytes(Math.abs(to.in_use - from.in_use))),
      make("ul", {}, ...came.slice(0, 8).map((each) => make("li", {}, describe(each, cell)))),
    );
  }
}

export default {
  render({ model, el }) {
    const view = new ShmMap(model, el);
    const draw = () => { if (!view.paused) view.draw(); };
    model.on("change:data", draw);
    model.on("change:problem", () => view.draw());
    const end = followShown(model, el);
    return () => {
      model.off("change:data", draw);
      end();
    };
  },
};
