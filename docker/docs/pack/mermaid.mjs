// node mermaid.mjs LOCK OUT: write the one file of Mermaid that a site loads, of the version and bytes that LOCK pins.
// Only that package is downloaded, not the hundred it was made from. A registry that stalls or breaks off is asked again
// (npm itself gives up on that), one that refuses is not. Exit 1 when it can't be had, 3 when its bytes are others.
// DOCS_NPM_SECONDS is the time limit of one attempt.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout } from "node:timers/promises";

const ATTEMPTS = 4;
const SECONDS = Number(process.env.DOCS_NPM_SECONDS ?? 60);
const FILE = "package/dist/mermaid.min.js";

const say = (text) => process.stderr.write(`docs: ${text}\n`);

/** The package's archive in `folder`, or why npm has none and whether that is final. */
function download(spec, folder) {
  const options = ["--pack-destination", folder, "--cache", join(folder, "npm"), "--fetch-retries=0", "--loglevel=error", "--json"];
  const done = spawnSync("npm", ["pack", spec, ...options], { encoding: "utf8", timeout: SECONDS * 1000, killSignal: "SIGKILL" });
  if (done.error?.code === "ETIMEDOUT") return { why: `not there after ${SECONDS} s`, final: false };
  if (done.error) return { why: done.error.message, final: true };
  if (done.status !== 0) {
    const code = /\bcode (E\w+)/.exec(done.stderr)?.[1] ?? "";
    return { why: done.stderr.trim().split("\n").slice(0, 4).join("; "), final: /^E4(?!08|29)\d\d$/.test(code) };
  }
  return { archive: join(folder, JSON.parse(done.stdout)[0].filename) };
}

async function main(lock, out) {
  const { version, integrity } = JSON.parse(readFileSync(lock, "utf8")).packages["node_modules/mermaid"];
  const folder = mkdtempSync(join(tmpdir(), "mermaid-"));
  try {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
      const { archive, why, final } = download(`mermaid@${version}`, folder);
      if (!archive) {
        say(`mermaid@${version}, attempt ${attempt} of ${ATTEMPTS}: ${why}`);
        if (final) return 1;
        if (attempt < ATTEMPTS) await setTimeout(500 * 2 ** attempt);
        continue;
      }
      const found = `sha512-${createHash("sha512").update(readFileSync(archive)).digest("base64")}`;
      if (found !== integrity) {
        say(`mermaid@${version} is ${found}, package-lock.json wants ${integrity}`);
        return 3;
      }
      const unpacked = spawnSync("tar", ["-xzf", archive, "-C", folder, FILE], { encoding: "utf8" });
      if (unpacked.status !== 0) {
        say(`mermaid@${version} can't be unpacked: ${unpacked.error?.message ?? unpacked.stderr.trim()}`);
        return 1;
      }
      copyFileSync(join(folder, FILE), out);
      return 0;
    }
    return 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

process.exitCode = await main(...process.argv.slice(2));
