// Loads the model that the native program saved into the WebAssembly module, and compares what the two predict.
//
// node predict.mjs MODULE.wasm FOLDER
import { randomFillSync } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";

const [wasmFile, folder] = process.argv.slice(2);
const record = readFileSync(join(folder, "model.bpk"));
const native = JSON.parse(readFileSync(join(folder, "native.json"), "utf8"));

// Memory may grow in any call, which detaches older views of it: take each view anew.
let memory;
const bytes = (address, length) => new Uint8Array(memory.buffer, address, length);
const host = {
  random: (address, length) => randomFillSync(bytes(address, length)),
  panicked: (address, length) => console.error(new TextDecoder().decode(bytes(address, length))),
};

const module = await WebAssembly.compile(readFileSync(wasmFile));
// Burn's dependencies import functions of wasm-bindgen's (clocks, consoles) that a prediction does not call.
const imports = { host };
for (const { module: from, name } of WebAssembly.Module.imports(module)) {
  imports[from] ??= {};
  imports[from][name] ??= () => {
    throw new Error(`${from}.${name} was called`);
  };
}
const { exports } = await WebAssembly.instantiate(module, imports);
memory = exports.memory;

const address = exports.record_buffer(record.length);
bytes(address, record.length).set(record);
const count = exports.run();
const fields = 7;
const numbers = new Float64Array(memory.buffer, exports.predictions(), fields * count);
const noiseBits = new Uint32Array(memory.buffer, exports.noise_values(), native.noiseBits.length);

const sameNoise = native.noiseBits.filter((value, i) => value === noiseBits[i]).length;
console.log(`noise: ${sameNoise} of ${native.noiseBits.length} normals have the same bits`);

console.log("    x   first draw     mean   95 % interval       in one pass   95 % interval");
let largest = 0;
native.predictions.forEach(({ x, firstDraw, mean, lower, upper, inOnePass }, i) => {
  const here = numbers.slice(fields * i, fields * (i + 1));
  [firstDraw, mean, lower, upper, ...inOnePass].forEach((there, k) => {
    largest = Math.max(largest, Math.abs(here[k] - there) / (1 + Math.abs(there)));
  });
  const [d, m, l, u, om, ol, ou] = Array.from(here, (value) => value.toFixed(3).padStart(8));
  console.log(`${x.toFixed(2).padStart(5)}     ${d} ${m}   ${l} to ${u}      ${om}   ${ol} to ${ou}`);
});
console.log(`predictions: largest difference from the native ones ${largest.toExponential(1)}`);

// Written so that a NaN fails. Sums of products are taken in another order by each machine's kernels.
const same = count === native.predictions.length && sameNoise === native.noiseBits.length && largest <= 1e-5;
console.log(same ? "same draws, same predictions" : "NOT the same");
process.exit(same ? 0 : 1);
