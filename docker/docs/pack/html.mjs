// What the packer needs to know of a page: its inline scripts and the files and hosts that it loads by itself.
import { createHash } from "node:crypto";

const ATTRIBUTES = String.raw`((?:[^>"']|"[^"]*"|'[^']*')*)`;
const SCRIPT = new RegExp(String.raw`<script\b${ATTRIBUTES}>([\s\S]*?)</script\s*>`, "gi");
const LOADING_TAG = new RegExp(String.raw`<(script|link|img|iframe|source|video|audio|embed|object)\b${ATTRIBUTES}>`, "gi");
const HANDLER = new RegExp(String.raw`<[a-z][^\s>]*\b(?:[^>"']|"[^"]*"|'[^']*')*?\son[a-z]+\s*=`, "i");
const RUN_TYPES = /^(|module|importmap|speculationrules|(text|application)\/(x-)?(java|ecma)script)$/i;
const LINK_RELS = /\b(stylesheet|icon|preload|modulepreload|prefetch|preconnect|dns-prefetch|manifest)\b/i;
const CSS_LOAD = /(?:url\(\s*["']?|@import\s+["'])([^"')\s]+)/gi;
const ENTITIES = { "&amp;": "&", "&quot;": '"', "&#34;": '"', "&#39;": "'", "&lt;": "<", "&gt;": ">" };

function attribute(attributes, name) {
  const found = new RegExp(String.raw`(?:^|\s)${name}\s*=\s*("([^"]*)"|'([^']*)'|([^\s"'>]+))`, "i").exec(attributes);
  const value = found && (found[2] ?? found[3] ?? found[4]);
  return value?.trim().replace(/&(amp|quot|#34|#39|lt|gt);/g, (entity) => ENTITIES[entity]);
}

/** The CSP sources ('sha256-…') of the inline scripts that a browser would run. */
export function inlineScriptHashes(html) {
  const hashes = new Set();
  for (const [, attributes, text] of html.matchAll(SCRIPT)) {
    if (attribute(attributes, "src") !== undefined || !RUN_TYPES.test(attribute(attributes, "type") ?? "")) continue;
    // A browser hashes the text as its parser sees it, with LF line ends.
    const seen = text.replace(/\r\n?/g, "\n");
    hashes.add(`'sha256-${createHash("sha256").update(seen, "utf8").digest("base64")}'`);
  }
  return hashes;
}

export const hasInlineHandlers = (html) => HANDLER.test(html.replace(SCRIPT, ""));

/** Addresses that a page loads without being asked: scripts, styles, icons, images, frames, media. */
export function loadedByPage(html) {
  const found = [];
  const markup = html.replace(/<!--[\s\S]*?-->/g, "").replace(SCRIPT, (_all, attributes) => `<script ${attributes}>`);
  for (const [, tag, attributes] of markup.matchAll(LOADING_TAG)) {
    if (/^link$/i.test(tag)) {
      if (LINK_RELS.test(attribute(attributes, "rel") ?? "")) found.push(attribute(attributes, "href"));
      continue;
    }
    found.push(attribute(attributes, /^object$/i.test(tag) ? "data" : "src"), attribute(attributes, "poster"));
    const candidates = attribute(attributes, "srcset") ?? "";
    if (!candidates.includes("data:")) found.push(...candidates.split(",").map((item) => item.trim().split(/\s+/)[0]));
  }
  return found.filter(Boolean);
}

/** Addresses that a style sheet loads; comments don't count. */
export function loadedByCss(css) {
  return [...css.replace(/\/\*[\s\S]*?\*\//g, "").matchAll(CSS_LOAD)].map(([, address]) => address);
}
