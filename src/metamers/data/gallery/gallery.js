// The page: filters, the grid, and the order in which data arrives.
"use strict";

const grid = part("grid");
const AT_ONCE = 60;
let shown = [];
let drawnCards = 0;

function card(row) {
  const photograph = rows.photograph[row], condition = rows.condition[row];
  const failed = rows.failed[row];
  const words = conditionWords(condition), result = run.headline.map((place) => headline(place, row)).join(" · ");
  const button = element(
    "button",
    { type: "button", className: failed ? "card failed" : "card", "data-row": row },
    element("span", { className: "picture" },
      element("img", { loading: "lazy", decoding: "async", alt: "", src: `${run.thumbnails}/${photograph}/${condition}.${run.suffix}` }),
      ...(chosen.sort === "photograph" ? [] : [element("img", { className: "inset", loading: "lazy", alt: "", src: `${run.thumbnails}/${photograph}/reference.${run.suffix}` })])),
    element("span", { className: "words", textContent: words }),
    element("span", { className: "result", textContent: failed ? `⚠ not a metamer · ${result}` : result }),
  );
  button.setAttribute("aria-label", `${run.photographs[photograph].label}, ${words}, ${result}${failed ? ", not a metamer" : ""}`);
  return element("li", {}, button);
}

function headline(place, row) {
  const one = run.measures[place], value = rows.values[place][row];
  if (!one.role) return `${one.short} ${number(value)}`;
  const judges = run.conditions[rows.condition[row]].roles.filter((role) => role === one.role).length;
  return value === null ? `${one.short} none` : `${one.short} ${Math.round(value * judges)} of ${judges}`;
}

function heading(photograph) {
  const one = run.photographs[photograph];
  const image = element("img", { loading: "lazy", alt: "", src: `${run.thumbnails}/${photograph}/reference.${run.suffix}` });
  return element("li", { className: "photograph" }, element("span", { className: "picture" }, image),
    element("strong", { className: "words", textContent: one.label }), element("span", { className: "result", textContent: `reference · ${one.id}` }));
}

function more() {
  const cards = document.createDocumentFragment();
  for (const end = Math.min(shown.length, drawnCards + AT_ONCE); drawnCards < end; drawnCards++) {
    const before = drawnCards ? rows.photograph[shown[drawnCards - 1]] : -1;
    const photograph = rows.photograph[shown[drawnCards]];
    if (chosen.sort === "photograph" && photograph !== before) cards.append(heading(photograph));
    cards.append(card(shown[drawnCards]));
  }
  grid.append(cards);
}

function refresh() {
  shown = selection();
  drawnCards = 0;
  grid.replaceChildren();
  fillSight();
  tell();
}

function tell() {
  part("count").textContent = `${shown.length} of ${rows.photograph.length} metamers of ${run.photographs.length} photographs`;
}

// Cards are made when their place comes near: thousands at once would hold the page up.
function fillSight() {
  do more();
  while (drawnCards < shown.length && part("end").getBoundingClientRect().top < innerHeight + 600);
}

function group(title, values, set, order) {
  const boxes = values.map(([key, label]) => {
    const box = element("input", { type: "checkbox", checked: true });
    box.onchange = () => { box.checked ? set.add(key) : set.delete(key); refresh(); };
    return [key, box, element("label", {}, box, ` ${label}`)];
  });
  const all = (checked) => () => {
    for (const [key, box] of boxes) { box.checked = checked; checked ? set.add(key) : set.delete(key); }
    refresh();
  };
  const buttons = [["All", true], ["None", false]].map(([name, checked]) => {
    const button = element("button", { type: "button", textContent: name, onclick: all(checked) });
    button.setAttribute("aria-label", `${name}: ${title}`);
    return button;
  });
  return element("fieldset", { className: order }, element("legend", { textContent: title }), ...buttons, ...boxes.map(([, , label]) => label));
}

