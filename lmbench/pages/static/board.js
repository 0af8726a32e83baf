"use strict";
// Chooses, filters, sorts and shows rows. All numbers, places and verdicts are in the data; nothing is computed of them here.
// The address' hash is the only state: whatever changes a choice changes the hash, and the page follows it.

const PAGE = 100; // rows that are shown at once
const CHOICES = ["dataset", "task", "metric", "part", "n"];
const FILTERS = ["kind", "class", "head", "preset"];
const data = JSON.parse(document.getElementById("data").textContent);
const fields = data.fields.map((name) => [name.replace("$", ""), name.startsWith("$")]);
const rows = data.rows.map((cells, index) => {
  const row = { index };
  fields.forEach(([name, text], i) => {
    const cell = cells[i] ?? null;
    row[name] = text ? (cell === null ? "" : data.texts[cell]) : cell;
  });
  row.kind = row.board === null ? "published" : "measured";
  row.count = row.seeds ? row.seeds.length : null;
  return row;
});
const ofColumn = data.columns.map(() => []);
for (const row of rows) ofColumn[row.column].push(row);

const COLUMNS = [
  { key: "place", label: "Place", cell: (row) => [row.place] },
  { key: "name", label: "Method, output", kind: "name", cell: nameCell },
  { key: "value", label: "Value", kind: "number", cell: (row) => [printed(row)] },
  { key: "low", label: "95 %", kind: "interval-cell", cell: intervalCell },
  { key: "count", label: "Seeds", kind: "number", cell: (row) => [row.count ?? ""] },
  { key: "beside", label: "Control", kind: "number", cell: (row) => [number(row.beside)] },
  { key: "gain", label: "Less its control", kind: "number", cell: gainCell },
  { key: "head", label: "Head", cell: (row) => [row.head] },
  { key: "preset", label: "Preset", cell: (row) => [row.preset] },
];
const DEFAULT = "place"; // the order of the data: sections, and the best first within them

