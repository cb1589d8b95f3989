// Serves the packed site of docker/docs/pack with Node's own modules alone.
// Only addresses of the manifest are answered, so no request ever names a file.
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";
import { exit, log } from "./log.mjs";
import { Metrics } from "./metrics.mjs";
import { acceptedForms, matchesTag } from "./negotiate.mjs";
import { COMMON, NO_FRAMES, Site } from "./site.mjs";

const GRACE_MS = 2000;
const SAFE_HOST = /^[A-Za-z0-9.:[\]_-]{1,255}$/;
const SAFE_ID = /^[A-Za-z0-9._-]{1,128}$/;
const TEXT = "text/plain; charset=utf-8";
const BARE_POLICY = ["content-security-policy", "default-src 'none'; frame-ancestors 'none'", ...NO_FRAMES];

let site;
let metrics;
let draining = false;

const own = {
  "/health": () => {
    const inventory = site.inventory();
    const failed = inventory.filter(({ critical, state }) => critical && state === "failed");
    const reason = failed.map((entry) => `${entry.name}: ${entry.reason}`).join("; ");
    const body = {
      status: reason ? "unhealthy" : "healthy", files: site.count, ...(reason && { reason }), problems: site.problems, inventory,
    };
    return [reason ? 503 : 200, "application/json", `${JSON.stringify(body)}\n`];
  },
  "/ready": () => [draining ? 503 : 200, "application/json", `${JSON.stringify({ status: draining ? "not ready" : "ready" })}\n`],
  "/metrics": () => [200, "text/plain; version=0.0.4; charset=utf-8", metrics.text()],
};

