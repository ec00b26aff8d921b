// What the page's address keeps after its #: the points and the sliders. Ranges are those of `Settings` in Rust.

export const FRAME = { x: 4, y: 2.5 };
export const MOST_POINTS = 200;

// The sliders, each on a scale of logarithms.
export const SLIDERS = {
  prior: { least: 0.1, most: 10, start: 1, name: "prior deviation" },
  noise: { least: 0.02, most: 1, start: 0.1, name: "noise" },
  kl: { least: 0.01, most: 10, start: 1, name: "KL weight" },
};

// Two stretches of a curve, with a gap between them.
const EXAMPLE = [
  [-2.4, -0.3], [-2.15, 0.06], [-1.9, -0.35], [-1.65, -0.52], [-1.4, -0.93], [-1.15, -0.9], [-0.9, -1.06],
  [0.9, 1.03], [1.15, 0.92], [1.4, 0.94], [1.65, 0.55], [1.9, 0.36], [2.15, -0.1], [2.4, -0.35],
];

export const example = () => EXAMPLE.map(([x, y]) => ({ x, y }));

export function start() {
  const state = { points: example() };
  for (const [key, { start }] of Object.entries(SLIDERS)) state[key] = start;
  return state;
}

// A slider has three digits.
export const short = (number) => Number(number.toPrecision(3));
// More decimals make no pixel of difference; of smaller numbers `String` makes an exponent.
const fixed = (number) => Number(number.toFixed(6)) + 0;

export function format(state) {
  const points = state.points.map(({ x, y }) => `${x},${y}`).join(";");
  const sliders = Object.keys(SLIDERS).map((key) => `${key}=${state[key]}`);
  return `points=${points}&${sliders.join("&")}`;
}

// Decimal numbers alone: `Number` takes "", " " and "0x10" as well.
function number(text, what) {
  if (!/^-?\d+(\.\d+)?$/.test(text)) throw new Error(`${what} “${text}” is not a number`);
  return Number(text);
}

function point(text) {
  const parts = text.split(",");
  if (parts.length !== 2) throw new Error(`its point “${text}” is not a pair of numbers`);
  const [x, y] = parts.map((part) => number(part, "a coordinate,"));
  if (Math.abs(x) > FRAME.x || Math.abs(y) > FRAME.y) {
    throw new Error(`its point “${text}” lies outside the picture, which ends at ±${FRAME.x} and ±${FRAME.y}`);
  }
  return { x: fixed(x), y: fixed(y) };
}

// The state in a fragment without its #, as `format` writes it. What it leaves out is as at the start. Throws a clause that says what is wrong.
export function parse(fragment) {
  const state = start();
  if (fragment === "") return state;
  const seen = new Set();
  for (const part of fragment.split("&")) {
    const at = part.indexOf("=");
    if (at < 0) throw new Error(`“${part}” sets nothing`);
    const key = part.slice(0, at);
    let value;
    try {
      value = decodeURIComponent(part.slice(at + 1));
    } catch {
      throw new Error(`“${part}” is not encoded as an address is`);
    }
    if (seen.has(key)) throw new Error(`it sets “${key}” twice`);
    seen.add(key);
    if (key === "points") {
      state.points = value === "" ? [] : value.split(";").map(point);
      if (state.points.length > MOST_POINTS) {
        throw new Error(`there is room for ${MOST_POINTS} points, and it has ${state.points.length}`);
      }
    } else if (Object.hasOwn(SLIDERS, key)) {
      const { least, most, name } = SLIDERS[key];
      const given = number(value, `its ${name},`);
      if (!(given >= least && given <= most)) {
        throw new Error(`its ${name}, ${value}, does not lie between ${least} and ${most}`);
      }
      state[key] = short(given);
    } else {
      throw new Error(`there is no setting “${key}”`);
    }
  }
  return state;
}