const $ = (id) => document.getElementById(id);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) if (value !== null) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawn(tag, attributes, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

const hidden = (text) => element("span", { class: "hidden" }, text);
const isolated = (text) => element("bdi", {}, text); // a name that reads from right to left turns nothing beside it
const number = (value) => (value === null ? "" : Number(value.toFixed(2)).toFixed(2)); // no -0.00
const signed = (value) => (value > 0 ? "+" : "") + number(value);
const range = (low, high, shown) => (low === null ? "" : `${shown(low)} .. ${shown(high)}`);
const printed = (row) => (row.printed || number(row.value)) + (row.spread === null ? "" : ` ± ${row.printed ? row.spread : number(row.spread)}`);

function nameCell(row) {
  const button = element("button", { class: "open", type: "button", "aria-expanded": "false" }, isolated(row.name));
  const published = row.kind === "published";
  const tags = [element("span", { class: `tag ${row.class}${published ? " published" : ""}` }, (published ? "published, " : "") + row.class)];
  if (published) tags.push(isolated(row.source));
  if (row.count === 1) tags.push("one seed");
  return [button, element("div", { class: "tags" }, ...tags)];
}

function intervalCell(row) {
  const [least, most] = data.columns[row.column].axis;
  const x = (value) => 4 + (192 * (Math.min(Math.max(value, least), most) - least)) / (most - least);
  const said = [`value ${printed(row)}`];
  const parts = [drawn("line", { class: "axis", x1: 0, x2: 200, y1: 9, y2: 9 })];
  if (row.low !== null) {
    parts.push(drawn("line", { class: "interval", x1: x(row.low), x2: Math.max(x(row.high), x(row.low) + 1), y1: 9, y2: 9 }));
    said.push(`interval from ${number(row.low)} to ${number(row.high)}`);
  }
  if (row.beside !== null) {
    parts.push(drawn("circle", { class: "beside", cx: x(row.beside), cy: 9, r: 4 }));
    said.push(`its control ${number(row.beside)}`);
  }
  parts.push(
    row.kind === "measured"
      ? drawn("circle", { class: "value", cx: x(row.value), cy: 9, r: 4 })
      : drawn("rect", { class: "value", x: x(row.value) - 3.5, y: 5.5, width: 7, height: 7 }),
  );
  const bar = drawn("svg", { class: "bar", viewBox: "0 0 200 18", role: "img", "aria-label": said.join(", ") }, drawn("g", { class: row.class }, ...parts));
  return [bar, element("div", { class: "range" }, range(row.low, row.high, number))];
}

function gainCell(row) {
  if (row.gain === null) return [];
  const verdict = row.verdict === "better" || row.verdict === "worse" ? row.verdict : null;
  const value = element("span", { class: verdict }, signed(row.gain) + (verdict ? ` ${verdict}` : ""));
  return [value, element("div", { class: "range" }, range(row.gainLow, row.gainHigh, signed))];
}

// --- the state ---------------------------------------------------------------------------------------------------------

const state = () => new URLSearchParams(location.hash.slice(1));

function change(changes, quietly = false) {
  const next = state();
  if (!("page" in changes)) next.delete("page");
  for (const [name, value] of Object.entries(changes)) value === "" && name !== "part" && name !== "n" ? next.delete(name) : next.set(name, value);
  if (quietly) location.replace(`#${next}`);
  else location.hash = next;
  show(); // at once: the event of the change comes later
}

/** The chosen column; what the hash leaves open, or names wrongly, is the first there is. */
function chosenColumn(asked) {
  let left = data.columns.map((column, index) => ({ ...column, index }));
  const first = data.columns[data.start];
  for (const name of CHOICES) {
    const there = new Set(left.map((column) => column[name]));
    const value = there.has(asked.get(name)) ? asked.get(name) : there.has(first[name]) ? first[name] : there.has("") ? "" : left[0][name];
    fill(name, sortedChoices(name, there), value, (text) => choiceText(name, text, left));
    left = left.filter((column) => column[name] === value);
  }
  return left[0];
}

function sortedChoices(name, there) {
  const size = (text) => (text === "" ? -1 : text === "all" ? Infinity : Number(text));
  const order = name === "n" ? (a, b) => size(a) - size(b) : (a, b) => (a < b ? -1 : 1);
  return [...there].sort(order);
}

function choiceText(name, text, left) {
  if (text === "") return name === "part" ? "the whole" : "none";
  const measured = left.some((column) => column[name] === text && ofColumn[column.index].some((row) => row.kind === "measured"));
  return measured || name === "metric" || name === "n" ? text : `${text} (published only)`;
}

function fill(id, values, chosen, text = (value) => value) {
  $(id).replaceChildren(...values.map((value) => element("option", { value }, text(value))));
  $(id).value = chosen;
  $(id).disabled = values.length < 2;
}

// --- the page ----------------------------------------------------------------------------------------------------------

let shownAt = null; // the hash that the page shows

function show() {
  shownAt = location.hash;
  const asked = state();
  const column = chosenColumn(asked);
  const here = ofColumn[column.index];
  const kept = filtered(here, asked);
  const [key, down] = order(asked, column);
  const sorted = key === DEFAULT ? kept : [...kept].sort(comparing(key, down));
  const last = Math.max(0, Math.ceil(sorted.length / PAGE) - 1);
  const page = Math.min(Math.max(0, Math.floor(Number(asked.get("page")) || 1) - 1), last);
  const arrow = column.higher ? "↑" : "↓";
  const n = column.n === "" ? "" : `, n = ${column.n}`;
  const title = `${column.dataset}, ${column.task}: ${column.metric} ${arrow} (${column.higher ? "higher" : "lower"} is better), ${column.unit}${column.part ? `, ${column.part}` : ""}${n}`;
  $("rows").caption.replaceChildren(isolated(title));
  document.title = `${title} - lmbench leaderboard`;
  showTold(column, kept);
  showHead(key, down, kept);
  showRows(sorted.slice(page * PAGE, (page + 1) * PAGE), key === DEFAULT, kept);
  showPages(page, last);
  const mixed = key === DEFAULT || kept.length === 0 ? "" : " Rows that are not ranked as one stand mixed in this order: a place holds within its own section.";
  $("count").textContent = `${kept.length} of ${here.length} ${here.length === 1 ? "row" : "rows"}.${mixed}`;
}

function filtered(here, asked) {
  let kept = here;
  for (const name of FILTERS) {
    const there = new Set(here.map((row) => row[name]));
    const value = there.has(asked.get(name)) ? asked.get(name) : "";
    there.delete("");
    fill(name, ["", ...[...there].sort()], value, (text) => (text === "" ? "all" : text));
    if (value) kept = kept.filter((row) => row[name] === value);
  }
  const words = (asked.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
  if ($("q").value.trim() !== (asked.get("q") ?? "")) $("q").value = asked.get("q") ?? "";
  const text = (row) => [row.name, row.backbone, row.note, row.source, row.supervision, row.pretrained, row.head].join(" ").toLowerCase();
  return words.length ? kept.filter((row) => words.every((word) => text(row).includes(word))) : kept;
}

/** By which column, and whether downwards; the best come first where a number has a better direction. */
function order(asked, column) {
  const found = /^(-?)(\w+)$/.exec(asked.get("sort") ?? "");
  const key = found && COLUMNS.some((c) => c.key === found[2]) ? found[2] : DEFAULT;
  const keys = COLUMNS.flatMap((c) => (c.key === DEFAULT ? [[DEFAULT, "place, section by section"]] : [[c.key, c.label], [`-${c.key}`, `${c.label}, downwards`]]));
  const down = key !== DEFAULT && found[1] === "-";
  fill("order", keys.map(([value]) => value), (down ? "-" : "") + key, (value) => new Map(keys).get(value));
  return [key, down, column];
}

function comparing(key, down) {
  const sign = down ? -1 : 1;
  return (a, b) => {
    const [x, y] = [a[key], b[key]];
    const [none, other] = [x === null || x === "", y === null || y === ""];
    if (none || other) return none - other || a.index - b.index; // what has none comes last either way
    return sign * (x < y ? -1 : x > y ? 1 : 0) || a.index - b.index;
  };
}

function showTold(column, kept) {
  const here = new Set(kept.map((row) => row.board));
  const found = data.boards.filter((board, index) => board.column === column.index && here.has(index));
  const articles = found.map((board) => {
    const [first, ...more] = board.tells;
    const rest = element("details", {}, element("summary", {}, "Against controls and floors"), element("ul", {}, ...more.map((said) => element("li", {}, isolated(said)))));
    return element("article", {}, element("h2", {}, isolated(board.title)), element("p", {}, isolated(first)), ...(more.length ? [rest] : []));
  });
  const none = element("p", { class: "notice" }, "No measured row is shown: published numbers alone, each under its paper's own protocol.");
  $("told").replaceChildren(...(articles.length || !kept.length ? articles : [none]));
}

function showHead(key, down, kept) {
  for (const cell of $("rows").tHead.rows[0].cells) {
    cell.hidden = bare(kept, cell.dataset.key);
    const own = cell.dataset.key === key;
    cell.setAttribute("aria-sort", own ? (down ? "descending" : "ascending") : "none");
  }
}

/** Whether no row has anything in a column; one that says nothing is not shown. */
const bare = (kept, key) => key !== "low" && kept.every((row) => row[key] === null || row[key] === "");

function showRows(shown, inSections, kept) {
  const empty = COLUMNS.map((column) => bare(kept, column.key));
  const made = [];
  let section = null;
  shown.forEach((row, i) => {
    const apart = inSections && row.apart && shown[i + 1]?.index === row.index + 1; // a filter may hide the next one
    if (inSections && row.section !== section) {
      section = row.section;
      made.push(element("tr", { class: "group", role: "row" }, element("th", { colspan: COLUMNS.length, scope: "rowgroup", role: "rowheader" }, isolated(section))));
    }
    const cells = COLUMNS.map((column) => element("td", { class: column.kind ?? null, role: "cell", "data-label": column.label }, ...column.cell(row).filter((part) => part !== "")));
    if (apart) cells[0].append(hidden(", told apart from the next row"));
    cells.forEach((cell, place) => { cell.hidden = empty[place]; });
    const line = element("tr", { class: `row${apart ? " apart" : ""}`, role: "row" }, ...cells);
    line.addEventListener("click", (event) => {
      if (event.target.closest("a") || !getSelection().isCollapsed) return;
      toggle(line, row);
    });
    made.push(line);
  });
  if (!made.length) made.push(element("tr", { role: "row", class: "details" }, element("td", { colspan: COLUMNS.length, role: "cell" }, "No row has all that is asked for: clear the text or a filter.")));
  $("rows").tBodies[0].replaceChildren(...made);
}

function toggle(line, row) {
  const button = line.querySelector(".open");
  const open = button.getAttribute("aria-expanded") === "true";
  button.setAttribute("aria-expanded", String(!open));
  if (open) {
    line.nextElementSibling.remove();
    button.removeAttribute("aria-controls");
    return;
  }
  const id = `row-${row.index}`;
  button.setAttribute("aria-controls", id);
  line.after(element("tr", { class: "details", role: "row", id }, element("td", { colspan: COLUMNS.length, role: "cell" }, details(row))));
}

function showPages(page, last) {
  const turn = (text, to) => {
    const button = element("button", { type: "button" }, text);
    button.disabled = to < 0 || to > last;
    button.addEventListener("click", () => {
      change({ page: String(to + 1) });
      $("rows").scrollIntoView();
      $("rows").focus({ preventScroll: true });
    });
    return button;
  };
  $("pages").replaceChildren(...(last ? [turn("Previous rows", page - 1), `page ${page + 1} of ${last + 1}`, turn("Next rows", page + 1)] : []));
}

// --- a row opened ------------------------------------------------------------------------------------------------------

function details(row) {
  const listed = element("dl");
  const say = (term, ...told) => told.some((part) => part !== "") && listed.append(element("dt", {}, term), element("dd", {}, ...told));
  if (row.kind === "published") {
    say("Source", isolated(row.source));
  } else {
    say("Section", isolated(row.section));
    say("Place", row.place + (row.apart === null ? "" : row.apart ? "; told apart from the next row of its section" : "; not told apart from the next row of its section"));
    say("Value", `${printed(row)} ${data.columns[row.column].unit}, ${range(row.low, row.high, number) || "no interval"}`);
    say("Less its control", isolated(against(row)));
  }
  say("Learned from", isolated([row.supervision, row.pretrained && `images of ${row.pretrained}`].filter(Boolean).join(", ")));
  say("Backbone", isolated(row.backbone));
  say("Note", isolated(row.note));
  if (row.seeds) say("Records", element("ul", {}, ...row.seeds.map(recorded)));
  if (row.protocol !== null) say("Settings", settings(data.protocols[row.protocol]));
  return listed;
}

function against(row) {
  if (row.gain === null) return "no control was measured";
  const name = row.control ? `, ${row.control}` : ", by the record's own reference";
  const interval = row.gainLow === null ? "no interval" : `95 %: ${range(row.gainLow, row.gainHigh, signed)}`;
  const verdict = { better: "better", worse: "worse", open: "not told apart" }[row.verdict];
  return `${signed(row.gain)} (${interval})${verdict ? `: ${verdict}` : ""}; the control has ${number(row.beside)}${name}`;
}

function recorded([record, value]) {
  const [run, seed, version, finished] = data.records[record];
  const link = element("a", { href: `${data.folder}/${encodeURIComponent(run)}.json` }, `${run}.json`);
  const when = finished ? `, ${finished.slice(0, 10)}` : "";
  return element("li", {}, `seed ${seed}: ${number(value)}, lmbench ${version}${when}, `, link);
}

function settings(protocol) {
  const listed = element("dl");
  for (const [name, value] of Object.entries(protocol)) {
    if (value === null) continue;
    listed.append(element("dt", {}, isolated(name)), element("dd", {}, isolated(typeof value === "string" ? value : JSON.stringify(value))));
  }
  return element("details", {}, element("summary", {}, "of the number, as its record states them"), listed);
}

// --- beginning ---------------------------------------------------------------------------------------------------------

function begin() {
  for (const column of COLUMNS) {
    const button = element("button", { class: "sort", type: "button" }, column.label);
    button.addEventListener("click", () => {
      const [key, down, chosen] = order(state(), chosenColumn(state()));
      const bestDown = ["value", "low", "beside"].includes(column.key) ? chosen.higher : column.key === "gain" && chosen.higher;
      const next = key === column.key ? !down : bestDown;
      change({ sort: column.key === DEFAULT ? "" : (next ? "-" : "") + column.key });
    });
    $("rows").tHead.rows[0].append(element("th", { scope: "col", role: "columnheader", class: column.kind === "number" ? "number" : null, "data-key": column.key }, button));
  }
  for (const name of [...CHOICES, ...FILTERS]) $(name).addEventListener("change", () => change({ [name]: $(name).value }));
  $("order").addEventListener("change", () => change({ sort: $("order").value === DEFAULT ? "" : $("order").value }));
  let waiting = 0;
  $("q").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(() => change({ q: $("q").value.trim() }, true), 150);
  });
  $("classes").append(element("b", {}, "Classes"), ": ");
  for (const [name, words] of Object.entries(data.classes)) $("classes").append(element("span", { class: `tag ${name}` }, `${name}: ${words}`), " ");
  addEventListener("hashchange", () => location.hash === shownAt || show());
  if (data.columns.length) show();
  else $("told").replaceChildren(element("p", { class: "notice" }, "There is no row: no record is kept and no paper is brought."));
}

begin();
