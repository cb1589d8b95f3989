// node search.mjs SITE QUERY...: what the site's own search worker answers, as JSON: {query: [[address, terms], ...]}.
// The worker's global scope is the few names that it uses; the queries go to it as the page sends them.
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createContext, runInContext } from "node:vm";

const SETUP = 0;
const QUERY = 2;
const [site, ...queries] = process.argv.slice(2);
const folder = join(site, "assets/javascripts/workers");
const worker = readdirSync(folder).find((name) => /^search\..*\.js$/.test(name));
const index = JSON.parse(readFileSync(join(site, "search/search_index.json"), "utf8"));

const listeners = [];
const answers = [];
const scope = { console, addEventListener: (_type, listener) => listeners.push(listener), postMessage: (message) => answers.push(message) };
scope.self = scope;
runInContext(readFileSync(join(folder, worker), "utf8"), createContext(scope));

async function send(message) {
  for (const listener of listeners) await listener({ data: message });
  return answers.pop();
}

await send({ type: SETUP, data: { ...index, options: { suggest: true } } });
const found = {};
for (const query of queries) {
  const { data } = await send({ type: QUERY, data: query });
  found[query] = { suggest: data.suggest ?? [], items: data.items.flat().map(({ location, terms, text }) => ({ location, terms, text })) };
}
process.stdout.write(JSON.stringify(found));
