// Labels while they are made: what is marked on the image shown, what was done (to undo it), and what the server has kept of it.

const HIDDEN = "hidden";
const ASKED = 2500; // milliseconds between two looks at how the server is doing
const own = crypto.getRandomValues(new Uint32Array(2)).join("-"); // this window among others
const state = { index: data.start, chosen: 0, marks: [], proposed: null, last: null, loaded: false, problem: "" };
const revisions = new Map(); // of images, as this window last saw them
const pending = new Map(); // marks of images that the server has not kept yet
const done = [], undone = []; // { index, before, after }
let sending = false, halted = false, made = -1, shown = 0;

async function ask(path, given) {
  const options = given === undefined ? {} : { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(given) };
  const answer = await fetch(path, { ...options, cache: "no-store" });
  return { status: answer.status, ok: answer.ok, value: await answer.json() };
}

// --- the image shown

async function show(index) {
  index = Math.min(Math.max(index, 0), data.total - 1);
  if (state.loaded && state.marks.some(Array.isArray)) state.last = state.marks;
  const asked = ++shown;
  let found;
  try { found = (await ask(`marks/${index}`)).value; } catch { return told("lmbench label does not answer: it has ended, it seems.", { "Try again": () => show(index) }); }
  if (asked !== shown) return; // another image was asked for meanwhile
  const marks = pending.get(index) ?? found.marks;
  if (!pending.has(index)) revisions.set(index, found.revision);
  Object.assign(state, { index, marks, proposed: null, loaded: false, problem: found.problem ?? "" });
  state.chosen = Math.max(0, marks.findIndex((mark) => mark === null));
  $("name").textContent = found.name;
  $("position").textContent = `${(index + 1).toLocaleString("en")} of ${data.total.toLocaleString("en")}`;
  $("problem").hidden = !state.problem;
  $("problem").textContent = state.problem;
  photo.hidden = Boolean(state.problem);
  if (!state.problem) {
    Object.assign(seen, { width: found.width, height: found.height });
    photo.width = found.width;
    photo.height = found.height;
    photo.src = `image/${index}`;
    photo.alt = found.name;
    try { await photo.decode(); } catch { /* its problem is told by the server */ }
    if (asked !== shown) return;
    state.loaded = true;
    showWhole();
  }
  render();
  fetchProposed();
  listImages();
  if (index + 1 < data.total) new Image().src = `image/${index + 1}`; // the next one is there when it is wanted
}

async function fetchProposed() {
  if (!data.proposals || !state.loaded) return;
  const index = state.index;
  try {
    const { ok, value } = await ask(`proposals/${index}`);
    if (ok && index === state.index) { state.proposed = value.points; render(); }
  } catch { /* told by the next look at the server */ }
}

const open = (k) => state.marks[k] === null && state.proposed?.[k]; // what is proposed where nothing is said

// --- what is seen

function drawMarks() {
  const order = data.names.map((_, k) => k).filter((k) => k !== state.chosen);
  const drawnMarks = [...order, state.chosen].flatMap((k) => { // the chosen one lies on top
    const mark = state.marks[k], chosen = k === state.chosen ? "chosen" : "";
    if (open(k)) return [drawMark(k, state.proposed[k], `proposed ${chosen}`)];
    return Array.isArray(mark) ? [drawMark(k, mark, chosen)] : [];
  });
  $("marks").replaceChildren(...drawnMarks);
}

