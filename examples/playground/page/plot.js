// One picture: axes, points, and a method's bands.

import { FRAME } from "./state.js";

const WIDTH = 320;
const HEIGHT = 210;
const LEFT = 34;
const RIGHT = 8;
const TOP = 6;
const BOTTOM = 32;

const across = (x) => LEFT + ((x + FRAME.x) / (2 * FRAME.x)) * (WIDTH - LEFT - RIGHT);
const down = (y) => TOP + ((FRAME.y - y) / (2 * FRAME.y)) * (HEIGHT - TOP - BOTTOM);

function node(name, attributes = {}, ...children) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  made.append(...children);
  return made;
}

const minus = (number) => String(number).replace("-", "−");

function axes() {
  const grid = node("g", { class: "grid" });
  const labels = node("g", { class: "axes" });
  for (let x = -FRAME.x; x <= FRAME.x; x += 2) {
    grid.append(node("line", { x1: across(x), x2: across(x), y1: down(FRAME.y), y2: down(-FRAME.y) }));
    labels.append(node("text", { x: across(x), y: HEIGHT - BOTTOM + 14, "text-anchor": "middle" }, minus(x)));
  }
  for (let y = -2; y <= 2; y += 1) {
    grid.append(node("line", { y1: down(y), y2: down(y), x1: across(-FRAME.x), x2: across(FRAME.x) }));
    labels.append(node("text", { x: LEFT - 6, y: down(y) + 4, "text-anchor": "end" }, minus(y)));
  }
  labels.append(
    node("text", { class: "name", x: across(0), y: HEIGHT - 4, "text-anchor": "middle" }, "x"),
    node("text", { class: "name", x: 6, y: down(0) + 4 }, "y"),
  );
  return [grid, labels];
}

const decimals = (number) => number.toFixed(1);
// Far outside of the picture a path may end: some browsers draw none whose numbers are huge.
const clamped = (y) => Math.max(-4 * HEIGHT, Math.min(5 * HEIGHT, down(y)));
const line = (xs, ys) => xs.map((x, i) => `${decimals(across(x))},${decimals(clamped(ys[i]))}`).join("L");

function band(xs, mean, deviation) {
  const edge = (sign) => xs.map((_, i) => mean[i] + sign * 2 * deviation[i]);
  const back = line([...xs].reverse(), edge(-1).reverse());
  return `M${line(xs, edge(1))}L${back}Z`;
}

export class Plot {
  constructor(method, index) {
    this.figure = document.createElement("figure");
    this.figure.style.setProperty("--colour", `var(--c${index})`);
    this.figure.dataset.method = method.key;
    const caption = document.createElement("figcaption");
    const title = document.createElement("strong");
    title.textContent = method.name;
    this.note = document.createElement("span");
    caption.append(title, this.note);

    const clip = `inside-${method.key}`;
    const frame = { x: across(-FRAME.x), y: down(FRAME.y), width: across(FRAME.x) - across(-FRAME.x), height: down(-FRAME.y) - down(FRAME.y) };
    const inside = node("g", { "clip-path": `url(#${clip})` });
    this.outer = node("path", { class: "outer" });
    this.inner = node("path", { class: "inner" });
    this.mean = node("path", { class: "mean" });
    this.cross = node("path", { class: "cross" });
    this.points = node("g", { class: "points" });
    inside.append(this.outer, this.inner, this.mean, this.points, this.cross);
    this.svg = node("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT}`, role: "img", "aria-label": `${method.name}: mean and bands along x` });
    this.svg.append(node("clipPath", { id: clip }, node("rect", frame)), ...axes(), inside);
    this.figure.append(caption, this.svg);
  }

  // The place in the picture under the pointer, which may be outside of the axes.
  place(event) {
    const box = this.svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * WIDTH;
    const y = ((event.clientY - box.top) / box.height) * HEIGHT;
    return {
      x: ((x - LEFT) / (WIDTH - LEFT - RIGHT)) * 2 * FRAME.x - FRAME.x,
      y: FRAME.y - ((y - TOP) / (HEIGHT - TOP - BOTTOM)) * 2 * FRAME.y,
    };
  }

  showPoints(points) {
    this.points.replaceChildren(...points.map(({ x, y }) => node("circle", { cx: across(x), cy: down(y), r: 3.2 })));
  }

  showCross(place) {
    const arms = place && `M${across(place.x)},${TOP}V${HEIGHT - BOTTOM}M${LEFT},${down(place.y)}H${WIDTH - RIGHT}`;
    this.cross.setAttribute("d", arms || "");
  }

  // `atPoints` and `away` are mean deviations of the network, or NaN.
  showBands(xs, { mean, epistemic, total }, { atPoints, away }) {
    const there = mean.every(Number.isFinite);
    this.outer.setAttribute("d", there ? band(xs, mean, total) : "");
    this.inner.setAttribute("d", there ? band(xs, mean, epistemic) : "");
    this.mean.setAttribute("d", there ? `M${line(xs, mean)}` : "");
    const known = (value) => (Number.isFinite(value) ? value.toFixed(2) : "–");
    this.note.textContent = there ? `±${known(2 * atPoints)} at points, ±${known(2 * away)} away` : "its training went astray: start again";
    Object.assign(this.figure.dataset, { drawn: there, atPoints, away });
  }

  hideBands() {
    for (const path of [this.outer, this.inner, this.mean]) path.setAttribute("d", "");
    this.note.textContent = "";
    this.figure.dataset.drawn = false;
  }
}
