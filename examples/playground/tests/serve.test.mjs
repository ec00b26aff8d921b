// node --test examples/playground/tests/*.test.mjs
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { serve } from "../serve.mjs";

const folder = mkdtempSync(join(tmpdir(), "playground-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

// The status line that a request of this target gets: as it stands, which no client of Node's would send.
const answer = (port, target) =>
  new Promise((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () => socket.write(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`));
    let text = "";
    socket.setEncoding("utf8").on("data", (data) => { text += data; });
    socket.on("end", () => resolve(text.split("\r\n")[0])).on("error", reject);
  });

test("whatever is asked for has an answer", async () => {
  writeFileSync(join(folder, "index.html"), "a page");
  mkdirSync(join(folder, "below"));
  const server = await serve(folder, 0);
  const { port } = server.address();
  for (const target of ["/", "/?a=/b", "//", "/index.html", "http://localhost/index.html"]) {
    assert.equal(await answer(port, target), "HTTP/1.1 200 OK", target);
  }
  for (const target of ["/below", "/..", "/../..", "/%", "/%2e%2e", "http://", "*", "/nothing", "/index.html:"]) {
    assert.match(await answer(port, target), /^HTTP\/1\.1 (404|400) /, target);
  }
  const page = await fetch(`http://127.0.0.1:${port}/`);
  assert.equal(await page.text(), "a page");
  assert.match(page.headers.get("content-type"), /^text\/html/);
  server.close();
});

test("run.sh says what is wrong before it builds", () => {
  const tools = join(folder, "tools");
  mkdirSync(tools);
  const built = join(folder, "built");
  writeFileSync(join(tools, "cargo"), `#!/bin/sh\ntouch '${built}'\nexit 9\n`);
  chmodSync(join(tools, "cargo"), 0o755);
  const run = (...options) => {
    const script = fileURLToPath(new URL("../run.sh", import.meta.url));
    const env = { ...process.env, PATH: `${tools}${delimiter}${process.env.PATH}` };
    return spawnSync("bash", [script, ...options], { env, encoding: "utf8" });
  };
  for (const port of ["http", "-1", "65536", "080a", "--relaese", ""]) {
    const { status, stderr } = run(port);
    assert.equal(status, 2, port);
    assert.match(stderr, /is no port/);
  }
  const help = run("--help");
  assert.equal(help.status, 0);
  assert.match(help.stdout, /^Builds the page[^]*run\.sh \[--build-only\] \[PORT\][^]*any web server can serve that folder\.\n$/);
  assert.ok(!existsSync(built));
  assert.equal(run("8080").status, 9);
  assert.ok(existsSync(built));
});