function render() {
  const said = (mark, k) => Array.isArray(mark) ? mark.map((v) => v.toFixed(0)).join(", ") : mark === HIDDEN ? "invisible" : open(k) ? "proposed" : "–";
  const buttons = data.names.map((name, k) => {
    const dot = element("span", { class: "colour" });
    dot.style.background = colour(k);
    const button = element("button", { type: "button", class: "landmark", "aria-pressed": String(k === state.chosen) }, dot,
      element("bdi", { class: "called" }, data.names.length > 12 ? `${k + 1} ${name}` : name), element("span", { class: "state" }, said(state.marks[k] ?? null, k)));
    button.addEventListener("click", () => choose(k));
    return button;
  });
  const held = [...$("landmarks").children].indexOf(document.activeElement);
  $("landmarks").replaceChildren(...buttons);
  if (held >= 0) buttons[held].focus();
  buttons[state.chosen]?.scrollIntoView({ block: "nearest", inline: "nearest" });
  $("undo").disabled = !done.length;
  $("redo").disabled = !undone.length;
  $("previous").disabled = state.index === 0;
  $("next").disabled = state.index === data.total - 1;
  $("accept").hidden = !data.names.some((_, k) => open(k));
  const left = state.marks.filter((mark) => mark === null).length;
  $("said").textContent = state.problem ? "" : left ? `Click: ${data.names[state.chosen]}` : "All said of this image. n: the next one.";
  drawMarks();
}

function choose(k) {
  state.chosen = (k + data.names.length) % data.names.length;
  render();
}

function told(text, ways = {}) {
  $("notice").hidden = !text;
  $("noticed").textContent = text;
  $("ways").replaceChildren(...Object.entries(ways).map(([name, act]) => {
    const button = element("button", { type: "button" }, name);
    button.addEventListener("click", () => { told(""); act(); });
    return button;
  }));
}

// --- what is done

function change(after, index = state.index, kept = true) {
  const before = index === state.index ? state.marks : null;
  if (JSON.stringify(before) === JSON.stringify(after)) return;
  if (kept) { done.push({ index, before, after }); undone.length = 0; }
  if (index === state.index) state.marks = after;
  pending.set(index, after);
  render();
  send();
}

const withMark = (k, mark) => state.marks.map((old, i) => (i === k ? mark : old));
const rounded = (point) => {
  const [x, y] = point.map((v) => Math.round(v * 100) / 100);
  return x === 0 && y === 0 ? [0.01, 0] : [x, y]; // exactly (0, 0) means "not labelled" in tables
};

function put(k, mark) {
  if (!state.loaded) return;
  change(withMark(k, Array.isArray(mark) ? rounded(clamped(mark)) : mark));
}

function advance() {
  for (let step = 1; step < data.names.length; step++) {
    const k = (state.chosen + step) % data.names.length;
    if (state.marks[k] === null) return choose(k);
  }
}

function nudge(x, y) {
  const k = state.chosen, from = Array.isArray(state.marks[k]) ? state.marks[k] : open(k);
  if (from) put(k, [from[0] + x, from[1] + y]);
}

async function copyLast() {
  if (!state.loaded) return;
  let from = state.last;
  if (!from && state.index > 0) from = (await ask(`marks/${state.index - 1}`)).value.marks;
  if (!from?.some((mark) => mark !== null)) return told("There is nothing on the last image to copy.", { Ok: () => {} });
  change(state.marks.map((mark, k) => mark ?? (Array.isArray(from[k]) ? rounded(clamped(from[k])) : from[k])));
}

let going = Promise.resolve(); // one step after the other, however fast the keys are
const goBack = (...step) => (going = going.then(() => stepBack(...step)));

async function stepBack(from, to, side) {
  const entry = from.at(-1);
  if (!entry) return;
  if (entry.index !== state.index) await show(entry.index);
  if (JSON.stringify(state.marks) !== JSON.stringify(side === "before" ? entry.after : entry.before)) {
    from.length = 0; // another window was at it: what was done here is not there to be undone
    return render();
  }
  to.push(from.pop());
  change(entry[side], entry.index, false);
}

// --- what the server keeps

async function send() {
  if (sending || halted) return;
  sending = true;
  saved("saving …");
  while (pending.size) {
    const [index, marks] = pending.entries().next().value;
    let answer;
    try { answer = await ask(`marks/${index}`, { marks, revision: revisions.get(index) }); } catch { answer = null; }
    if (answer?.ok) {
      revisions.set(index, answer.value.revision);
      if (pending.get(index) === marks) pending.delete(index);
      progress(answer.value.progress);
      continue;
    }
    sending = false;
    halted = true;
    saved("not saved", true);
    const again = () => { halted = false; send(); };
    if (!answer) return told("Not saved: lmbench label does not answer. Start it again with the same --port, or leave this page open and try again.", { "Try again": again });
    if (answer.status === 409) {
      const now = answer.value.now;
      return told("Not saved: another window wrote the marks of this image meanwhile.", {
        "Keep mine": () => { revisions.set(index, now.revision); again(); },
        "Take theirs": () => { pending.delete(index); halted = false; show(index).then(send); },
      });
    }
    if (answer.status === 412) return told(`Not saved: ${answer.value.said}`, { "Read it anew": () => reread(again) });
    return told(`Not saved: ${answer.value.said}`, { "Try again": again, "Give it up": () => { pending.delete(index); halted = false; show(state.index).then(send); } });
  }
  sending = false;
  saved("saved");
}

