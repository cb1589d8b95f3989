// One JSON object a line on stdout, written in batches: a write for each request costs more than the request.
import { writeSync } from "node:fs";

const LEVELS = { debug: 10, info: 20, warning: 30, error: 40 };
const FLUSH_MS = 20;
const FLUSH_BYTES = 64 * 1024;
const chosen = LEVELS[(process.env.UC_LOG_LEVEL ?? "info").toLowerCase()] ?? LEVELS.info;
const service = process.env.UC_SERVICE ?? "docs-server";

let waiting = "";
let timer;

/** Write what is waiting; the last thing to call before process.exit. */
export function flush() {
  clearTimeout(timer);
  timer = undefined;
  let bytes = Buffer.from(waiting);
  waiting = "";
  while (bytes.length) {
    try {
      bytes = bytes.subarray(writeSync(1, bytes));
    } catch (error) {
      // A full pipe whose reader is slow; a closed one has nobody to tell.
      if (error.code !== "EAGAIN") return;
    }
  }
}

export function log(level, event, fields) {
  if (LEVELS[level] < chosen) return;
  waiting += `${JSON.stringify({ time: new Date().toISOString(), level, service, event, ...fields })}\n`;
  if (waiting.length > FLUSH_BYTES) flush();
  else timer ??= setTimeout(flush, FLUSH_MS);
}
