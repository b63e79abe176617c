// TraceView: one row per span, the tree in its first columns and the timeline in its last. A treegrid: arrow
// keys move, left and right fold and unfold, Enter goes to the line.

const CALL_KINDS = ["request", "bls", "step"];

function duration(ns) {
  for (const [unit, size] of [["s", 1e9], ["ms", 1e6]]) {
    if (ns >= size) return `${ns >= 1000 * size ? Math.round(ns / size) : Number((ns / size).toPrecision(3))} ${unit}`;
  }
  return `${Number((ns / 1000).toPrecision(3))} µs`;
}

function shapeText(tensor) {
  return `${tensor.datatype}[${tensor.shape.join(",")}]`;
}

function howText(span) {
  if (span.kind === "bls") return `${span.how ?? "call"}${span.decoupled ? " (decoupled)" : ""}`;
  return span.kind === "request" ? "" : span.kind;
}

function summary(span) {
  if (!CALL_KINDS.includes(span.kind)) return "";
  const inputs = span.inputs.map(shapeText).join(", ") || "-";
  if (span.error !== null) return `${inputs} → error`;
  const many = span.responses > 1 ? ` ×${span.responses}` : "";
  return `${inputs} → ${span.outputs.map(shapeText).join(", ") || "-"}${many}`;
}

function flatten(root) {
  const rows = [];
  const add = (span, level, parent) => {
    const row = { span, level, parent, open: true, hit: true };
    rows.push(row);
    for (const child of span.children) add(child, level + 1, row);
  };
  add(root, 1, null);
  return rows;
}

