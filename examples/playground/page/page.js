// The page: pictures, points, sliders, and the worker that trains.

import { Plot } from "./plot.js";
import { FRAME, MOST_POINTS, SLIDERS, example, format, parse, short, start } from "./state.js";

// In the order of `Method::ALL` in Rust.
const METHODS = [
  { key: "mean-field", name: "Mean-field VI" },
  { key: "ivon", name: "IVON" },
  { key: "sgld", name: "SGLD" },
  { key: "ensemble", name: "Ensemble" },
  { key: "dropout", name: "Dropout" },
  { key: "laplace", name: "Laplace" },
];
const XS = Array.from({ length: 81 }, (_, i) => -FRAME.x + (i * 2 * FRAME.x) / 80);
// How far from all points counts as away from them, and how near a click on a point is.
const AWAY = 1;
const NEAR = { x: 0.16, y: 0.16 };
// Browsers refuse an address that is written too often: it waits for so many milliseconds without a change.
const REST = 300;

const element = (id) => document.getElementById(id);
const status = (text) => { element("status").textContent = text; };

// A sentence for each kind of notice, so that one neither replaces nor takes away another.
const notices = new Map();

function notice(kind, sentence) {
  if (sentence) notices.set(kind, sentence);
  else notices.delete(kind);
  const text = [...notices.values()].join(" ");
  const { textContent } = element("notice");
  // A text that is set anew is read out anew.
  if (text !== textContent) element("notice").textContent = text;
  element("notice").hidden = !text;
}

const plots = METHODS.map((method, i) => new Plot(method, i));
element("plots").append(...plots.map((plot) => plot.figure));

let state = start();
let worker;
// Whether the worker has its module, and the whole state with it.
let isReady = false;
let writing;
let seed = 1;
let paused = false;
let cross;
let latest;
const drawnAt = [];

// State.

function read() {
  try {
    state = parse(location.hash.slice(1));
    notice("link", "");
  } catch (error) {
    state = start();
    notice("link", `This link can't be read: ${error.message}. The page starts with points of its own.`);
  }
}

function write() {
  clearTimeout(writing);
  writing = setTimeout(() => history.replaceState(null, "", `#${format(state)}`), REST);
}

const settings = () => ({ prior: state.prior, noise: state.noise, kl: state.kl });

function send(order) {
  if (isReady) worker.postMessage(order);
}

function show() {
  for (const [key, { least, most }] of Object.entries(SLIDERS)) {
    element(key).value = Math.log(state[key] / least) / Math.log(most / least);
    showValue(key);
  }
  showPoints();
}

function showValue(key) {
  const value = state[key].toPrecision(2);
  element(`${key}-value`).textContent = Number(value);
  element(key).setAttribute("aria-valuetext", Number(value));
}

function showPoints() {
  plots.forEach((plot) => plot.showPoints(state.points));
  element("plots").dataset.points = state.points.length;
  if (state.points.length < MOST_POINTS) notice("room", "");
  if (state.points.length === 0) {
    latest = undefined;
    plots.forEach((plot) => plot.hideBands());
    if (isReady) status("There is nothing to learn yet: click into a picture to set a point.");
  }
}

function setPoints(points) {
  state.points = points;
  showPoints();
  send({ points });
  write();
}

// A point at a place, or none where there is one.
function toggle(place) {
  const x = Number(place.x.toFixed(2));
  const y = Number(place.y.toFixed(2));
  if (Math.abs(x) > FRAME.x || Math.abs(y) > FRAME.y) return;
  const distance = (p) => Math.hypot((p.x - x) / NEAR.x, (p.y - y) / NEAR.y);
  const near = state.points.filter((p) => distance(p) < 1).sort((a, b) => distance(a) - distance(b));
  if (near.length > 0) {
    setPoints(state.points.filter((p) => p !== near[0]));
    speak(`Point at ${near[0].x}, ${near[0].y} taken away: ${state.points.length} left.`);
  } else if (state.points.length === MOST_POINTS) {
    notice("room", `There is room for ${MOST_POINTS} points.`);
  } else {
    setPoints([...state.points, { x, y }]);
    speak(`Point set at ${x}, ${y}: ${state.points.length} in all.`);
  }
}

function speak(text) {
  element("spoken").textContent = text;
}

// Drawing.

function widths(epistemic) {
  const mean = (wanted) => {
    const values = Array.from(epistemic).filter((_, i) => wanted(XS[i]));
    return values.reduce((sum, value) => sum + value, 0) / values.length;
  };
  const step = XS[1] - XS[0];
  const nearest = (x) => Math.min(...state.points.map((point) => Math.abs(point.x - x)));
  return { atPoints: mean((x) => nearest(x) <= step / 2 + 1e-9), away: mean((x) => nearest(x) > AWAY) };
}

