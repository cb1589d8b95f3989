// The packed site in memory: which address gives which stored bytes, with every header ready.
import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";

const KEPT_IN_MEMORY = 1 << 20;
const KEPT_IN_TOTAL = 64 << 20;
// A body that is a string, of a character for each byte, leaves with the head in one write; a large one would be copied for that.
const SENT_WITH_HEAD = 64 << 10;
const NAMES = { "index.html": "front page", "search/search_index.json": "search index" };
const TAG_SUFFIX = { raw: "", br: "-br", gzip: "-gz" };

/** Headers of every answer, the server's own texts included. */
export const COMMON = [
  "x-content-type-options", "nosniff", "referrer-policy", "strict-origin-when-cross-origin",
  "cross-origin-opener-policy", "same-origin",
];
export const NO_FRAMES = ["x-frame-options", "DENY"];
const OWN_FRAMES = ["x-frame-options", "SAMEORIGIN"];

/** One stored form of a file: {form, tag, headers, notModified, size, file, body when it is kept in memory}. */
function prepareForm(file, entry, form, policies, budget) {
  const size = entry.sizes[form];
  if (statSync(file).size !== size) throw new Error(`${file} is not the file that was packed`);
  const kept = size <= KEPT_IN_MEMORY && size <= budget.left;
  if (kept) budget.left -= size;
  const tag = `"${entry.hash}${TAG_SUFFIX[form]}"`;
  const caching = [
    "etag", tag, "cache-control", entry.immutable ? "public, max-age=31536000, immutable" : "no-cache",
    ...(Object.keys(entry.sizes).length > 1 ? ["vary", "accept-encoding"] : []),
  ];
  const headers = [
    "content-type", entry.type, "content-length", String(size), ...caching, ...COMMON, ...policies, ...(form === "raw" ? [] : ["content-encoding", form]),
  ];
  const body = kept ? readFileSync(file, size <= SENT_WITH_HEAD ? "latin1" : undefined) : undefined;
  return { form, tag, headers, notModified: caching, size, file, body };
}

export class Site {
  /** Read `root`/manifest.json and every file that it names; throws when one is missing or of another size. */
  constructor(root) {
    const manifest = JSON.parse(readFileSync(join(root, "manifest.json"), "utf8"));
    const budget = { left: KEPT_IN_TOTAL };
    this.pages = new Map();
    this.folders = new Map();
    this.required = manifest.required;
    this.sitemap = manifest.sitemap;
    this.declared = manifest.declared;
    this.problems = manifest.problems;
    this.count = Object.keys(manifest.files).length;
    for (const [path, entry] of Object.entries(manifest.files)) {
      const policies = ["content-security-policy", manifest.policies[entry.policy], ...(manifest.framed ? OWN_FRAMES : NO_FRAMES)];
      this.#add(path, Object.fromEntries(Object.keys(entry.sizes).map((form) =>
        [form, prepareForm(join(root, form, path), entry, form, policies, budget)])));
    }
  }

  #add(path, forms) {
    this.pages.set(`/${path}`, forms);
    if (!/(^|\/)index\.html$/.test(path)) return;
    const folder = `/${path.slice(0, -"index.html".length)}`;
    this.pages.set(folder, forms);
    if (folder !== "/") this.folders.set(folder.slice(0, -1), folder.split("/").map(encodeURIComponent).join("/"));
  }

  /** What the site declares, with its state; a critical entry that has failed makes the server unhealthy. */
  inventory() {
    const entry = (name, reason, critical, more = {}) =>
      ({ kind: "page", name, state: reason ? "failed" : "ready", reason: reason ?? "", critical, ...more });
    return [
      ...this.required.map((path) => entry(NAMES[path] ?? path, this.#fault(path), true)),
      entry("pages", this.declared.pages ? undefined : "the site has no page", true, { count: this.declared.pages }),
      ...this.declared.missing.map((page) => entry(page, "nav names it, and it is not in the docs folder", false)),
    ];
  }

  /** Why a file can't be served, or undefined. */
  #fault(path) {
    const { file, size } = this.pages.get(`/${path}`).raw;
    try {
      return statSync(file).size === size ? undefined : `${path} is not the file that was packed`;
    } catch (error) {
      return `${path} can't be read: ${error.code}`;
    }
  }
}
