// Problems of a site: counted by kind, the first ones shown, all of them in a file. docsite/report.py has the same form.
import { readFileSync } from "node:fs";

const SHOWN = 20;

/** What the stage before this one reported: whether faults are refused, and its problems. Without a file they are. */
export function readReport(file) {
  if (!file) return { strict: true, problems: [] };
  const { source, strict, problems } = JSON.parse(readFileSync(file, "utf8"));
  return { source, strict, problems };
}

/** DOCS_STRICT when it is set to a yes or a no, else what the report says. */
export function isStrict(report, wish = "") {
  if (/^(true|1|yes)$/i.test(wish)) return true;
  return /^(false|0|no)$/i.test(wish) ? false : report.strict;
}

/** {kind: count}, the rarest first. */
export function counts(problems) {
  const found = new Map();
  for (const { kind } of problems) found.set(kind, (found.get(kind) ?? 0) + 1);
  return Object.fromEntries([...found].sort((a, b) => a[1] - b[1] || (a[0] < b[0] ? -1 : 1)));
}

/** The problems in an order that shows something of every kind. */
export function rarestFirst(problems) {
  const order = Object.keys(counts(problems));
  return [...problems].sort((a, b) => order.indexOf(a.kind) - order.indexOf(b.kind) || (a.text < b.text ? -1 : 1));
}

/** The lines of a build log. */
export function lines(problems) {
  const kinds = Object.entries(counts(problems)).map(([kind, count]) => `${count} ${kind}`).join(", ");
  const more = problems.length - SHOWN;
  return [
    `${problems.length} problem(s) in the site: ${kinds}`,
    ...rarestFirst(problems).slice(0, SHOWN).map(({ text }) => `- ${text}`),
    ...(more > 0 ? [`  and ${more} more: /app/problems.json in the image has all`] : []),
  ];
}
