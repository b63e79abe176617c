// InferView: the tensors of an answer, each with its figures, a histogram and images.

const IMAGE_SIZE = 144; // on the page, along the longer side

class InferTensors {
  constructor(model, element) {
    const { model: name, responses, tensors, more } = model.get("data");
    this.root = make("div", { class: "jp-TritonView jp-TritonInfer" });
    element.append(this.root);
    const many = responses !== 1;
    this.root.append(
      make("div", { class: "jp-TritonView-bar" },
        make("strong", {}, `InferResult ${name}: ${responses} response${many ? "s" : ""}`)),
      ...tensors.map((each, index) => this.tensor(each, many, index < 6)));
    if (more) this.root.append(make("div", { class: "jp-TritonView-muted" }, `${more} more tensors`));
  }

  tensor(each, many, open) {
    const label = many ? `[${each.response}] ` : "";
    if (each.error !== null) {
      return make("div", { class: "jp-TritonInfer-tensor jp-TritonInfer-error" }, `✗ ${label}${each.error}`);
    }
    const { figures } = each;
    const facts = [
      ["device", each.device],
      ["size", each.bytes === null ? null : bytes(each.bytes)],
      ["min", figures?.min], ["max", figures?.max], ["mean", figures?.mean],
      ["not finite", figures?.not_finite || null],
    ].filter(([, value]) => value !== null && value !== undefined);
    return make("details", { class: "jp-TritonInfer-tensor", open },
      make("summary", {}, label, make("strong", {}, each.name), ` ${each.type}`),
      make("div", { class: "jp-TritonInfer-body" },
        make("table", {}, make("tbody", {}, ...facts.map(([name, value]) => make("tr", {},
          make("th", { scope: "row" }, name), make("td", { class: "jp-mod-number" }, String(value)))))),
        each.histogram && this.histogram(each),
        each.images.length ? this.images(each) : null,
        make("div", { class: "jp-TritonInfer-values" }, each.values)));
  }

  histogram({ name, histogram }) {
    const { counts, low, high } = histogram;
    const highest = Math.max(...counts) || 1;
    const bars = counts.map((count, index) => svg("rect",
      { x: index, width: 0.9, y: 1 - count / highest, height: count / highest }));
    return make("div", {},
      svg("svg", { class: "jp-TritonInfer-histogram", viewBox: `0 0 ${counts.length} 1`, preserveAspectRatio: "none",
        role: "img", "aria-label": `Histogram of ${name} from ${low} to ${high}` }, ...bars),
      make("div", { class: "jp-TritonInfer-ends jp-TritonView-muted" },
        make("span", {}, low), make("span", {}, high)));
  }

  images({ name, images, image_count: count }) {
    let at = 0;
    const canvas = make("canvas", { role: "img" });
    const said = make("span", { role: "status", "aria-live": "polite" });
    const draw = () => {
      const { width, height, step, pixels } = images[at];
      canvas.width = width;
      canvas.height = height;
      const scale = IMAGE_SIZE / Math.max(width, height);
      canvas.style.width = `${width * scale}px`;
      canvas.style.height = `${height * scale}px`;
      const data = new Uint8ClampedArray(pixels.buffer, pixels.byteOffset, pixels.byteLength);
      canvas.getContext("2d").putImageData(new ImageData(data.slice(), width, height), 0, 0);
      const part = step > 1 ? `, every ${step}th pixel` : "";
      said.textContent = count > 1 ? `image ${at + 1} of ${count}${part}` : `image${part}`;
      canvas.setAttribute("aria-label", `${name}, ${said.textContent}`);
    };
    const go = (by) => {
      at = (at + by + images.length) % images.length;
      draw();
    };
    draw();
    const buttons = images.length > 1
      ? [make("button", { "aria-label": `Previous image of ${name}`, onclick: () => go(-1) }, "‹"),
        make("button", { "aria-label": `Next image of ${name}`, onclick: () => go(1) }, "›")]
      : [];
    return make("div", {}, canvas, make("div", { class: "jp-TritonView-bar" }, ...buttons, said));
  }
}

export default {
  render({ model, el }) {
    new InferTensors(model, el);
  },
};
