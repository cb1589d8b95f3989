// One JSON object a line on stdout, written in batches: a write for each request costs more than the request.
// Whoever reads the log may stall: the pipe's backlog is held up to a limit, then lines are dropped and counted.

const LEVELS = { debug: 10, info: 20, warning: 30, error: 40 };
const FLUSH_MS = 20;
const FLUSH_CHARS = 64 * 1024;
const WAITING_BYTES = 1 << 20;
const LAST_FLUSH_MS = 300;
const chosen = LEVELS[(process.env.UC_LOG_LEVEL ?? "info").toLowerCase()] ?? LEVELS.info;
const service = process.env.UC_SERVICE ?? "docs-server";

let waiting = "";
let dropped = 0;
let timer;

const out = process.stdout;
out.on("error", () => {}); // The reader is gone: nobody is left to tell.

function line(level, event, fields) {
  return `${JSON.stringify({ time: new Date().toISOString(), level, service, event, ...fields })}\n`;
}

function flush(done) {
  clearTimeout(timer);
  timer = undefined;
  if (dropped && out.writableLength < WAITING_BYTES) {
    waiting += line("warning", "log_lines_dropped", { lines: dropped });
    dropped = 0;
  }
  out.write(waiting, done);
  waiting = "";
}

export function log(level, event, fields = {}) {
  if (LEVELS[level] < chosen) return;
  if (out.writableLength >= WAITING_BYTES) {
    dropped += 1;
    return;
  }
  waiting += line(level, event, fields);
  if (waiting.length > FLUSH_CHARS) flush();
  else timer ??= setTimeout(flush, FLUSH_MS);
}

/** Write what is waiting, for a moment at most, and end the process. */
export function exit(code) {
  setTimeout(() => process.exit(code), LAST_FLUSH_MS);
  flush(() => process.exit(code));
}
