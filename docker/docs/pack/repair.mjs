// Makes a site stand alone where that can be done without changing what it shows, and its search find more.
import { readFileSync } from "node:fs";
import { isHtml } from "./files.mjs";

const MERMAID_ADDRESS = /https:\/\/unpkg\.com\/mermaid@[^"'`]*/g;
const MERMAID_PATH = "assets/javascripts/mermaid.min.js";
const MERMAID_BLOCK = /class="[^"]*\bmermaid\b/;
// Material asks the host of repo_url for its number of stars; without this attribute the link stays, the request doesn't.
const SEARCH_WORKER = /(^|\/)assets\/javascripts\/workers\/search\.[^/]*\.js$/;
const SEARCH_WORDS = new URL("./search-words.js", import.meta.url);
const REPOSITORY_FACTS = / data-md-component="source"/g;

function replaceText(files, path, pattern, replacement) {
  const text = files.get(path).toString("utf8");
  const repaired = text.replace(pattern, replacement);
  if (repaired !== text) files.set(path, Buffer.from(repaired, "utf8"));
  return repaired !== text;
}

/** Material's search workers, which are taught more words; those of other themes and versions are left alone. */
function teachSearch(files) {
  const workers = [...files.keys()].filter((path) => SEARCH_WORKER.test(path) && files.get(path).includes("lunr.tokenizer.table"));
  for (const path of workers) files.set(path, Buffer.concat([readFileSync(SEARCH_WORDS), files.get(path)]));
  return workers;
}

/** Changes `files` in place, says what it did, and returns the changed paths: a hash in their names no longer fits. */
export function repair(files, mermaid, say) {
  const scripts = [...files.keys()].filter((path) => path.endsWith(".js"));
  const pages = [...files.keys()].filter(isHtml);
  const changed = scripts.filter((path) => replaceText(files, path, MERMAID_ADDRESS, `/${MERMAID_PATH}`));
  if (changed.length && pages.some((path) => MERMAID_BLOCK.test(files.get(path).toString("utf8")))) {
    files.set(MERMAID_PATH, readFileSync(mermaid));
    say(`diagrams: Mermaid comes from ${MERMAID_PATH}`);
  }
  const linked = pages.filter((path) => replaceText(files, path, REPOSITORY_FACTS, ""));
  if (linked.length) say("the repository link no longer asks its host for stars and releases");
  return new Set([...changed, ...linked, ...teachSearch(files)]);
}
