// node --test examples/playground/tests/*.test.mjs
import assert from "node:assert/strict";
import { test } from "node:test";
import { FRAME, SLIDERS, format, parse, start } from "../page/state.js";

test("what is read is written so that it is read as the same", () => {
  const fragments = [
    "",
    "points=",
    "points=0.0000001,-0.0000001",
    "points=0.00000049,0.0000005;-0,0;0.000001,-0.000001",
    "points=1.23456789012345678,-2.4999999999999999",
    `points=0.${"0".repeat(400)}1,2`,
    "prior=0.1&noise=0.0200000001&kl=9.99999",
    "noise=0.123456&points=4,-2.5;-4,2.5",
    "points=1%2C2%3B3%2C1",
  ];
  // The length of a number's decimals as well as its size.
  let random = 1;
  const next = (below) => (random = (random * 48271) % 2147483647) % below;
  for (let i = 0; i < 500; i += 1) {
    const coordinate = (most) => `${next(2) ? "-" : ""}${((next(1e6) / 1e6) * most * 10 ** -next(12)).toFixed(next(20))}`;
    const sliders = Object.entries(SLIDERS).map(([key, { least, most }]) => `${key}=${(least + (next(1e6) / 1e6) * (most - least)).toFixed(2 + next(15))}`);
    fragments.push(`points=${coordinate(FRAME.x)},${coordinate(FRAME.y)}&${sliders.join("&")}`);
  }
  for (const fragment of fragments) {
    const state = parse(fragment);
    const written = format(state);
    assert.deepEqual(parse(written), state, `${fragment} as ${written}`);
    assert.equal(format(parse(written)), written);
  }
  assert.deepEqual(parse(format(start())), start());
});
