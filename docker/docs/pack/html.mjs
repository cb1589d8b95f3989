// What the packer needs to know of a page: its inline scripts and the files and hosts that it loads by itself.
import { createHash } from "node:crypto";

const ATTRIBUTES = String.raw`((?:[^>"']|"[^"]*"|'[^']*')*)`;
const SCRIPT = new RegExp(String.raw`<script\b${ATTRIBUTES}>([\s\S]*?)</script\s*>`, "gi");
const LOADING_TAG = new RegExp(String.raw`<(script|link|img|iframe|frame|source|video|audio|embed|object)\b${ATTRIBUTES}>`, "gi");
const TAG = new RegExp(String.raw`<[a-z][^\s>/]*${ATTRIBUTES}>`, "gi");
const HANDLER = /(?:^|[\s"'])on[a-z]+\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))/gi;
const FRAME = new RegExp(String.raw`<i?frame\b${ATTRIBUTES}>`, "i");
const RUN_TYPES = /^(|module|importmap|speculationrules|(text|application)\/(x-)?(java|ecma)script)$/i;
const LINK_RELS = /\b(stylesheet|icon|preload|modulepreload|prefetch|preconnect|dns-prefetch|manifest)\b/i;
const CSS_LOAD = /(?:url\(\s*["']?|@import\s+["'])([^"')\s]+)/gi;
const ENTITIES = { "&amp;": "&", "&quot;": '"', "&#34;": '"', "&#39;": "'", "&lt;": "<", "&gt;": ">" };

const unescaped = (text) => text.replace(/&(amp|quot|#34|#39|lt|gt);/g, (entity) => ENTITIES[entity]);
const withoutScripts = (html) => html.replace(/<!--[\s\S]*?-->/g, "").replace(SCRIPT, (_all, attributes) => `<script ${attributes}>`);

function attribute(attributes, name) {
  const found = new RegExp(String.raw`(?:^|\s)${name}\s*=\s*("([^"]*)"|'([^']*)'|([^\s"'>]+))`, "i").exec(attributes);
  const value = found && (found[2] ?? found[3] ?? found[4]);
  return value === undefined || value === null ? undefined : unescaped(value.trim());
}

// A browser hashes the text as its parser sees it, with LF line ends.
const hashed = (text) => `'sha256-${createHash("sha256").update(text.replace(/\r\n?/g, "\n"), "utf8").digest("base64")}'`;

/** The CSP sources ('sha256-…') of the inline scripts that a browser would run. */
export function inlineScriptHashes(html) {
  const hashes = new Set();
  for (const [, attributes, text] of html.matchAll(SCRIPT)) {
    if (attribute(attributes, "src") !== undefined || !RUN_TYPES.test(attribute(attributes, "type") ?? "")) continue;
    hashes.add(hashed(text));
  }
  return hashes;
}

/** The CSP sources of the inline event handlers (onclick=…), which count under 'unsafe-hashes' (CSP 3, 8.3). */
export function handlerHashes(html) {
  const hashes = new Set();
  for (const [, attributes] of withoutScripts(html).matchAll(TAG)) {
    for (const [, ...values] of attributes.matchAll(HANDLER)) hashes.add(hashed(unescaped(values.find((value) => value !== undefined))));
  }
  return hashes;
}

/** Whether a page shows another one in a frame. */
export const hasFrames = (html) => FRAME.test(withoutScripts(html));

/** Addresses that a page loads without being asked: scripts, styles, icons, images, frames, media. */
export function loadedByPage(html) {
  const found = [];
  for (const [, tag, attributes] of withoutScripts(html).matchAll(LOADING_TAG)) {
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