/** The decoded path of a request target, or undefined when it has none that could be a page's. */
function decode(target) {
  let path = target.split(/[?#]/, 1)[0];
  if (!path.startsWith("/")) path = /^https?:\/\//i.test(path) && URL.canParse(path) ? new URL(path).pathname : "";
  if (!path.includes("%")) return path;
  // An encoded slash or backslash would make two addresses of one file.
  if (/%(2f|5c|00)/i.test(path)) return undefined;
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

/** The site's addresses at the host that they are asked at: a sitemap's are absolute, and the site knows none. */
function sitemap({ headers }) {
  const host = SAFE_HOST.test(headers.host ?? "") ? headers.host : "localhost";
  const origin = `${headers["x-forwarded-proto"] === "https" ? "https" : "http"}://${host}`;
  const urls = site.sitemap.map((address) => `<url><loc>${origin}${address}</loc></url>\n`).join("");
  return `<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="http://www.sitemaps.org/schemas/sitemap/0.9">\n${urls}</urlset>\n`;
}

/** A short text of our own: probes, redirects, refusals. */
function answerText({ request, response, id, count }, status, type, text, extra = []) {
  const body = Buffer.from(text);
  const headers = ["content-type", type, "content-length", String(body.length), "cache-control", "no-store"];
  response.writeHead(status, [...headers, ...COMMON, ...BARE_POLICY, "x-request-id", id, ...extra]);
  if (request.method === "HEAD") return void response.end();
  count("raw", body.length);
  response.end(body);
}

function answerForm({ request, response, id, count }, status, { headers, body, file, size, form }) {
  response.writeHead(status, [...headers, "x-request-id", id]);
  if (request.method === "HEAD") return void response.end();
  count(form, size);
  if (body !== undefined) return void response.end(body, "latin1");
  const stream = createReadStream(file);
  stream.on("error", (error) => {
    log("error", "file_unreadable", { file, error: error.message, request_id: id });
    response.destroy();
  });
  response.on("close", () => stream.destroy());
  stream.pipe(response);
}

function answerPage(exchange, status, forms) {
  const { request, response, id } = exchange;
  const order = acceptedForms(request.headers["accept-encoding"]);
  const chosen = forms[order.find((form) => forms[form]) ?? "raw"];
  const known = request.headers["if-none-match"];
  if (status === 200 && known && matchesTag(known, chosen.tag)) {
    response.writeHead(304, [...chosen.notModified, "x-request-id", id]);
    return void response.end();
  }
  answerForm(exchange, status, chosen);
}

function route(exchange) {
  const { method, url } = exchange.request;
  if (method !== "GET" && method !== "HEAD") {
    // The body of a refused request is not worth reading.
    return answerText(exchange, 405, TEXT, "only GET and HEAD\n", ["allow", "GET, HEAD", "connection", "close"]);
  }
  const path = decode(url);
  if (Object.hasOwn(own, path ?? "")) return answerText(exchange, ...own[path]());
  if (path === "/sitemap.xml" && site.sitemap) return answerText(exchange, 200, "application/xml", sitemap(exchange.request));
  const page = site.pages.get(path);
  if (page) return answerPage(exchange, 200, page);
  const folder = site.folders.get(path);
  if (folder) {
    const query = url.includes("?") ? url.slice(url.indexOf("?")) : "";
    return answerText(exchange, 301, TEXT, `moved to ${folder}\n`, ["location", folder + query]);
  }
  const notFound = site.pages.get("/404.html");
  return notFound ? answerPage(exchange, 404, notFound) : answerText(exchange, 404, TEXT, "not found\n");
}

function handle(request, response) {
  const started = performance.now();
  const given = request.headers["x-request-id"];
  const id = given && SAFE_ID.test(given) ? given : randomUUID().replaceAll("-", "");
  let [form, bytes] = ["raw", 0];
  const count = (sentForm, size) => ([form, bytes] = [sentForm, size]);
  if (draining) response.shouldKeepAlive = false;
  metrics.begin();
  response.on("close", () => {
    const seconds = (performance.now() - started) / 1000;
    const { method } = request;
    const status = response.statusCode;
    // A query may hold private words, and nothing here depends on it.
    const path = request.url.split("?", 1)[0].slice(0, 512);
    metrics.end(method, status, seconds, form, bytes);
    log(Object.hasOwn(own, path) && status < 400 ? "debug" : "info", "request", {
      request_id: id, method, path, status, ms: Math.round(seconds * 1e4) / 10, bytes,
      ...(response.writableFinished ? {} : { aborted: true }),
    });
  });
  route({ request, response, id, count });
}

function stop(server, signal) {
  if (draining) return;
  draining = true;
  log("info", "stopping", { signal });
  server.close(() => {
    log("info", "stopped");
    exit(0);
  });
  // A connection whose answer was already on its way goes idle later.
  setInterval(() => server.closeIdleConnections(), 50).unref();
  setTimeout(() => server.closeAllConnections(), GRACE_MS).unref();
}

function listen(port, host) {
  const server = createServer({ keepAliveTimeout: 65_000, headersTimeout: 10_000, requestTimeout: 15_000 }, handle);
  server.timeout = 120_000;
  // A request to be a proxy has no response object in Node; without an answer the client would wait or guess.
  server.on("connect", (_request, socket) => socket.end("HTTP/1.1 405 Method Not Allowed\r\nallow: GET, HEAD\r\nconnection: close\r\n\r\n"));
  server.on("error", (error) => {
    log("error", "listen_failed", { host, port, error: error.message });
    exit(1);
  });
  for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => stop(server, signal));
  server.listen(port, host, () => log("info", "listening", { host, port: server.address().port, files: site.count }));
}

function main({ UC_SITE, UC_PORT = "8080", UC_HOST = "0.0.0.0" }) {
  try {
    if (!/^\d+$/.test(UC_PORT) || Number(UC_PORT) > 65535) throw new Error(`UC_PORT is no port: ${UC_PORT}`);
    site = new Site(UC_SITE ?? fileURLToPath(new URL("./site", import.meta.url)));
    metrics = new Metrics({ files: site.count });
  } catch (error) {
    log("error", "start_failed", { error: error.message });
    exit(1);
    return;
  }
  listen(Number(UC_PORT), UC_HOST);
}

main(process.env);
