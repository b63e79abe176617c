// Helpers of all views. Put in front of each view's module; no imports, no network.

const SVG = "http://www.w3.org/2000/svg";

// make("button", {class: "x", onclick: f}, "text", child...)
function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

// IEC units, three significant digits, as in the text reports.
function bytes(count) {
  let size = Number(count);
  for (const unit of ["B", "KiB", "MiB", "GiB", "TiB"]) {
    if (size < 1024 || unit === "TiB") {
      const text = size >= 1000 ? String(Math.round(size)) : String(Number(size.toPrecision(3)));
      return `${text} ${unit}`;
    }
    size /= 1024;
  }
}

function seconds(value) {
  if (value === null || value === undefined) return "";
  if (value < 1) return `${Math.round(value * 1000)} ms`;
  if (value < 120) return `${Number(value.toPrecision(3))} s`;
  return value < 7200 ? `${Math.round(value / 60)} min` : `${Math.round(value / 3600)} h`;
}

// Tells the kernel when this view is on the screen and when it is not, so that it works only while somebody
// looks. Gives the function that ends it.
function followShown(model, element) {
  const view = `${Date.now().toString(36)}-${Math.random().toString(36).slice(2)}`;
  let inside = true;
  let shown = false;
  let beat = null;
  const say = (kind) => model.send({ kind, view });
  const look = () => {
    const now = inside && document.visibilityState === "visible";
    if (now === shown) return;
    shown = now;
    say(now ? "shown" : "hidden");
    clearInterval(beat);
    beat = now ? setInterval(() => say("shown"), 20000) : null;
  };
  const observer = new IntersectionObserver((entries) => {
    inside = entries[entries.length - 1].isIntersecting;
    look();
  });
  observer.observe(element);
  document.addEventListener("visibilitychange", look);
  look();
  return () => {
    observer.disconnect();
    document.removeEventListener("visibilitychange", look);
    inside = false;
    look();
  };
}

// Scrolls the notebook to a line of a model's cell, where the page is a JupyterLab with our extension; else
// nothing happens and the text that names the line has to do.
function goToLine(model, line) {
  model.send({ kind: "line", line });
  document.dispatchEvent(new CustomEvent("triton-workbench:line", { detail: { line } }));
}
