// Files of a site: which are published, their media types, names that carry a hash, and their compressed forms.
import { readdirSync, readFileSync } from "node:fs";
import { extname, join } from "node:path";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";

const TYPES = {
  ".css": "text/css; charset=utf-8", ".csv": "text/csv; charset=utf-8", ".html": "text/html; charset=utf-8",
  ".htm": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8",
  ".json": "application/json", ".map": "application/json", ".webmanifest": "application/manifest+json",
  ".md": "text/markdown; charset=utf-8", ".txt": "text/plain; charset=utf-8", ".inv": "application/octet-stream",
  ".xml": "application/xml", ".svg": "image/svg+xml", ".wasm": "application/wasm", ".pdf": "application/pdf",
  ".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif", ".webp": "image/webp",
  ".avif": "image/avif", ".ico": "image/x-icon", ".woff": "font/woff", ".woff2": "font/woff2", ".ttf": "font/ttf",
  ".mp4": "video/mp4", ".webm": "video/webm", ".zip": "application/zip", ".gz": "application/gzip",
};
const COMPRESSED = /^(text\/|application\/(json|xml|manifest\+json|wasm)|image\/(svg|x-icon)|font\/ttf)/;
const HASHED_NAME = /[.-][0-9a-f]{8,64}(\.min)?\.[a-z0-9]+(\.map)?$/;
const NEVER_PUBLISHED = /(^|\/)(\.(?!well-known(\/|$))[^/]*|id_(rsa|dsa|ecdsa|ed25519)|[^/]*\.(pem|key|pfx|p12|kdbx|ppk))(\/|$)/i;
const WORTH_COMPRESSING = 256;

export const mediaType = (path) => TYPES[extname(path).toLowerCase()] ?? "application/octet-stream";
export const isHtml = (path) => /\.html?$/i.test(path);
export const hasHashInName = (path) => HASHED_NAME.test(path);

/** Every publishable file below `root` as {path: Buffer}, sorted; what is left out is named in `problems`. */
export function readSite(root, problems) {
  const files = new Map();
  const entries = readdirSync(root, { recursive: true, withFileTypes: true })
    .map((entry) => ({ entry, full: join(entry.parentPath ?? entry.path, entry.name) }))
    .map(({ entry, full }) => ({ entry, full, path: full.slice(root.length).replace(/^\/+/, "") }))
    .sort((a, b) => (a.path < b.path ? -1 : 1));
  for (const { entry, full, path } of entries) {
    if (entry.isDirectory()) continue;
    if (!entry.isFile()) problems.push({ kind: "left out", text: `${path}: not a regular file (a symbolic link?), left out` });
    else if (NEVER_PUBLISHED.test(path)) problems.push({ kind: "left out", text: `${path}: looks like a private file, left out` });
    else files.set(path, readFileSync(full));
  }
  return files;
}

const packers = {
  br: (bytes, text) => promisify(brotliCompress)(bytes, {
    params: {
      [constants.BROTLI_PARAM_QUALITY]: 11,
      [constants.BROTLI_PARAM_LGWIN]: 24,
      [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
      [constants.BROTLI_PARAM_MODE]: text ? constants.BROTLI_MODE_TEXT : constants.BROTLI_MODE_GENERIC,
    },
  }),
  gzip: (bytes) => promisify(gzip)(bytes, { level: 9 }),
};

/** {br, gzip} of a file, each only where it saves at least a twentieth. */
export async function compressed(path, bytes) {
  const type = mediaType(path);
  if (bytes.length < WORTH_COMPRESSING || !COMPRESSED.test(type)) return {};
  const forms = await Promise.all(
    Object.entries(packers).map(async ([name, pack]) => [name, await pack(bytes, type.startsWith("text/"))]),
  );
  return Object.fromEntries(forms.filter(([, small]) => small.length < bytes.length * 0.95));
}
