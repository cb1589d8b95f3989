// node main.mjs SITE OUT MERMAID [REPORT]: pack a built site for server.mjs.
//   OUT/raw, OUT/br, OUT/gzip   the files and their compressed forms
//   OUT/manifest.json           path -> media type, hash, sizes, cache rule; the policies; what the site declares
//   problems.json beside OUT    with REPORT, the problems of docsite: those and the ones that show here
// Equal input gives equal output, byte for byte. Exit 1 when a strict site has faults, 2 when it has no front page.
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { MOST_HANDLERS, siteProblems } from "./check.mjs";
import { compressed, hasHashInName, isHtml, mediaType, readSite } from "./files.mjs";
import { handlerHashes, hasFrames, inlineScriptHashes } from "./html.mjs";
import { repair } from "./repair.mjs";
import { counts, isStrict, lines, rarestFirst, readReport } from "./report.mjs";

// Pages swapped in by script (instant navigation) run under the first page's policy, so small sites share one.
const SHARED_HASHES = 64;

const isPage = (path) => isHtml(path) && path !== "404.html";
const say = (text) => process.stderr.write(`docs: ${text}\n`);

function policy({ hashes, handlers }, { hasWasm, framed }) {
  const allowed = [...hashes, ...handlers].sort();
  const scripts = ["'self'", ...(hasWasm ? ["'wasm-unsafe-eval'"] : []), ...(handlers.size ? ["'unsafe-hashes'"] : []), ...allowed];
  return [
    "default-src 'self'", `script-src ${scripts.join(" ")}`, "style-src 'self' 'unsafe-inline'", "img-src 'self' data:",
    "font-src 'self' data:", "worker-src 'self' blob:", "object-src 'none'", "base-uri 'self'", "form-action 'self'",
    `frame-ancestors '${framed ? "self" : "none"}'`,
  ].join("; ");
}

const NOTHING = { hashes: new Set(), handlers: new Set() };

/** What the inline code of a page needs; handlers beyond the limit are blocked, and reported as a problem. */
function inlineCode(html) {
  const handlers = handlerHashes(html);
  return { hashes: inlineScriptHashes(html), handlers: handlers.size > MOST_HANDLERS ? new Set() : handlers };
}

/** {texts, of: Map(path -> index), framed}: policy 0 is for everything that is no page. */
function policies(files) {
  const pages = [...files].filter(([path]) => isHtml(path)).map(([path, bytes]) => [path, bytes.toString("utf8")]);
  const site = {
    hasWasm: [...files.keys()].some((path) => path.endsWith(".wasm")),
    framed: pages.some(([, html]) => hasFrames(html)),
  };
  const perPage = new Map(pages.map(([path, html]) => [path, inlineCode(html)]));
  const all = Object.fromEntries(Object.keys(NOTHING).map((name) =>
    [name, new Set([...perPage.values()].flatMap((code) => [...code[name]]))]));
  const shared = all.hashes.size + all.handlers.size <= SHARED_HASHES;
  const texts = [policy(shared ? all : NOTHING, site)];
  const of = new Map();
  for (const [path, code] of perPage) {
    const text = policy(shared ? all : code, site);
    if (!texts.includes(text)) texts.push(text);
    of.set(path, texts.indexOf(text));
  }
  return { texts, of, framed: site.framed };
}

function write(path, bytes) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, bytes);
}

async function packFile(out, path, bytes, { policyIndex = 0, changed }) {
  const forms = { raw: bytes, ...(await compressed(path, bytes)) };
  const sizes = {};
  for (const [name, form] of Object.entries(forms)) {
    write(join(out, name, path), form);
    sizes[name] = form.length;
  }
  const hash = createHash("sha256").update(bytes).digest("hex").slice(0, 32);
  return { type: mediaType(path), hash, sizes, immutable: hasHashInName(path) && !changed, policy: policyIndex };
}

function accepted(problems, strict) {
  if (!problems.length) return true;
  for (const line of lines(problems)) say(line);
  say(strict ? "no image is made; fix the source, or build with DOCS_STRICT=false to accept these"
    : "the image is made with these");
  return !strict;
}

/** The addresses for a sitemap that the server writes, where the site has none with addresses of its own. */
function sitemap(files) {
  if (files.get("sitemap.xml")?.includes("<loc>")) return undefined;
  files.delete("sitemap.xml");
  return [...files.keys()].filter(isPage).map((path) =>
    `/${path.replace(/(^|\/)index\.html$/, "$1").split("/").map(encodeURIComponent).join("/")}`);
}

/** What /health lists: the pages, and those that nav names and that are not there. */
function declared(files, problems) {
  const missing = problems.filter(({ kind }) => kind === "missing page").map(({ text }) => /'([^']+)'/.exec(text)?.[1] ?? text);
  return { pages: [...files.keys()].filter(isPage).length, missing };
}

async function main([site, out, mermaid, reportFile]) {
  const problems = [];
  const before = readReport(reportFile);
  const files = readSite(site, problems);
  if (!files.has("index.html")) {
    say("the site has no front page: add index.md (mkdocs) or index.html at its top level");
    return 2;
  }
  const changed = repair(files, mermaid, say);
  problems.push(...siteProblems(files));
  if (!accepted(problems, isStrict(before, process.env.DOCS_STRICT))) return 1;
  const addresses = sitemap(files);
  const { texts, of, framed } = policies(files);
  const entries = Object.fromEntries(await Promise.all([...files].map(async ([path, bytes]) =>
    [path, await packFile(out, path, bytes, { policyIndex: of.get(path), changed: changed.has(path) })])));
  const required = ["index.html", "search/search_index.json"].filter((path) => files.has(path));
  const all = rarestFirst([...before.problems, ...problems]);
  const manifest = { policies: texts, framed, sitemap: addresses, required, declared: declared(files, all), problems: counts(all), files: entries };
  write(join(out, "manifest.json"), `${JSON.stringify(manifest, null, 1)}\n`);
  if (reportFile) {
    const report = { source: before.source, kinds: counts(all), problems: all };
    write(join(dirname(out), "problems.json"), `${JSON.stringify(report, null, 1)}\n`);
  }
  const sum = (name) => Object.values(entries).reduce((total, { sizes }) => total + (sizes[name] ?? sizes.raw), 0);
  say(`${files.size} files, ${sum("raw")} bytes, ${sum("br")} as brotli, ${sum("gzip")} as gzip`);
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
