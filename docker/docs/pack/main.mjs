// node main.mjs SITE OUT MERMAID: pack a built site for server.mjs.
//   OUT/raw, OUT/br, OUT/gzip   the files and their compressed forms
//   OUT/manifest.json           path -> media type, hash, sizes, cache rule; and the content security policies
// Equal input gives equal output, byte for byte. Exit 1 when the site has faults (DOCS_STRICT=false: warn), 2 when it has no front page.
import { createHash } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { siteProblems } from "./check.mjs";
import { compressed, hasHashInName, isHtml, mediaType, readSite } from "./files.mjs";
import { inlineScriptHashes } from "./html.mjs";
import { repair } from "./repair.mjs";

// Pages swapped in by script (instant navigation) run under the first page's policy, so small sites share one.
const SHARED_HASHES = 64;

const say = (text) => process.stderr.write(`docs: ${text}\n`);

function policy(hashes, hasWasm) {
  const scripts = ["'self'", ...(hasWasm ? ["'wasm-unsafe-eval'"] : []), ...[...hashes].sort()];
  return [
    "default-src 'self'", `script-src ${scripts.join(" ")}`, "style-src 'self' 'unsafe-inline'", "img-src 'self' data:",
    "font-src 'self' data:", "worker-src 'self' blob:", "object-src 'none'", "base-uri 'self'", "form-action 'self'",
    "frame-ancestors 'none'",
  ].join("; ");
}

/** {policies: [text], of: Map(path -> index)}: index 0 is for everything that is no page. */
function policies(files) {
  const hasWasm = [...files.keys()].some((path) => path.endsWith(".wasm"));
  const perPage = new Map([...files].filter(([path]) => isHtml(path))
    .map(([path, bytes]) => [path, inlineScriptHashes(bytes.toString("utf8"))]));
  const all = new Set([...perPage.values()].flatMap((hashes) => [...hashes]));
  const shared = all.size <= SHARED_HASHES;
  const texts = [policy(shared ? all : new Set(), hasWasm)];
  const of = new Map();
  for (const [path, hashes] of perPage) {
    const text = policy(shared ? all : hashes, hasWasm);
    if (!texts.includes(text)) texts.push(text);
    of.set(path, texts.indexOf(text));
  }
  return { texts, of };
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

function report(problems) {
  if (!problems.length) return true;
  say(`${problems.length} problem(s) in the site:`);
  for (const problem of problems) say(`- ${problem}`);
  const strict = !/^(false|0|no)$/i.test(process.env.DOCS_STRICT ?? "true");
  say(strict ? "no image is made; fix the source, or build with DOCS_STRICT=false to accept these"
    : "going on, because DOCS_STRICT=false");
  return !strict;
}

async function main([site, out, mermaid]) {
  const problems = [];
  const files = readSite(site, problems);
  if (!files.has("index.html")) {
    say("the site has no front page: add index.md (mkdocs) or index.html at its top level");
    return 2;
  }
  const changed = repair(files, mermaid, say);
  problems.push(...siteProblems(files));
  if (!report(problems)) return 1;
  const { texts, of } = policies(files);
  const entries = Object.fromEntries(await Promise.all([...files].map(async ([path, bytes]) =>
    [path, await packFile(out, path, bytes, { policyIndex: of.get(path), changed: changed.has(path) })])));
  const required = ["index.html", "search/search_index.json"].filter((path) => files.has(path));
  write(join(out, "manifest.json"), `${JSON.stringify({ policies: texts, required, files: entries }, null, 1)}\n`);
  const sum = (name) => Object.values(entries).reduce((total, { sizes }) => total + (sizes[name] ?? sizes.raw), 0);
  say(`${files.size} files, ${sum("raw")} bytes, ${sum("br")} as brotli, ${sum("gzip")} as gzip`);
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
