// Serves a folder on this machine alone.
//
// node serve.mjs FOLDER PORT
import { createReadStream } from "node:fs";
import { stat } from "node:fs/promises";
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
    const { pathname } = new URL(request.url, "http://localhost");
    // The folder has no folders: what stands before the name is of no interest.
    const file = join(folder, pathname === "/" ? "index.html" : basename(pathname));
    const there = await stat(file).catch(() => undefined);
    if (!there?.isFile()) {
      response.writeHead(404).end("not found");
      return;
    }
    response.writeHead(200, {
      "content-type": TYPES[extname(file)] ?? "application/octet-stream",
      "content-length": there.size,
      "cache-control": "no-cache",
    });
    createReadStream(file).pipe(response);
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, "127.0.0.1", () => resolve(server));
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  const [folder, port] = process.argv.slice(2);
  try {
    await serve(folder, Number(port));
  } catch (error) {
    console.error(error.code === "EADDRINUSE" ? `port ${port} is taken: name another, run.sh PORT` : error.message);
    process.exit(1);
  }
  console.log(`the playground is at http://localhost:${port}/, until you press Ctrl-C`);
}
