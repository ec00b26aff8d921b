// Trains in a thread of its own, so that the page stays responsive, and posts what there is to draw.

// One training and one posting take about this long: some thirty pictures a second.
const MILLISECONDS = 25;

let exports;
let xs = [];
let running = true;
let hasPoints = false;
let scheduled = false;
// After a failure the module is in no state to be called.
let failed = false;
let turned = [];

// Memory may grow in any call, which detaches older views of it: take each view anew.
const bytes = (address, length) => new Uint8Array(exports.memory.buffer, address, length);
const text = (address, length) => new TextDecoder().decode(bytes(address, length));
let panic = "";
let refusal = "";

const host = {
  random: (address, length) => crypto.getRandomValues(bytes(address, length)),
  panicked: (address, length) => { panic = text(address, length); },
  refused: (address, length) => { refusal = text(address, length); },
  now: () => performance.now(),
};

async function load(address) {
  const response = await fetch(address);
  if (!response.ok) throw new Error(`${address}: ${response.status} ${response.statusText}`);
  const module = await WebAssembly.compile(await response.arrayBuffer());
  // Burn's dependencies import functions of wasm-bindgen's (clocks, consoles) that a training does not call.
  const imports = { host };
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    imports[from] ??= {};
    imports[from][name] ??= () => {
      throw new Error(`${from}.${name} was called`);
    };
  }
  ({ exports } = await WebAssembly.instantiate(module, imports));
}

function input(numbers) {
  const address = exports.input(numbers.length);
  new Float64Array(exports.memory.buffer, address, numbers.length).set(numbers);
}

// Turns a second, over the last second.
function pace() {
  const now = performance.now();
  turned.push([now, exports.turns()]);
  while (turned.length > 2 && turned[0][0] < now - 1000) turned.shift();
  const [then, turns] = turned[0];
  return now > then ? (1000 * (exports.turns() - turns)) / (now - then) : 0;
}

function post() {
  input(xs);
  const address = exports.bands();
  const length = METHODS * 3 * xs.length;
  const bands = new Float64Array(exports.memory.buffer, address, length).slice();
  postMessage({ bands, turns: exports.turns(), pace: running ? pace() : 0 }, [bands.buffer]);
}

const METHODS = 6;

const next = new MessageChannel();
next.port1.onmessage = () => guarded(() => {
  scheduled = false;
  if (!running || !hasPoints) return;
  exports.advance(MILLISECONDS);
  post();
  schedule();
});

function schedule() {
  if (scheduled || !running || !hasPoints) return;
  scheduled = true;
  next.port2.postMessage(null);
}

function guarded(work) {
  if (failed) return;
  try {
    work();
  } catch (error) {
    fail(panic || String(error));
  }
}

function fail(reason) {
  failed = true;
  postMessage({ failed: reason });
}

function take(order) {
  refusal = "";
  if (order.settings) {
    const { prior, noise, kl } = order.settings;
    exports.set_settings(prior, noise, kl);
  }
  if (order.points) {
    input(order.points.flatMap(({ x, y }) => [x, y]));
    exports.set_points();
    hasPoints = order.points.length > 0;
  }
  // Without a reason, one that was given before no longer holds.
  if (order.settings || order.points) postMessage({ refused: refusal });
  if ("restart" in order) {
    exports.restart(order.restart);
    turned = [];
  }
  if ("running" in order) {
    running = order.running;
    turned = [];
  }
  if (hasPoints && !running) post();
  schedule();
}

onmessage = async ({ data }) => {
  if (!data.module) {
    guarded(() => take(data));
    return;
  }
  xs = data.xs;
  try {
    await load(data.module);
  } catch (error) {
    fail(String(error.message ?? error));
    return;
  }
  postMessage({ loaded: true });
};
