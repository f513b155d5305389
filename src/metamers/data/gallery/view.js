// The large view: reference and metamer, what each evaluator answers to both, loss, metrics, settings.
"use strict";

const view = document.getElementById("view");
const part = (id) => document.getElementById(id);
const looking = { row: -1, zoom: 0, beside: true, flipped: false };
const details = new Map();

gallery.details = (photograph, content) => {
  details.set(photograph, content);
  if (view.open && rows.photograph[looking.row] === photograph) showFacts();
};

const imagePath = (photograph, name) => `images/${photograph}/${name}.png`;
const conditionWords = (condition) =>
  run.axes.filter((axis) => axis.values.length > 1).map((axis) => axis.values[run.conditions[condition].cell[run.axes.indexOf(axis)]].label).join("\u00a0· ");

function openView(row) {
  const photograph = rows.photograph[row], condition = rows.condition[row];
  looking.row = row;
  looking.flipped = false;
  part("view-title").textContent = `${run.photographs[photograph].label} · ${conditionWords(condition)}`;
  for (const [id, name] of [["metamer", condition], ["reference", "reference"]]) {
    part(id).src = imagePath(photograph, name);
    part(`save-${id}`).href = imagePath(photograph, name);
    part(`save-${id}`).download = `${run.photographs[photograph].id} ${id === "metamer" ? conditionWords(condition) : id}.png`.replace(/[^\w .-]+/g, "_");
  }
  part("reference").alt = `Reference: ${run.photographs[photograph].label}`;
  part("metamer").alt = `Metamer of ${run.photographs[photograph].label}`;
  if (!view.open) view.showModal();
  if (!looking.zoom) looking.zoom = fitting();
  showPair();
  if (details.has(photograph)) showFacts();
  else {
    part("facts").replaceChildren(element("p", { textContent: "Loading …" }));
    document.head.append(element("script", { src: `data/photograph-${photograph}.js` }));
  }
  history.replaceState(null, "", `#${photograph}-${condition}`);
}

// Pixels of the screen for one of the image, a whole number: nothing is interpolated.
function fitting() {
  const room = part("pair").clientWidth * devicePixelRatio;
  const images = looking.beside && room >= 2 * run.side ? 2 : 1;
  return Math.max(1, Math.min(8, Math.floor((room - 16 * images) / (images * run.side))));
}

function showPair() {
  const side = `${(run.side * looking.zoom) / devicePixelRatio}px`;
  for (const id of ["metamer", "reference"]) {
    part(id).style.width = part(id).style.height = side;
    part(`of-${id}`).hidden = !looking.beside && (id === "reference") !== looking.flipped;
  }
  part("flip").setAttribute("aria-pressed", looking.flipped);
  part("beside").setAttribute("aria-pressed", looking.beside);
  part("zoom").textContent = `${looking.zoom} ×`;
}

function flip() {
  if (looking.beside) looking.beside = false;
  looking.flipped = !looking.flipped;
  showPair();
}

function besides() {
  looking.beside = !looking.beside;
  looking.flipped = false;
  showPair();
}

function zoomBy(change) {
  looking.zoom = Math.max(1, Math.min(16, looking.zoom + change));
  showPair();
}

function step(by) {
  const place = shown.indexOf(looking.row) + by;
  if (place >= 0 && place < shown.length) openView(shown[place]);
}

function showFacts() {
  const photograph = rows.photograph[looking.row], condition = rows.condition[looking.row];
  const about = details.get(photograph), own = about.metamers[condition];
  const failed = rows.failed[looking.row];
  part("facts").replaceChildren(
    ...(failed ? [element("p", { className: "failed", textContent: `⚠ Not a metamer: ${run.failure}` })] : []),
    element("h3", { textContent: "What the evaluators answer" }),
    element("p", { className: "hint", textContent: run.recognised }),
    ...answers(run.conditions[condition], run.photographs[photograph], about, own),
    element("h3", { textContent: "Loss" }),
    element("p", { className: "hint", textContent: "Distance of activations to the reference's, over their norm; at the start → in the end." }),
    lossCurve(own.traces),
    element("h3", { textContent: "Measures" }),
    table(["measure", "value", ""], run.measures.map((one, place) => [one.label, number(rows.values[place][looking.row]), one.hint])),
    element("h3", { textContent: "Settings" }),
    table(["", ""], Object.entries(run.conditions[condition].settings).map(([name, value]) => [name, value])),
  );
}

function answers(condition, photograph, about, own) {
  const few = own.answers.length <= 6;
  const body = own.answers.map((one) => [
    element("td", {}, element("strong", { textContent: run.evaluators[one.evaluator] }), element("br"), condition.roles[one.evaluator],
      ...(one.recognised === null ? [] : [element("br"), one.recognised ? "✓ recognised" : "✗ not recognised"])),
    topFive(about.answers[one.evaluator], photograph, few),
    topFive(one, photograph, few),
  ]);
  return [table(["evaluator", "to the reference", "to the metamer"], body)];
}

function percent(share) {
  return share < 0.005 ? "<\u00a01\u00a0%" : `${Math.round(100 * share)}\u00a0%`;
}

function topFive(answer, photograph, open) {
  if (!answer) return "–";
  const lines = answer.classes.map((index, k) => {
    const right = index === photograph.index;
    return element("li", { className: right ? "label" : "" }, `${run.classes[index]} ${percent(answer.probabilities[k])}${right ? " (label)" : ""}`);
  });
  const list = element("ol", {}, ...lines);
  if (open || lines.length < 2) return element("td", {}, list);
  return element("td", {}, element("details", {}, element("summary", { textContent: lines[0].textContent }), list));
}

part("close").onclick = () => view.close();
part("previous").onclick = () => step(-1);
part("next").onclick = () => step(1);
part("flip").onclick = flip;
part("beside").onclick = besides;
part("in").onclick = () => zoomBy(1);
part("out").onclick = () => zoomBy(-1);
view.onclose = () => {
  history.replaceState(null, "", location.pathname);
  const card = document.querySelector(`[data-row="${looking.row}"]`);
  if (card) card.focus();
};
view.onkeydown = (event) => {
  const keys = { ArrowLeft: () => step(-1), ArrowRight: () => step(1), f: flip, " ": flip, s: besides, "+": () => zoomBy(1), "=": () => zoomBy(1), "-": () => zoomBy(-1) };
  const act = keys[event.key];
  if (!act || event.ctrlKey || event.metaKey || event.altKey) return;
  event.preventDefault();
  act();
};