function render({ model, el }) {
  const view = make("div", { class: "jp-TritonView jp-TritonTrace" });
  el.append(view);
  let rows = [];
  let current = null;
  let onlyCritical = false;

  const search = make("input", {
    type: "search",
    placeholder: "Search models, tensors, errors",
    "aria-label": "Search the trace",
    oninput: draw,
  });
  const critical = make(
    "button",
    {
      type: "button",
      "aria-pressed": "false",
      title: "Show only what the request's duration is made of",
      onclick: () => {
        onlyCritical = !onlyCritical;
        critical.setAttribute("aria-pressed", String(onlyCritical));
        draw();
      },
    },
    "Critical path",
  );
  const exporter = (format, label) =>
    make("button", { type: "button", onclick: () => model.send({ kind: "export", format }) }, label);
  const head = make("strong");
  const status = make("span", { class: "jp-TritonView-muted", role: "status" });
  const bar = make(
    "div",
    { class: "jp-TritonView-bar" },
    head,
    search,
    critical,
    exporter("event", "Export for Perfetto"),
    exporter("otlp", "Export as OTLP"),
    status,
  );
  const body = make("tbody");
  const grid = make(
    "table",
    { role: "treegrid", "aria-label": "Spans of the trace", onkeydown: onKey },
    make(
      "thead",
      {},
      make(
        "tr",
        { role: "row" },
        ...["Span", "How", "Duration", "Tensors", "Time"].map((text) => make("th", { role: "columnheader", scope: "col" }, text)),
      ),
    ),
    body,
  );
  const detail = make("section", { class: "jp-TritonTrace-detail", "aria-label": "Selected span", "aria-live": "polite" });
  view.append(bar, make("div", { class: "jp-TritonTrace-scroll" }, grid), detail);

  function visible() {
    return rows.filter((row) => {
      for (let up = row.parent; up; up = up.parent) if (!up.open) return false;
      return row.hit;
    });
  }

  function draw() {
    const wanted = search.value.trim().toLowerCase();
    const matches = (span) =>
      (!onlyCritical || span.critical) &&
      (wanted === "" ||
        [span.model, howText(span), span.error ?? "", ...[...span.inputs, ...span.outputs].map((each) => `${each.name} ${shapeText(each)}`)]
          .join(" ")
          .toLowerCase()
          .includes(wanted));
    for (const row of rows) row.hit = false;
    let found = 0;
    for (const row of rows) {
      if (!matches(row.span)) continue;
      found += 1;
      for (let up = row; up; up = up.parent) up.hit = true;
    }
    const shown = visible();
    if (!shown.includes(current)) current = shown[0] ?? null;
    body.replaceChildren(...shown.map(line));
    const more = model.get("data").more;
    status.textContent = [wanted || onlyCritical ? `${found} of ${rows.length} spans` : "", more ? `${more} more not shown` : ""]
      .filter(Boolean)
      .join(", ");
    drawDetail();
  }

  function line(row) {
    const { span } = row;
    const whole = Math.max(1, rows[0].span.duration_ns);
    const left = Math.min(99.5, Math.max(0, (100 * span.start_ns) / whole));
    const width = Math.min(100 - left, Math.max(0.5, (100 * span.duration_ns) / whole));
    const failed = span.error !== null;
    const isCall = CALL_KINDS.includes(span.kind);
    const folds = row.span.children.length > 0;
    const name = make(
      "td",
      { role: "gridcell", class: "jp-TritonTrace-name", style: `padding-left: ${(row.level - 1) * 16}px` },
      make("span", { "aria-hidden": "true", class: "jp-TritonTrace-fold", onclick: () => fold(row, !row.open) }, folds ? (row.open ? "▾" : "▸") : ""),
      failed ? make("span", { class: "jp-TritonTrace-mark" }, "✗ failed ") : null,
      isCall ? span.model : span.kind,
      span.critical ? make("span", { class: "jp-TritonTrace-critical", title: "on the critical path" }, " ◆") : null,
    );
    const track = make(
      "td",
      { role: "gridcell", class: "jp-TritonTrace-time" },
      make("div", {
        class: `jp-TritonTrace-bar jp-mod-${span.kind}${failed ? " jp-mod-failed" : ""}${span.critical ? " jp-mod-critical" : ""}`,
        style: `margin-left: ${left}%; width: ${width}%`,
        title: `${isCall ? span.model : span.kind}: ${duration(span.duration_ns)}, from ${duration(span.start_ns)}`,
      }),
    );
    return make(
      "tr",
      {
        role: "row",
        class: failed ? "jp-mod-failed" : "",
        tabindex: row === current ? "0" : "-1",
        "aria-level": String(row.level),
        "aria-selected": String(row === current),
        "aria-expanded": folds ? String(row.open) : null,
        "data-span": span.id,
        onclick: () => select(row),
      },
      name,
      make("td", { role: "gridcell" }, howText(span)),
      make("td", { role: "gridcell", class: "jp-mod-number" }, duration(span.duration_ns)),
      make("td", { role: "gridcell" }, summary(span)),
      track,
    );
  }

  function drawDetail() {
    if (!current) {
      detail.replaceChildren(make("p", { class: "jp-TritonView-muted" }, "Nothing matches."));
      return;
    }
    const { span } = current;
    const tensors = [...span.inputs.map((each) => ["input", each]), ...span.outputs.map((each) => ["output", each])];
    const where = span.line === null ? "" : `${span.cell ?? "model.py"}, line ${span.line}`;
    detail.replaceChildren(
      make(
        "p",
        {},
        make("strong", {}, CALL_KINDS.includes(span.kind) ? span.model : `${span.kind} of ${span.model}`),
        ` ${[howText(span), duration(span.duration_ns), span.responses > 1 ? `${span.responses} responses` : ""].filter(Boolean).join(", ")} `,
        where ? make("button", { type: "button", onclick: () => goToLine(model, span.line) }, `Go to ${where}`) : null,
      ),
      ...(span.error === null ? [] : [make("pre", { class: "jp-TritonView-problem" }, span.error)]),
      ...(tensors.length === 0
        ? []
        : [
            make(
              "table",
              {},
              make("tr", {}, ...["", "Tensor", "Type", "Size"].map((text) => make("th", { scope: "col" }, text))),
              ...tensors.map(([direction, each]) =>
                make("tr", {}, make("td", {}, direction), make("td", {}, each.name), make("td", {}, shapeText(each)), make("td", { class: "jp-mod-number" }, bytes(each.bytes))),
              ),
            ),
          ]),
    );
  }

  function select(row, focus = true) {
    current = row;
    for (const each of body.children) {
      const chosen = each.dataset.span === row.span.id;
      each.setAttribute("tabindex", chosen ? "0" : "-1");
      each.setAttribute("aria-selected", String(chosen));
      if (chosen && focus) each.focus();
    }
    drawDetail();
  }

  function fold(row, open) {
    row.open = open;
    draw();
    select(row);
  }

  function onKey(event) {
    if (!current || event.target.tagName !== "TR") return;
    const shown = visible();
    const at = shown.indexOf(current);
    const go = (index) => select(shown[Math.min(shown.length - 1, Math.max(0, index))]);
    const keys = {
      ArrowDown: () => go(at + 1),
      ArrowUp: () => go(at - 1),
      Home: () => go(0),
      End: () => go(shown.length - 1),
      ArrowRight: () => (current.open && current.span.children.length ? go(at + 1) : fold(current, true)),
      ArrowLeft: () => (current.open && current.span.children.length ? fold(current, false) : current.parent && select(current.parent)),
      Enter: () => current.span.line !== null && goToLine(model, current.span.line),
    };
    const act = keys[event.key];
    if (!act) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  function onMessage(message) {
    if (message.kind !== "file") return;
    const url = URL.createObjectURL(new Blob([message.text], { type: "application/json" }));
    make("a", { href: url, download: message.name }).click();
    URL.revokeObjectURL(url);
  }

  function take() {
    const data = model.get("data");
    rows = flatten(data.root);
    current = rows[0];
    head.textContent = `Trace ${data.model}: ${data.ok ? "ok" : "failed"}, ${data.calls} call${data.calls === 1 ? "" : "s"}, ${duration(data.wall_ns)}`;
    draw();
  }

  model.on("change:data", take);
  model.on("msg:custom", onMessage);
  take();
  return () => {
    model.off("change:data", take);
    model.off("msg:custom", onMessage);
  };
}

export default { render };
