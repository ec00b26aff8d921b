// node --test examples/playground/tests/*.test.mjs
import assert from "node:assert/strict";
import { test } from "node:test";
import { open, sleep, until } from "./browser.mjs";

// A claim about a page, which is closed after it.
function claim(name, options, check) {
  test(name, async () => {
    const page = await open(options);
    try {
      await check(page);
    } finally {
      page.close();
    }
  });
}

claim("what is cleared without a pause and set anew is drawn", {}, async (page) => {
  await until(page.isDrawn);
  page.click("clear");
  assert.ok(!page.isDrawn());
  await sleep(50);
  page.click("example");
  await until(page.isDrawn);
  assert.match(page.element("status").textContent, /turns of each training/);
});

const heard = [];
const listening = () => ({ set_settings: (...settings) => heard.push(settings) });

claim("a slider that moves before the module is loaded is heard after it", { loading: 100, module: listening }, async (page) => {
  page.move("noise", 1);
  page.click("again");
  await sleep(50);
  assert.equal(page.notice(), "");
  await until(page.isDrawn);
  assert.deepEqual(heard, [[1, 1, 1]]);
  assert.equal(page.notice(), "");
});

claim("why the module can't be loaded stays, whatever is clicked", { status: 404 }, async (page) => {
  page.move("noise", 1);
  await until(page.notice);
  const said = page.notice();
  assert.match(said, /^The training has stopped: .*playground\.wasm: 404/);
  page.move("noise", 0);
  page.click("clear");
  page.follow("#points=1,1");
  await sleep(50);
  assert.equal(page.notice(), said);
});

let calls = 0;
const panicking = (refuse, panic) => ({
  set_settings: () => {
    refuse("an old reason");
    return 0;
  },
  advance: () => {
    calls += 1;
    panic("the first reason");
    throw new Error("unreachable");
  },
  set_points: () => {
    if (calls === 0) return 1;
    panic("already borrowed");
    throw new Error("unreachable");
  },
});

claim("a panic's reason stays, and what has failed is not called again", { module: panicking }, async (page) => {
  await until(() => page.notice().includes("has stopped"));
  page.click("clear");
  page.click("example");
  await sleep(50);
  assert.match(page.notice(), /stopped: the first reason\. Load the page again/);
  assert.equal(calls, 1);
});

const trapping = (refuse) => ({
  set_settings: () => {
    refuse("an old reason");
    return 0;
  },
  advance: () => { throw new Error("unreachable"); },
});

claim("a trap without a reason has none of a refusal before", { module: trapping }, async (page) => {
  await until(() => page.notice().includes("has stopped"));
  assert.match(page.notice(), /stopped: Error: unreachable\./);
});

claim("a link that can't be read is named beside a browser without workers", { hash: "#points=1", workers: false }, async (page) => {
  assert.match(page.notice(), /^This link can't be read: .*\. This browser has no web workers/);
  // Each goes with its own reason.
  page.follow("#points=1,1");
  assert.match(page.notice(), /^This browser has no web workers/);
});

const refusing = (refuse) => ({
  set_settings: (prior, noise) => {
    if (noise < 0.9) return 1;
    refuse("too much noise");
    return 0;
  },
});

claim("what was refused is named until an order is accepted, and other notices stay", { hash: "#points=1", module: refusing }, async (page) => {
  await until(page.isDrawn);
  assert.match(page.notice(), /^This link can't be read: [^.]*\. The page starts with points of its own\.$/);
  page.move("noise", 1);
  await until(() => page.notice().endsWith("The training refused that: too much noise."));
  assert.match(page.notice(), /^This link can't be read/);
  page.move("noise", 0);
  await until(() => !page.notice().includes("refused"));
  assert.match(page.notice(), /^This link can't be read/);
});

const steps = [];
const counting = () => ({ set_settings: (_, noise) => steps.push(noise) });

claim("the training hears of each step of a slider, and the address of its end", { module: counting }, async (page) => {
  await until(page.isDrawn);
  for (let i = 0; i <= 100; i += 1) page.move("noise", i / 100);
  await until(() => steps.length === 102);
  assert.equal(page.written, 0);
  await until(() => page.written > 0);
  assert.match(page.location.hash, /&noise=1&/);
  await sleep(400);
  assert.equal(page.written, 1);
});

claim("a link that is followed is not written over by what was before", {}, async (page) => {
  await until(page.isDrawn);
  page.move("noise", 1);
  page.follow("#points=1,1&noise=0.5");
  await sleep(400);
  assert.equal(page.location.hash, "#points=1,1&noise=0.5");
});