function build() {
  document.title = `Metamers: ${run.title}`;
  part("title").textContent = `Metamers: ${run.title}`;
  part("notice").textContent = run.notice;
  part("notice").hidden = !run.notice;
  fill();
  part("sort").append(element("option", { value: "photograph", textContent: "photograph" }),
    ...run.measures.map((one, place) => element("option", { value: place, textContent: one.label })));
  part("sort").onchange = () => { chosen.sort = part("sort").value; refresh(); };
  part("direction").onclick = () => {
    chosen.down = !chosen.down;
    part("direction").textContent = chosen.down ? "↓ descending" : "↑ ascending";
    part("direction").setAttribute("aria-pressed", chosen.down);
    refresh();
  };
  part("search").oninput = () => { chosen.search = part("search").value; refresh(); };
  part("size").oninput = () => grid.style.setProperty("--size", `${part("size").value}px`);
  part("reset").onclick = () => {
    run.axes.forEach((axis, place) => axis.values.forEach((_, value) => selected[place].add(value)));
    ["done", "failed"].forEach((one) => chosen.status.add(one));
    chosen.search = part("search").value = "";
    fill();
    refresh();
  };
  if (matchMedia("(max-width: 800px)").matches) part("filters").open = false;
  grid.onclick = (event) => { const of = event.target.closest("[data-row]"); if (of) openView(Number(of.dataset.row)); };
  grid.onkeydown = move;
  document.onkeydown = (event) => {
    if (event.key !== "/" || view.open || event.target.matches("input, select")) return;
    event.preventDefault();
    part("search").focus();
  };
  new IntersectionObserver((seen) => { if (seen[0].isIntersecting) fillSight(); }, { rootMargin: "600px" }).observe(part("end"));
}

function fill() {
  const several = run.axes.map((axis, place) => [axis, place]).filter(([axis]) => axis.values.length > 1);
  part("axes").replaceChildren(
    ...several.map(([axis, place]) => group(axis.label, axis.values.map((one, value) => [value, one.label]), selected[place], axis.name)),
    group("Optimisation", [["done", "succeeded"], ["failed", "failed: not a metamer"]], chosen.status, "status"),
  );
}

// Arrow keys go from card to card; up and down by what is in sight.
function move(event) {
  const cards = [...grid.querySelectorAll(".card")], place = cards.indexOf(document.activeElement);
  if (place < 0 || !event.key.startsWith("Arrow")) return;
  const top = (one) => one.parentElement.offsetTop, left = (one) => one.parentElement.offsetLeft;
  const now = cards[place];
  const vertical = (others, sign) => {
    const rowTop = others.map(top).find((t) => sign * (t - top(now)) > 0);
    return others.filter((one) => top(one) === rowTop).sort((a, b) => Math.abs(left(a) - left(now)) - Math.abs(left(b) - left(now)))[0];
  };
  const next = { ArrowRight: () => cards[place + 1], ArrowLeft: () => cards[place - 1],
    ArrowDown: () => vertical(cards.slice(place), 1), ArrowUp: () => vertical(cards.slice(0, place).reverse(), -1) }[event.key]();
  if (!next) return;
  event.preventDefault();
  next.focus();
}

function openLinked() {
  const [photograph, condition] = location.hash.slice(1).split("-").map(Number);
  const row = rows.photograph.findIndex((one, place) => one === photograph && rows.condition[place] === condition);
  if (location.hash && row >= 0) openView(row);
}

// Chunks come one after the other, so that the first is drawn before the others are read.
gallery.rows = (chunk, content) => {
  addRows(content);
  if (chunk === 0) { refresh(); requestAnimationFrame(() => { gallery.firstCards = performance.now(); }); }
  if (chunk + 1 < run.chunks) setTimeout(() => document.head.append(element("script", { src: `data/rows-${chunk + 1}.js` })));
  else { if (chunk) late(); openLinked(); }
};

// What came late: nothing moves for who looks at the first photographs.
function late() {
  if (chosen.sort !== "photograph" || chosen.down) return refresh();
  shown = selection();
  tell();
}

build();
document.head.append(element("script", { src: "data/rows-0.js" }));
