// Serves a folder on this machine alone.
//
// node serve.mjs FOLDER PORT
import { readFile } from "node:fs/promises";
import { createServer } from "node:http";
import { basename, extname, join } from "node:path";
import { pathToFileURL } from "node:url";

const TYPES = {
  ".html": "text/html; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".wasm": "application/wasm",
};

// Returns the server once it listens; port 0 is any that is free.
export function serve(folder, port) {
  const server = createServer(async (request, response) => {
    // The folder has no folders: what stands before the name is of no interest.
    const file = join(folder, basename(request.url.split("?")[0]) || "index.html");
    const content = await readFile(file).catch(() => undefined);
    if (!content) {
      response.writeHead(404).end("not found");
      return;
    }
    response.writeHead(200, {
      "content-type": TYPES[extname(file)] ?? "application/octet-stream",
      "content-length": content.length,
      "cache-control": "no-cache",
    });
    response.end(content);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [folder, port] = process.argv.slice(2);
  try {
    const server = await serve(folder, Number(port));
    console.log(`the playground is at http://localhost:${server.address().port}/, until you press Ctrl-C`);
  } catch (error) {
    console.error(error.code === "EADDRINUSE" ? `port ${port} is taken: name another, run.sh PORT` : error.message);
    process.exit(1);
  }
}
