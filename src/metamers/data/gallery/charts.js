// Elements of the page. Text is set as text, never as markup: names come from files and configurations.
"use strict";

function element(name, properties = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key in made) made[key] = value;
    else made.setAttribute(key, value);
  }
  made.append(...children);
  return made;
}

function drawn(name, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

function number(value) {
  if (value === null || value === undefined) return "–";
  const text = Math.abs(value) >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(3)));
  return text === "-0" ? "0" : text;
}

const DASHES = ["", "6 3", "2 2", "8 3 2 3", "4 4", "1 3"];

// Loss against steps on a logarithmic axis, a line for each member: told apart by dashes, too.
function lossCurve(traces) {
  const [width, height, left, bottom, top] = [420, 190, 46, 34, 8];
  const losses = traces.flatMap((one) => one.losses).filter((loss) => loss > 0);
  if (!losses.length) return element("p", { textContent: "No trace of the loss." });
  const low = Math.log10(Math.min(...losses)), high = Math.log10(Math.max(...losses));
  const last = Math.max(...traces.flatMap((one) => one.steps));
  const x = (step) => left + ((width - left - 10) * step) / Math.max(last, 1);
  const y = (loss) => top + ((height - top - bottom) * (high - Math.log10(loss))) / Math.max(high - low, 1e-9);
  const svg = drawn("svg", { viewBox: `0 0 ${width} ${height}`, role: "img", class: "curve" });
  svg.append(drawn("title", {}, "Loss of each member during synthesis"));
  for (const share of [0, 0.5, 1]) {
    const loss = 10 ** (low + share * (high - low));
    svg.append(drawn("line", { x1: left, x2: width - 10, y1: y(loss), y2: y(loss), class: "rule" }));
    svg.append(drawn("text", { x: left - 5, y: y(loss) + 4, "text-anchor": "end" }, number(loss)));
    svg.append(drawn("text", { x: x(share * last), y: height - 18, "text-anchor": share === 1 ? "end" : "middle" }, String(Math.round(share * last))));
  }
  svg.append(drawn("text", { x: (left + width) / 2, y: height - 3, "text-anchor": "middle" }, "gradient steps of the set"));
  traces.forEach((one, place) => {
    const points = one.steps.map((step, k) => [step, one.losses[k]]).filter(([, loss]) => loss > 0);
    const line = points.map(([step, loss]) => `${x(step).toFixed(1)},${y(loss).toFixed(1)}`).join(" ");
    svg.append(drawn("polyline", { points: line, class: `line line-${place % 6}`, "stroke-dasharray": DASHES[place % 6] }));
  });
  const key = element("ul", { className: "key" });
  traces.forEach((one, place) => {
    const sample = drawn("svg", { viewBox: "0 0 30 8", class: "sample", "aria-hidden": "true" });
    sample.append(drawn("line", { x1: 0, x2: 30, y1: 4, y2: 4, class: `line line-${place % 6}`, "stroke-dasharray": DASHES[place % 6] }));
    key.append(element("li", {}, sample, ` ${one.model}: ${number(one.before)} → ${number(one.stored)}`));
  });
  return element("div", {}, svg, key);
}

function table(head, body) {
  const cells = (row, name) => element("tr", {}, ...row.map((cell) => (cell instanceof Node ? cell : element(name, {}, cell))));
  return element("table", {}, element("thead", {}, cells(head, "th")), element("tbody", {}, ...body.map((row) => cells(row, "td"))));
}
