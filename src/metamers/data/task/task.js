"use strict";

const COLUMNS = ["subj", "Session", "trial", "rt", "object_response", "category", "condition",
  "imagename"];

const asked = new URLSearchParams(location.search);
const participant = (asked.get("participant") || crypto.randomUUID().slice(0, 8))
  .replace(/[^A-Za-z0-9_-]/g, "_");
const session = /^[0-9]+$/.test(asked.get("session")) ? asked.get("session") : "1";

// A generator of random numbers that is the same for the same participant (mulberry32).
function hash(text) {
  let value = 2166136261;
  for (const sign of text) value = Math.imul(value ^ sign.codePointAt(0), 16777619);
  return value >>> 0;
}

function generator(state) {
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let value = Math.imul(state ^ (state >>> 15), 1 | state);
    value = (value + Math.imul(value ^ (value >>> 7), 61 | value)) ^ value;
    return ((value ^ (value >>> 14)) >>> 0) / 4294967296;
  };
}

const random = generator(hash(`${participant} ${session}`));

function shuffled(values) {
  const order = [...values];
  for (let last = order.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [order[last], order[other]] = [order[other], order[last]];
  }
  return order;
}

// Numbers take the lists in turn, which balances them; other names take one by their letters.
const numbered = /^[0-9]+$/.test(participant) ? Number(participant) : hash(participant);
const list = TRIALS.lists[numbered % TRIALS.lists.length];
const files = shuffled([...list, ...TRIALS.catch]);
const answers = [];

const jsPsych = initJsPsych({
  show_progress_bar: true,
  message_progress_bar: "",
  override_safe_mode: true, // without it, file:// brings a warning on sounds and films
});

function words(id) {
  const text = document.getElementById(id).content.cloneNode(true);
  const minutes = text.querySelector("[data-minutes]");
  if (minutes) minutes.textContent = Math.max(1, Math.ceil(files.length * 4 / 60));
  const holder = document.createElement("div");
  holder.append(text);
  return holder.innerHTML;
}

function page(id, ...choices) {
  return { type: jsPsychHtmlButtonResponse, stimulus: words(id), choices, button_layout: "flex" };
}

function picture(file) {
  const side = TRIALS.size * SETTINGS.image_scale;
  return `<img class="picture" src="images/${file}" width="${side}" height="${side}" alt="">`;
}

function shown(stimulus, duration) {
  return {
    type: jsPsychHtmlKeyboardResponse, stimulus, choices: "NO_KEYS", trial_duration: duration,
  };
}

function choice(on_finish) {
  return {
    type: jsPsychHtmlButtonResponse,
    stimulus: "<p>What did you see?</p>",
    choices: TRIALS.categories,
    grid_rows: 4,
    grid_columns: 4,
    trial_duration: SETTINGS.response_ms,
    on_finish,
  };
}

function trial(file, on_finish) {
  const mask = TRIALS.masks[Math.floor(random() * TRIALS.masks.length)];
  return [
    shown('<span class="cross">+</span>', SETTINGS.fixation_ms),
    shown(picture(file), SETTINGS.image_ms),
    shown(picture(mask), SETTINGS.mask_ms),
    choice(on_finish),
  ];
}

function practice({ file, category }) {
  let right = false;
  const told = {
    type: jsPsychHtmlButtonResponse,
    stimulus: () => (right ? "<p>Right.</p>" : `<p>It was: ${category}.</p>`),
    choices: ["Go on"],
  };
  return [
    ...trial(file, (data) => { right = TRIALS.categories[data.response] === category; }),
    told,
  ];
}

function record(file) {
  return (data) => {
    answers.push([
      participant, session, answers.length + 1,
      data.rt === null ? "NaN" : (data.rt / 1000).toFixed(4),
      data.response === null ? "na" : TRIALS.categories[data.response],
      "NA", "NA", file, // what the image shows, and how it was made, the key knows
    ]);
  };
}

function csv() {
  return [COLUMNS, ...answers].map((row) => row.join(",")).join("\n") + "\n";
}

function save() {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([csv()], { type: "text/csv" }));
  link.download = `answers-${participant}-${session}.csv`;
  link.click();
}

async function finish() {
  let sent = false;
  if (SETTINGS.post_to) {
    try {
      const reply = await fetch(SETTINGS.post_to, {
        method: "POST", headers: { "Content-Type": "text/csv" }, body: csv(),
      });
      sent = reply.ok;
    } catch {
      sent = false; // then the file is saved
    }
  }
  document.body.innerHTML = `<main class="jspsych-content">${words(sent ? "sent" : "thanks")}</main>`;
  if (sent) return;
  const again = document.createElement("button");
  again.textContent = "Save the file again";
  again.onclick = save;
  document.querySelector("main").append(again);
  save();
}

async function main() {
  const consent = page("consent", "I agree", "I do not agree");
  consent.on_finish = (data) => { if (data.response === 1) jsPsych.abortExperiment(words("refused")); };
  const images = [
    ...files, ...TRIALS.masks, ...TRIALS.practice.map(({ file }) => file),
  ].map((file) => `images/${file}`);
  await jsPsych.run([
    consent,
    { type: jsPsychPreload, images },
    page("instructions", "Go on"),
    ...TRIALS.practice.flatMap(practice),
    ...(TRIALS.practice.length ? [page("begin", "Begin")] : []),
    ...files.flatMap((file) => trial(file, record(file))),
  ]);
  if (answers.length === files.length) await finish();
}

main();
