// As much of a browser as the page and its worker need, without a thread and without the module: for claims that need no Chromium.
import { readFileSync } from "node:fs";
import { setTimeout } from "node:timers";
import vm from "node:vm";

export const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

// Waits until it is so, and fails if it is not within some seconds.
export async function until(isSo) {
  for (const end = Date.now() + 10_000; !isSo(); await sleep(5)) {
    if (Date.now() > end) throw new Error(`this is not so: ${isSo}`);
  }
}

class Element {
  children = [];
  dataset = {};
  style = { setProperty() {} };
  listeners = {};
  textContent = "";

  setAttribute() {}
  append(...children) { this.children.push(...children); }
  replaceChildren(...children) { this.children = children; }
  addEventListener(type, listener) { this.listeners[type] = listener; }
  fire(type) { this.listeners[type]({ target: this }); }
}

const MEMORY = 1 << 16;

// What the module exports; `wanted` takes the place of some of it, and gets its host's imports.
function exported(host, wanted) {
  const buffer = new ArrayBuffer(MEMORY);
  let turns = 0;
  let numbers = 0;
  // Calls the host with a sentence.
  const say = (what) => (sentence) => {
    const bytes = new TextEncoder().encode(sentence);
    new Uint8Array(buffer).set(bytes);
    host[what](0, bytes.length);
  };
  return {
    memory: { buffer },
    input: (count) => { numbers = count; return 0; },
    set_points: () => 1,
    set_settings: () => 1,
    restart: () => { turns = 0; },
    advance: () => { turns += 5; },
    turns: () => turns,
    bands: () => {
      new Float64Array(buffer, MEMORY / 2, 6 * 3 * numbers).fill(0.1);
      return MEMORY / 2;
    },
    ...wanted?.(say("refused"), say("panicked")),
  };
}

const source = readFileSync(new URL("../page/worker.js", import.meta.url), "utf8");
let pages = 0;

// A new page.
//   hash      the address after its #
//   loading   how long the module loads, in milliseconds
//   status    what the server says of it
//   module    (refuse, panic) => what the module does otherwise
//   workers   whether the browser has any
export async function open({ hash = "", loading = 0, status = 200, module, workers = true } = {}) {
  const elements = {};
  const listeners = {};
  const page = { element: (id) => (elements[id] ??= new Element()), written: 0 };
  const location = { hash };
  let closed = false;
  const later = (work, milliseconds) => setTimeout(() => closed || work(), milliseconds);

  class Worker {
    constructor() {
      const context = vm.createContext({
        performance, TextDecoder, Float64Array, Uint8Array, Error, String, crypto,
        postMessage: (data) => later(() => this.onmessage({ data })),
        fetch: async () => {
          await sleep(loading);
          return { ok: status === 200, status, statusText: "", arrayBuffer: async () => new ArrayBuffer(0) };
        },
        WebAssembly: {
          compile: async () => ({}),
          Module: { imports: () => [] },
          instantiate: async (_, { host }) => ({ exports: exported(host, module) }),
        },
        MessageChannel: class {
          port1 = {};
          port2 = { postMessage: () => later(() => this.port1.onmessage()) };
        },
      });
      vm.runInContext(source, context);
      this.postMessage = (data) => later(() => context.onmessage({ data }));
    }

    terminate() { this.postMessage = () => { throw new Error("an order to a worker that has ended"); }; }
  }

  Object.assign(globalThis, {
    document: {
      documentElement: new Element(),
      hidden: false,
      getElementById: page.element,
      createElement: () => new Element(),
      createElementNS: () => new Element(),
      addEventListener() {},
    },
    location,
    history: { replaceState: (_, __, address) => { page.written += 1; location.hash = address; } },
    addEventListener: (type, listener) => { listeners[type] = listener; },
    requestAnimationFrame: (draw) => later(draw, 5),
    setTimeout: later,
    Worker: workers ? Worker : undefined,
  });
  await import(`../page/page.js?${(pages += 1)}`);

  return Object.assign(page, {
    location,
    notice: () => (page.element("notice").hidden ? "" : page.element("notice").textContent),
    isDrawn: () => page.element("plots").children.every((figure) => figure.dataset.drawn === true),
    click: (id) => page.element(id).fire("click"),
    move: (id, share) => {
      page.element(id).value = share;
      page.element(id).fire("input");
    },
    follow: (link) => {
      location.hash = link;
      listeners.hashchange();
    },
    close: () => { closed = true; },
  });
}
