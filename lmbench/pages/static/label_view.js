"use strict";
// The image with its marks: what is seen of it, and where in it a pointer is. Pixels of the image count from the centre of the
// first one, x before y; `at` and `of` lead from there to the view and back.

const data = JSON.parse(document.getElementById("data").textContent);
const $ = (id) => document.getElementById(id);
const SVG = "http://www.w3.org/2000/svg";
const COLOURS = ["#e69f00", "#56b4e9", "#00c08a", "#f0e442", "#4d8bff", "#ff6a3d", "#e58fc5", "#ffffff"];
const colour = (k) => COLOURS[k % COLOURS.length];
const NEAR = { mouse: 12, touch: 24 }; // CSS pixels from a mark at which it is meant
const STILL = 5; // by which a pointer may move and still click
const MOST = 60; // CSS pixels that a pixel may be large
const view = $("view"), photo = $("photo");

const seen = { width: 1, height: 1, scale: 1, left: 0, top: 0, whole: true };
const at = ([x, y]) => [seen.left + (x + 0.5) * seen.scale, seen.top + (y + 0.5) * seen.scale];
const of = ([u, v]) => [(u - seen.left) / seen.scale - 0.5, (v - seen.top) / seen.scale - 0.5];
const inside = ([x, y]) => x >= -0.5 && y >= -0.5 && x <= seen.width - 0.5 && y <= seen.height - 0.5;
const clamped = ([x, y]) => [Math.min(Math.max(x, -0.5), seen.width - 0.5), Math.min(Math.max(y, -0.5), seen.height - 0.5)];
const fitting = () => Math.min(view.clientWidth / seen.width, view.clientHeight / seen.height);

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawn(tag, attributes, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function showWhole() {
  seen.whole = true;
  seen.scale = fitting();
  seen.left = (view.clientWidth - seen.width * seen.scale) / 2;
  seen.top = (view.clientHeight - seen.height * seen.scale) / 2;
  place();
}

function zoom(factor, [u, v] = [view.clientWidth / 2, view.clientHeight / 2]) {
  const scale = Math.min(Math.max(seen.scale * factor, fitting() / 2), Math.max(MOST, fitting()));
  seen.left = u - (u - seen.left) * (scale / seen.scale);
  seen.top = v - (v - seen.top) * (scale / seen.scale);
  Object.assign(seen, { scale, whole: false });
  place();
}

function closeTo(point) {
  Object.assign(seen, { scale: Math.max(4 * fitting(), 4), whole: false });
  seen.left = view.clientWidth / 2 - (point[0] + 0.5) * seen.scale;
  seen.top = view.clientHeight / 2 - (point[1] + 0.5) * seen.scale;
  place();
}

function place() {
  // A part of the image stays in view, wherever it is dragged.
  const edge = 40;
  seen.left = Math.min(Math.max(seen.left, edge - seen.width * seen.scale), view.clientWidth - edge);
  seen.top = Math.min(Math.max(seen.top, edge - seen.height * seen.scale), view.clientHeight - edge);
  photo.style.transform = `translate(${seen.left}px, ${seen.top}px) scale(${seen.scale})`;
  photo.classList.toggle("close", seen.scale >= 3);
  drawMarks();
}

// Names that would lie on each other, or that are many, are told by their numbers; that of the chosen one always by its name.
function crowded(k, [u, v]) {
  if (k === state.chosen) return false;
  const others = state.marks.map((mark, i) => (Array.isArray(mark) ? mark : open(i))).filter((point, i) => point && i !== k).map(at);
  return data.names.length > 12 || others.some(([a, b]) => Math.abs(a - u) < 100 && Math.abs(b - v) < 18);
}

function drawMark(k, point, kind) {
  const [u, v] = at(point);
  const group = drawn("g", { class: kind, transform: `translate(${u} ${v})` },
    drawn("circle", { class: "rim", r: 8 }), drawn("circle", { class: "ring", r: 8, stroke: colour(k) }));
  if (!kind.includes("proposed")) group.append(drawn("circle", { class: "dot", r: 1.75, fill: colour(k) }));
  const label = drawn("text", { x: 12, y: -8 });
  label.textContent = crowded(k, [u, v]) ? String(k + 1) : data.names[k];
  group.append(label);
  return group;
}

// Pointers: one that stays is a click; one that moves drags a mark, or the image; two pinch. `taken` says what happened.
function followPointers(taken) {
  const down = new Map();
  let drag = null;
  const where = (e) => { const box = view.getBoundingClientRect(); return [e.clientX - box.left, e.clientY - box.top]; };
  const middle = () => { const [a, b] = [...down.values()]; return [(a[0] + b[0]) / 2, (a[1] + b[1]) / 2]; };
  const apart = () => { const [a, b] = [...down.values()]; return Math.hypot(a[0] - b[0], a[1] - b[1]); };
  view.addEventListener("pointerdown", (e) => {
    if (e.button > 0) return;
    view.setPointerCapture(e.pointerId);
    down.set(e.pointerId, where(e));
    if (down.size === 2) {
      if (drag?.mark !== undefined && drag.moved) taken.dropped(drag.mark);
      drag = { pinch: true, middle: middle(), apart: apart() };
    } else if (down.size === 1) {
      drag = { from: where(e), last: where(e), mark: taken.near(where(e), NEAR[e.pointerType] ?? NEAR.mouse), moved: false };
    }
  });
  view.addEventListener("pointermove", (e) => {
    if (!down.has(e.pointerId) || !drag) return;
    const now = where(e);
    down.set(e.pointerId, now);
    if (drag.pinch) {
      if (down.size < 2) return;
      const [center, distance] = [middle(), apart()];
      seen.left += center[0] - drag.middle[0];
      seen.top += center[1] - drag.middle[1];
      zoom(distance / Math.max(drag.apart, 1), center);
      Object.assign(drag, { middle: center, apart: distance });
      return;
    }
    drag.moved ||= Math.hypot(now[0] - drag.from[0], now[1] - drag.from[1]) > STILL;
    if (drag.moved && drag.mark !== undefined) taken.dragged(drag.mark, clamped(of(now)));
    else if (drag.moved) { seen.whole = false; seen.left += now[0] - drag.last[0]; seen.top += now[1] - drag.last[1]; place(); }
    if (drag.moved || drag.mark === undefined) drag.last = now;
  });
  const up = (e) => {
    if (!down.delete(e.pointerId) || !drag) return;
    const was = drag;
    if (down.size === 0) drag = null;
    if (was.pinch) return;
    if (e.type === "pointercancel") { if (was.mark !== undefined && was.moved) taken.dropped(was.mark); return; }
    if (!was.moved) taken.clicked(of(was.from), was.mark);
    else if (was.mark !== undefined) taken.dropped(was.mark);
  };
  view.addEventListener("pointerup", up);
  view.addEventListener("pointercancel", up);
  view.addEventListener("wheel", (e) => {
    e.preventDefault();
    zoom(Math.exp(-e.deltaY * (e.deltaMode === 1 ? 0.05 : 0.0018)), where(e));
  }, { passive: false });
}
