// Faults of a whole site: files that pages load and that are missing, and loads from other hosts.
import { handlerHashes, loadedByCss, loadedByPage } from "./html.mjs";
import { isHtml } from "./files.mjs";

const OWN = "http://own.invalid";
/** More of them would outgrow the header limits of proxies (8 KiB with the rest). */
export const MOST_HANDLERS = 64;

function decoded(pathname) {
  try {
    return decodeURIComponent(pathname);
  } catch {
    return pathname;
  }
}

function resolve(address, from) {
  try {
    return new URL(address, `${OWN}/${from.split("/").map(encodeURIComponent).join("/")}`);
  } catch {
    return undefined;
  }
}

function isPublished(files, pathname) {
  const path = decoded(pathname).replace(/^\//, "");
  return files.has(path) || files.has(path === "" || path.endsWith("/") ? `${path}index.html` : `${path}/index.html`);
}

const loads = {
  html: (bytes) => loadedByPage(bytes.toString("utf8")),
  css: (bytes) => loadedByCss(bytes.toString("utf8")),
};

function note(table, what, from) {
  table.set(what, [...(table.get(what) ?? []), from]);
}

function problems(kind, table, text) {
  return [...table].map(([what, from]) => {
    const others = from.length > 1 ? ` and ${from.length - 1} more` : "";
    return { kind, text: `${from[0]}${others}: ${text(what)}` };
  });
}

/** One problem for each missing file and each other host's address, with the first page that wants it. */
export function siteProblems(files) {
  const [missing, outside, handlers] = [new Map(), new Map(), new Map()];
  for (const [path, bytes] of files) {
    const kind = isHtml(path) ? "html" : path.endsWith(".css") ? "css" : undefined;
    if (!kind) continue;
    for (const address of new Set(loads[kind](bytes))) {
      const url = resolve(address, path);
      if (!url || !/^https?:$/.test(url.protocol)) continue;
      if (url.origin !== OWN) note(outside, address, path);
      else if (!isPublished(files, url.pathname)) note(missing, decoded(url.pathname), path);
    }
    if (kind === "html" && handlerHashes(bytes.toString("utf8")).size > MOST_HANDLERS) note(handlers, "inline", path);
  }
  return [
    ...problems("missing file", missing, (what) => `loads ${what}, which is not in the site`),
    ...problems("other host", outside, (what) => `loads ${what} from another host at run time; ship the file with the site`),
    ...problems("inline handler", handlers, () => `has more than ${MOST_HANDLERS} different event handlers (onclick=…): the security policy blocks them`),
  ];
}
