// Serves the packed site of docker/docs/pack with Node's own modules alone.
// Only paths of the manifest can be answered, so no request ever names a file.
import { randomBytes } from "node:crypto";
import { createReadStream, readFileSync, statSync } from "node:fs";
import { createServer } from "node:http";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { log, flush } from "./log.mjs";
import { Metrics } from "./metrics.mjs";
import { acceptedForms, matchesTag } from "./negotiate.mjs";

const SITE = process.env.UC_SITE ?? fileURLToPath(new URL("./site", import.meta.url));
const PORT = Number(process.env.UC_PORT ?? 8080);
const HOST = process.env.UC_HOST ?? "0.0.0.0";
const KEPT_IN_MEMORY = 1 << 20;
const KEPT_IN_TOTAL = 64 << 20;
const GRACE_MS = 2000;
const SAFE_ID = /^[A-Za-z0-9._-]{1,128}$/;
const TAG_SUFFIX = { raw: "", br: "-br", gzip: "-gz" };
const COMMON = [
  "x-content-type-options", "nosniff", "referrer-policy", "strict-origin-when-cross-origin",
  "cross-origin-opener-policy", "same-origin", "x-frame-options", "DENY",
];

/** One stored form of a file with all its headers ready: {tag, headers, notModified, size, body or file}. */
function prepareForm(path, entry, form, policy, budget) {
  const tag = `"${entry.hash}${TAG_SUFFIX[form]}"`;
  const file = join(SITE, form, path);
  const size = entry.sizes[form];
  if (statSync(file).size !== size) throw new Error(`${form}/${path} is not the file that was packed`);
  const kept = size <= KEPT_IN_MEMORY && size <= budget.left;
  if (kept) budget.left -= size;
  const caching = [
    "etag", tag, "cache-control", entry.immutable ? "public, max-age=31536000, immutable" : "no-cache",
    ...(Object.keys(entry.sizes).length > 1 ? ["vary", "accept-encoding"] : []),
  ];
  const headers = [
    "content-type", entry.type, "content-length", String(size), ...caching, ...COMMON, "content-security-policy", policy,
    ...(form === "raw" ? [] : ["content-encoding", form]),
  ];
  return { form, tag, headers, notModified: caching, size, file, body: kept ? readFileSync(file) : undefined };
}

/** {urls: path -> {br, gzip, raw}, folders: slashless folder -> its address, required, bytes}. */
function loadSite() {
  const manifest = JSON.parse(readFileSync(join(SITE, "manifest.json"), "utf8"));
  const budget = { left: KEPT_IN_TOTAL };
  const [urls, folders] = [new Map(), new Map()];
  for (const [path, entry] of Object.entries(manifest.files)) {
    const forms = {};
    for (const form of Object.keys(entry.sizes)) {
      forms[form] = prepareForm(path, entry, form, manifest.policies[entry.policy], budget);
    }
    urls.set(`/${path}`, forms);
    if (!/(^|\/)index\.html$/.test(path)) continue;
    const folder = `/${path.slice(0, -"index.html".length)}`;
    urls.set(folder, forms);
    if (folder !== "/") folders.set(folder.slice(0, -1), folder.split("/").map(encodeURIComponent).join("/"));
  }
  return { urls, folders, required: manifest.required, count: Object.keys(manifest.files).length };
}

const site = loadSite();
const metrics = new Metrics({ files: site.count });
let draining = false;