async function reread(then) {
  const { ok, value } = await ask("reread", {});
  if (!ok) return told(value.said, { "Try again": () => reread(then) });
  pending.clear();
  await show(state.index);
  then();
}

function saved(text, bad = false) {
  $("saved").textContent = text;
  $("saved").classList.toggle("bad", bad);
}

function progress({ labelled, begun }) {
  $("progress").textContent = `${labelled.toLocaleString("en")} labelled${begun ? `, ${begun} begun` : ""}`;
}

async function look() {
  const index = state.index;
  try {
    const { ok, value } = await ask(`status?window=${own}&image=${index}`);
    if (!ok) return;
    progress(value.progress);
    if (value.proposals) proposals(value.proposals);
    if (value.changed && $("notice").hidden) told(value.changed, { "Read it anew": () => reread(() => {}) });
    else if (value.windows > 1 && $("notice").hidden && !look.warned) {
      look.warned = true;
      told("This folder is open in another window too: what one writes, the other does not write over unasked.", { Ok: () => {} });
    }
    if (index === state.index && !pending.has(index) && !sending && !followPointers.before && value.revision > (revisions.get(index) ?? 0)) await show(index);
  } catch {
    saved("lmbench label does not answer", true);
  } finally {
    setTimeout(look, ASKED);
  }
}

function proposals({ doing, of: images, said, least, made: now }) {
  const by = said.startsWith("mean shape") ? "the mean place of each landmark: too few labels for more" : "the features of the images";
  $("proposals").hidden = false;
  $("proposals").textContent = doing.startsWith("failed") ? `Proposals ${doing}`
    : images ? `Proposed from ${images} images, by ${by}${doing === "fitting" ? "; fitting again …" : "."}`
      : doing === "fitting" ? "Fitting a first head …" : `Landmarks are proposed from ${least} labelled images on.`;
  if (now !== made) { made = now; fetchProposed(); }
}

// --- the list of images

async function listImages(from = state.index) {
  if (!$("list").open) return;
  const { value } = await ask(`images?from=${Math.max(0, from)}`);
  const signs = { done: "●", begun: "◐", none: "○" }, words = { done: "labelled", begun: "begun", none: "not labelled" };
  listImages.start = value.start;
  $("part").textContent = `${value.start + 1} – ${value.start + value.images.length}`;
  $("back").disabled = value.start === 0;
  $("forth").disabled = value.start + value.images.length >= data.total;
  $("images").replaceChildren(...value.images.map(({ index, name, state: how }) => {
    const button = element("button", { type: "button", title: words[how], "aria-current": String(index === state.index) },
      `${signs[how]} `, element("bdi", {}, name));
    button.addEventListener("click", () => show(index));
    return element("li", {}, button);
  }));
}

// --- by mouse, finger and key

followPointers({
  near(point, within) {
    let best, least = within;
    state.marks.forEach((mark, k) => {
      if (!Array.isArray(mark)) return;
      const [u, v] = at(mark), distance = Math.hypot(u - point[0], v - point[1]) - (k === state.chosen ? 2 : 0);
      if (distance <= least) [best, least] = [k, distance];
    });
    return best;
  },
  clicked(point, mark) {
    view.focus({ preventScroll: true });
    if (!state.loaded) return;
    if (state.marks[state.chosen] !== null && mark !== undefined) return choose(mark);
    if (!inside(point)) return;
    const fresh = state.marks[state.chosen] === null;
    put(state.chosen, point);
    if (fresh) advance();
  },
  dragged(mark, point) {
    if (!followPointers.before) followPointers.before = state.marks;
    state.chosen = mark;
    state.marks = withMark(mark, point);
    drawMarks();
  },
  dropped(mark) {
    const point = state.marks[mark];
    state.marks = followPointers.before ?? state.marks;
    followPointers.before = null;
    put(mark, point);
  },
});

