// BenchView: a histogram of latencies with its quantiles, and the run before as an outline.

const WIDTH = 720;
const HEIGHT = 200;
const LEFT = 36;
const BOTTOM = 24;
const TOP = 16;

// Microseconds with three significant digits, in the unit that suits.
function time(us) {
  const [value, unit] = us >= 1e6 ? [us / 1e6, "s"] : us >= 1e3 ? [us / 1e3, "ms"] : [us, "µs"];
  return `${value >= 1000 ? Math.round(value) : Number(value.toPrecision(3))} ${unit}`;
}

class BenchChart {
  constructor(model, element) {
    this.model = model;
    this.compares = true;
    this.root = make("div", { class: "jp-TritonView jp-TritonBench" });
    element.append(this.root);
    this.draw();
  }

  draw() {
    const data = this.model.get("data");
    if (!data.runs) return;
    const [now, before] = data.runs;
    this.now = now;
    this.edges = data.edges_us;
    this.said = make("div", { class: "jp-TritonView-muted", role: "status", "aria-live": "polite" },
      "Arrow keys walk along the bars");
    const compare = before
      ? make("button", { "aria-pressed": String(this.compares), onclick: () => {
        this.compares = !this.compares;
        this.draw();
        this.root.querySelector("button").focus();
      } }, "Compare with the Run Before")
      : null;
    const shown = before && this.compares ? before : null;
    this.root.replaceChildren(...[
      make("div", { class: "jp-TritonView-bar" }, make("strong", {}, `Bench ${data.model}`), compare),
      make("div", { class: "jp-TritonView-muted" },
        `${now.count} requests answered, ${now.warmup} before them to warm up, ${now.concurrency} at a time`),
      this.chart(now, shown), this.legend(now, shown), this.table(now, shown), this.said,
    ].filter((each) => each !== null));
  }

  x(us) {
    const [first, last] = [this.edges[0], this.edges[this.edges.length - 1]];
    return LEFT + ((us - first) / (last - first)) * (WIDTH - LEFT - 8);
  }

  chart(now, before) {
    // Shares, not counts: two runs may differ in length.
    const share = (run) => run.counts.map((each) => each / run.count);
    const highest = Math.max(...share(now), ...(before ? share(before) : [])) || 1;
    const y = (value) => TOP + (1 - value / highest) * (HEIGHT - TOP - BOTTOM);
    const base = HEIGHT - BOTTOM;
    const bars = svg("g", { class: "jp-TritonBench-bars", role: "group", "aria-label": "Bars",
      onkeydown: (event) => this.key(event) },
    ...share(now).map((value, index) => {
      const [from, to] = [this.x(this.edges[index]), this.x(this.edges[index + 1])];
      const group = svg("g", { tabindex: index ? "-1" : "0", role: "img", "aria-label": this.say(index),
        onfocus: () => { this.said.textContent = this.say(index); },
        onmouseenter: () => { this.said.textContent = this.say(index); } });
      group.append(svg("rect", { x: from, y: y(value), width: Math.max(to - from - 1, 1), height: base - y(value) }));
      return group;
    }));
    const parts = [bars, svg("line", { class: "jp-TritonBench-axis", x1: LEFT, x2: WIDTH - 8, y1: base, y2: base })];
    if (before) {
      const points = share(before).flatMap((value, index) => [
        `${this.x(this.edges[index])},${y(value)}`, `${this.x(this.edges[index + 1])},${y(value)}`]);
      parts.push(svg("polyline", { class: "jp-TritonBench-before", points: points.join(" ") }));
    }
    const last = this.edges[this.edges.length - 1];
    Object.entries(now.marks_us).forEach(([name, us], index) => {
      if (us > last) return;
      parts.push(
        svg("line", { class: "jp-TritonBench-mark", x1: this.x(us), x2: this.x(us), y1: TOP, y2: base }),
        svg("text", { x: this.x(us) + 3, y: TOP + 2 + 12 * index }, name));
    });
    parts.push(
      svg("text", { x: LEFT, y: HEIGHT - 8 }, time(this.edges[0])),
      svg("text", { x: WIDTH - 8, y: HEIGHT - 8, "text-anchor": "end" }, `${time(last)} and more`),
      svg("text", { x: LEFT - 4, y: TOP + 4, "text-anchor": "end" }, `${Math.round(highest * 100)} %`));
    return svg("svg", { class: "jp-TritonBench-chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "group",
      "aria-label": `Latencies: half of the requests within ${time(now.marks_us.p50)}` }, ...parts);
  }

  say(index) {
    const more = index === this.now.counts.length - 1 ? " and more" : "";
    return `${this.now.counts[index]} of ${this.now.count} requests took ${time(this.edges[index])} to `
      + `${time(this.edges[index + 1])}${more}`;
  }

  key(event) {
    const bars = [...event.currentTarget.children];
    const here = bars.indexOf(document.activeElement);
    const steps = { ArrowRight: 1, ArrowLeft: -1, Home: -bars.length, End: bars.length };
    if (here < 0 || !(event.key in steps)) return;
    event.preventDefault();
    event.stopPropagation();
    const to = Math.min(Math.max(here + steps[event.key], 0), bars.length - 1);
    bars.forEach((each, index) => each.setAttribute("tabindex", index === to ? "0" : "-1"));
    bars[to].focus();
  }

  legend(now, before) {
    if (!before) return null;
    const key = (extra) => make("span", { class: `jp-TritonBench-key ${extra}`, "aria-hidden": "true" });
    return make("div", { class: "jp-TritonView-bar" },
      make("span", {}, key(""), `this run, ${now.src}`),
      make("span", {}, key("jp-mod-before"), `the run before, ${before.src}`));
  }

  table(now, before) {
    const figures = (run) => ({ ...run.marks_us, mean: run.mean_us, max: run.max_us });
    const [a, b] = [figures(now), before ? figures(before) : null];
    const change = (name) => `${a[name] >= b[name] ? "+" : "−"}${Math.abs((a[name] / b[name] - 1) * 100).toFixed(1)} %`;
    const row = (name, ...cells) => make("tr", {}, make("th", { scope: "row" }, name),
      ...cells.map((each) => make("td", { class: "jp-mod-number" }, each)));
    return make("table", {},
      make("thead", {}, make("tr", {}, ...["", "this run", ...(b ? ["before", "change"] : [])]
        .map((each) => make("th", { scope: "col" }, each)))),
      make("tbody", {},
        ...Object.keys(a).map((name) => row(name, time(a[name]), ...(b ? [time(b[name]), change(name)] : []))),
        row("requests/s", String(Number(now.rate.toPrecision(4))),
          ...(b ? [String(Number(before.rate.toPrecision(4))), ""] : []))));
  }
}

export default {
  render({ model, el }) {
    const view = new BenchChart(model, el);
    const draw = () => view.draw();
    model.on("change:data", draw);
    return () => model.off("change:data", draw);
  },
};
