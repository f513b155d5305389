// What is shown, of which condition and photograph, and in which order: numbers only, no page.
"use strict";

const run = gallery.run;
const rows = { photograph: [], condition: [], failed: [], values: run.measures.map(() => []) };
const selected = run.axes.map((axis) => new Set(axis.values.keys()));
const chosen = { status: new Set(["done", "failed"]), search: "", sort: "photograph", down: false };

function addRows(part) {
  for (const name of ["photograph", "condition", "failed"]) rows[name].push(...part[name]);
  part.values.forEach((column, place) => rows.values[place].push(...column));
}

const lower = (text) => text.toLocaleLowerCase();
const photographTexts = run.photographs.map((one) => lower(`${one.id} ${one.label} ${one.category}`));
const conditionTexts = run.conditions.map((one) =>
  lower(run.axes.map((axis, place) => axis.values[one.cell[place]].label).join(" ") + " " + one.members.join(" ")),
);

// Each word must be in the photograph's text or in the condition's.
function found(words, photograph, condition) {
  return words.every((word) => photographTexts[photograph].includes(word) || conditionTexts[condition].includes(word));
}

function selection() {
  const words = lower(chosen.search).split(/\s+/).filter(Boolean);
  const allowed = run.conditions.map((one) => one.cell.every((value, axis) => selected[axis].has(value)));
  const wanted = [];
  for (let row = 0; row < rows.photograph.length; row++) {
    if (!allowed[rows.condition[row]]) continue;
    if (!chosen.status.has(rows.failed[row] ? "failed" : "done")) continue;
    if (words.length && !found(words, rows.photograph[row], rows.condition[row])) continue;
    wanted.push(row);
  }
  return sorted(wanted);
}

// Rows without a value come last, whatever the direction; equal ones keep their order.
function sorted(wanted) {
  const direction = chosen.down ? -1 : 1;
  if (chosen.sort === "photograph") return chosen.down ? wanted.reverse() : wanted;
  const values = rows.values[Number(chosen.sort)];
  return wanted.sort((a, b) => {
    if (values[a] === null || values[b] === null) return (values[a] === null) - (values[b] === null);
    return direction * (values[a] - values[b]);
  });
}