const ACTS = {
  previous: () => show(state.index - 1),
  next: () => show(state.index + 1),
  hide: () => { put(state.chosen, HIDDEN); advance(); },
  remove: () => put(state.chosen, null),
  undo: () => goBack(done, undone, "before"),
  redo: () => goBack(undone, done, "after"),
  copy: copyLast,
  accept: () => state.loaded && change(state.marks.map((mark, k) => mark ?? (state.proposed?.[k] ? rounded(state.proposed[k]) : null))),
  whole: showWhole,
  closer: () => { const k = state.chosen, point = Array.isArray(state.marks[k]) ? state.marks[k] : open(k); if (point) closeTo(point); else zoom(2); },
  far: async () => show((await ask(`farthest?image=${state.index}`)).value.index),
  help: () => { $("help").open = !$("help").open; },
  put: () => {
    if (Array.isArray(state.marks[state.chosen])) return advance();
    put(state.chosen, open(state.chosen) || of([view.clientWidth / 2, view.clientHeight / 2]));
    advance();
  },
};
const KEYS = {
  n: "next", PageDown: "next", p: "previous", PageUp: "previous", g: "far", i: "hide", x: "remove", Delete: "remove", Backspace: "remove",
  u: "undo", r: "redo", c: "copy", a: "accept", 0: "whole", z: "closer", Enter: "put", "?": "help",
};
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
let pointed = null; // where the pointer is in the view: keys zoom there
view.addEventListener("pointermove", (e) => { const box = view.getBoundingClientRect(); pointed = [e.clientX - box.left, e.clientY - box.top]; });
view.addEventListener("pointerleave", () => { pointed = null; });

for (const id of ["previous", "next", "hide", "remove", "undo", "redo", "copy", "accept", "whole", "closer", "far"]) $(id).addEventListener("click", ACTS[id]);
$("list").addEventListener("toggle", () => listImages());
$("back").addEventListener("click", () => listImages(listImages.start - data.page));
$("forth").addEventListener("click", () => listImages(listImages.start + data.page));
$("goto").max = data.total;
$("goto").addEventListener("change", () => { const n = $("goto").valueAsNumber; if (Number.isInteger(n)) show(n - 1); });

document.addEventListener("keydown", (e) => {
  const where = e.target instanceof Element ? e.target.closest("input, button, summary") : null;
  if (where?.tagName === "INPUT" || e.altKey || (where && ["Enter", " "].includes(e.key))) return;
  if (e.ctrlKey || e.metaKey) {
    const act = { z: e.shiftKey ? "redo" : "undo", Z: "redo", y: "redo" }[e.key];
    if (act) { e.preventDefault(); ACTS[act](); }
    return;
  }
  let act;
  if (ARROWS[e.key]) act = () => nudge(...ARROWS[e.key].map((v) => v * (e.shiftKey ? 10 : 1)));
  else if (e.key === " ") act = () => choose(state.chosen + (e.shiftKey ? -1 : 1));
  else if (/^[1-9]$/.test(e.key)) act = () => { if (Number(e.key) <= data.names.length) choose(Number(e.key) - 1); };
  else if (e.key === "+" || e.key === "=" || e.key === "-") act = () => zoom(e.key === "-" ? 1 / 1.4 : 1.4, pointed ?? undefined);
  else act = ACTS[KEYS[e.key]];
  if (act) { e.preventDefault(); act(); }
});
new ResizeObserver(() => { if (state.loaded) (seen.whole ? showWhole : place)(); }).observe(view); // a notice, a turned phone
window.addEventListener("beforeunload", (e) => { if (pending.size) e.preventDefault(); });
show(state.index).then(() => { view.focus({ preventScroll: true }); look(); });