function draw() {
  const picture = latest;
  latest = undefined;
  if (!picture || state.points.length === 0) return;
  const { bands, turns, pace } = picture;
  const column = (method, kind) => bands.subarray((3 * method + kind) * XS.length, (3 * method + kind + 1) * XS.length);
  plots.forEach((plot, i) => {
    const [mean, epistemic, total] = [0, 1, 2].map((kind) => column(i, kind));
    plot.showBands(XS, { mean, epistemic, total }, widths(epistemic));
  });
  const now = performance.now();
  const page = document.documentElement.dataset;
  page.firstPicture ??= Math.round(now);
  drawnAt.push(now);
  while (drawnAt[0] < now - 1000) drawnAt.shift();
  Object.assign(page, { turns, turnsPerSecond: pace.toFixed(1), framesPerSecond: drawnAt.length });
  const count = turns.toLocaleString("en");
  status(
    paused
      ? `Paused after ${count} turns of each training.`
      : `${count} turns of each training, ${pace.toFixed(0)} a second, in ${drawnAt.length} pictures a second.`,
  );
}

// The worker.

function connect() {
  if (typeof Worker === "undefined") {
    notice("browser", "This browser has no web workers, in which the networks train: the page shows points, and no bands.");
    return;
  }
  if (typeof WebAssembly !== "object") {
    notice("browser", "This browser has no WebAssembly, in which the networks train: the page shows points, and no bands.");
    return;
  }
  worker = new Worker(new URL("worker.js", import.meta.url));
  worker.onerror = () => fail("its worker can't be loaded");
  worker.onmessage = ({ data }) => {
    if (!worker) return;
    if (data.loaded) {
      isReady = true;
      status("The first picture is on its way.");
      send({ settings: settings(), points: state.points, running: isRunning() });
      showPoints();
    } else if (data.bands) {
      if (!latest) requestAnimationFrame(draw);
      latest = data;
    } else if ("refused" in data) {
      notice("refused", data.refused && `The training refused that: ${data.refused}.`);
    } else if (data.failed) {
      fail(data.failed);
    }
  };
  worker.postMessage({ module: new URL("playground.wasm", import.meta.url).href, xs: XS });
}

// The first reason is the true one: what has failed gets no orders any more.
function fail(reason) {
  if (!worker) return;
  worker.terminate();
  worker = undefined;
  isReady = false;
  latest = undefined;
  notice("failed", `The training has stopped: ${reason}. Load the page again; it keeps the points.`);
  status("");
}

const isRunning = () => !paused && !document.hidden;

// Controls.

for (const [key, { least, most }] of Object.entries(SLIDERS)) {
  element(key).addEventListener("input", ({ target }) => {
    state[key] = short(least * (most / least) ** Number(target.value));
    showValue(key);
    send({ settings: settings() });
    write();
  });
}

element("controls").addEventListener("submit", (event) => event.preventDefault());
element("pause").addEventListener("click", ({ target }) => {
  paused = !paused;
  target.textContent = paused ? "Go on" : "Pause";
  target.setAttribute("aria-pressed", paused);
  send({ running: isRunning() });
});
element("again").addEventListener("click", () => send({ restart: (seed += 1) }));
element("example").addEventListener("click", () => setPoints(example()));
element("clear").addEventListener("click", () => setPoints([]));
document.addEventListener("visibilitychange", () => send({ running: isRunning() }));

plots.forEach((plot) => plot.svg.addEventListener("click", (event) => toggle(plot.place(event))));

const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };

element("plots").addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const arrow = ARROWS[event.key];
  if (arrow) {
    const step = event.shiftKey ? 0.5 : 0.1;
    cross ??= { x: 0, y: 0 };
    const moved = (key, i) => Math.max(-FRAME[key], Math.min(FRAME[key], cross[key] + step * arrow[i]));
    cross = { x: Number(moved("x", 0).toFixed(2)), y: Number(moved("y", 1).toFixed(2)) };
    speak(`${cross.x}, ${cross.y}`);
  } else if (event.key === "Enter" || event.key === " ") {
    if (cross) toggle(cross);
    cross ??= { x: 0, y: 0 };
  } else if (event.key === "Escape") {
    cross = undefined;
  } else {
    return;
  }
  event.preventDefault();
  plots.forEach((plot) => plot.showCross(cross));
});
element("plots").addEventListener("blur", () => plots.forEach((plot) => plot.showCross(undefined)));

addEventListener("hashchange", () => {
  clearTimeout(writing);
  read();
  show();
  send({ settings: settings(), points: state.points });
});

read();
show();
connect();