function decode(target) {
  const path = target.startsWith("/") ? target.split(/[?#]/, 1)[0] : (URL.canParse(target) ? new URL(target).pathname : "");
  // An encoded slash or backslash would make two addresses of one file.
  if (!path.includes("%")) return path;
  if (/%(2f|5c|00)/i.test(path)) return undefined;
  try {
    return decodeURIComponent(path);
  } catch {
    return undefined;
  }
}

function unhealthyBecause() {
  for (const path of site.required) {
    const raw = site.urls.get(`/${path}`)?.raw;
    try {
      if (!raw || statSync(raw.file).size !== raw.size) return `${path} is not the file that was packed`;
    } catch {
      return `${path} can't be read`;
    }
  }
  return undefined;
}

const own = {
  "/health": () => {
    const reason = unhealthyBecause();
    const body = { status: reason ? "unhealthy" : "healthy", files: site.count, ...(reason && { reason }) };
    return [reason ? 503 : 200, "application/json", `${JSON.stringify(body)}\n`];
  },
  "/ready": () => [draining ? 503 : 200, "application/json", `${JSON.stringify({ ready: !draining })}\n`],
  "/metrics": () => [200, "text/plain; version=0.0.4; charset=utf-8", metrics.text()],
};

/** Answer with a short text of our own: probes, redirects, refusals. */
function answer(exchange, status, type, text, extra = []) {
  const { request, response, id } = exchange;
  const body = Buffer.from(text);
  exchange.size = request.method === "HEAD" ? 0 : body.length;
  response.writeHead(status, [
    "content-type", type, "content-length", String(body.length), "cache-control", "no-store",
    ...COMMON, "content-security-policy", "default-src 'none'; frame-ancestors 'none'", "x-request-id", id, ...extra,
  ]);
  response.end(request.method === "HEAD" ? undefined : body);
}

function answerForm(exchange, status, { headers, body, file, size, form }) {
  const { request, response, id } = exchange;
  exchange.form = form;
  response.writeHead(status, [...headers, "x-request-id", id]);
  if (request.method === "HEAD") return void response.end();
  exchange.size = size;
  if (body) return void response.end(body);
  const stream = createReadStream(file);
  stream.on("error", (error) => {
    log("error", "file_unreadable", { file, error: error.message, request_id: id });
    response.destroy();
  });
  response.on("close", () => stream.destroy());
  stream.pipe(response);
}

function answerPage(exchange, forms, status) {
  const { request, response, id } = exchange;
  const order = acceptedForms(request.headers["accept-encoding"]);
  const chosen = forms[order.find((form) => forms[form]) ?? "raw"];
  const condition = request.headers["if-none-match"];
  if (status === 200 && condition && matchesTag(condition, chosen.tag)) {
    exchange.form = chosen.form;
    response.writeHead(304, [...chosen.notModified, "x-request-id", id]);
    return void response.end();
  }
  answerForm(exchange, status, chosen);
}

function route(exchange) {
  const { request } = exchange;
  if (request.method !== "GET" && request.method !== "HEAD") {
    // The body of a refused request is not worth reading.
    return answer(exchange, 405, "text/plain; charset=utf-8", "only GET and HEAD\n", ["allow", "GET, HEAD", "connection", "close"]);
  }
  const path = decode(request.url);
  const forms = site.urls.get(path);
  if (own[path] && Object.hasOwn(own, path)) return answer(exchange, ...own[path]());
  if (forms) return answerPage(exchange, forms, 200);
  const folder = site.folders.get(path);
  if (folder) {
    const question = request.url.indexOf("?");
    const location = question < 0 ? folder : folder + request.url.slice(question);
    return answer(exchange, 301, "text/plain; charset=utf-8", `moved to ${folder}\n`, ["location", location]);
  }
  const notFound = site.urls.get("/404.html");
  if (notFound) return answerPage(exchange, notFound, 404);
  return answer(exchange, 404, "text/plain; charset=utf-8", "not found\n");
}

function finish(exchange) {
  const { request, response, id, started } = exchange;
  const seconds = (performance.now() - started) / 1000;
  const status = response.statusCode;
  metrics.observe(request.method, status, seconds, exchange.form, exchange.size);
  const path = request.url.split("?", 1)[0].slice(0, 512);
  const probe = Object.hasOwn(own, path) && status < 400;
  log(probe ? "debug" : "info", "request", {
    request_id: id, method: request.method, path, status, ms: Math.round(seconds * 10000) / 10, bytes: exchange.size,
    ...(response.writableFinished ? {} : { aborted: true }),
  });
}

function handle(request, response) {
  const given = request.headers["x-request-id"];
  const id = given && SAFE_ID.test(given) ? given : randomBytes(16).toString("hex");
  const exchange = { request, response, id, started: performance.now(), form: "raw", size: 0 };
  response.shouldKeepAlive &&= !draining;
  response.on("close", () => finish(exchange));
  route(exchange);
}

const server = createServer({ keepAliveTimeout: 65_000, headersTimeout: 10_000, requestTimeout: 15_000 }, handle);
server.timeout = 120_000;
server.on("error", (error) => {
  log("error", "listen_failed", { host: HOST, port: PORT, error: error.message });
  flush();
  process.exit(1);
});

function stop(signal) {
  if (draining) return;
  draining = true;
  log("info", "stopping", { signal });
  server.close(() => {
    log("info", "stopped", {});
    flush();
    process.exit(0);
  });
  // A connection whose answer was already on its way goes idle later.
  setInterval(() => server.closeIdleConnections(), 50).unref();
  setTimeout(() => server.closeAllConnections(), GRACE_MS).unref();
}
process.on("SIGTERM", () => stop("SIGTERM"));
process.on("SIGINT", () => stop("SIGINT"));

server.listen(PORT, HOST, () => {
  log("info", "listening", { host: HOST, port: server.address().port, files: site.count });
});
