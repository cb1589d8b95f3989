// node load.mjs URL PATH TOKEN_FILE CLIENTS SECONDS [PAUSE_MS]: clients that ask for one page again and again.
// Each has one connection, which it keeps, and asks when its answer is complete, PAUSE_MS later; at least once. Takes brotli, as a
// browser does. For services without a load program of their own; prints one line of JSON.
import { readFileSync } from "node:fs";
import { connect } from "node:net";

const [url, path, tokenFile, clients, seconds, pause = "0"] = process.argv.slice(2);
const { hostname, port } = new URL(url);
const token = readFileSync(tokenFile, "utf8").trim();
const request = `GET ${path} HTTP/1.1\r\nhost: ${hostname}:${port}\r\nauthorization: Bearer ${token}\r\naccept-encoding: br\r\n\r\n`;
const until = performance.now() + 1000 * Number(seconds);
const [taken, statuses] = [[], {}];
let [encoding, bytes] = ["", 0];

function field(head, name) {
  return new RegExp(`^${name}: *(.*?) *$`, "im").exec(head)?.[1];
}

/** Counts the first answer in what was received; how many bytes it has, or 0 while it is incomplete. */
function answer(received) {
  const end = received.indexOf("\r\n\r\n");
  if (end < 0) return 0;
  const head = received.toString("latin1", 0, end);
  const length = end + 4 + Number(field(head, "content-length") ?? 0);
  if (received.length < length) return 0;
  const status = head.slice(9, 12);
  statuses[status] = (statuses[status] ?? 0) + 1;
  [encoding, bytes] = [field(head, "content-encoding") ?? "", length - end - 4];
  return length;
}

/** One client, to the end; a connection that the server closes is opened anew. */
function client() {
  return new Promise((resolve) => {
    let [received, started] = [Buffer.alloc(0), 0];
    const socket = connect(Number(port), hostname);
    const ask = () => {
      started = performance.now();
      socket.write(request);
    };
    const goOn = () => (performance.now() < until ? ask() : socket.end());
    socket.setNoDelay(true);
    socket.on("connect", ask);
    socket.on("data", (chunk) => {
      received = received.length ? Buffer.concat([received, chunk]) : chunk;
      const length = answer(received);
      if (!length) return;
      taken.push(performance.now() - started);
      received = received.subarray(length);
      if (Number(pause)) setTimeout(goOn, Number(pause));
      else goOn();
    });
    socket.on("error", (error) => (statuses[error.code] = (statuses[error.code] ?? 0) + 1));
    socket.on("close", () => (performance.now() < until ? setTimeout(() => resolve(client()), 20) : resolve()));
  });
}

const began = performance.now();
await Promise.all(Array.from({ length: Number(clients) }, client));
const took = (performance.now() - began) / 1000;
const failures = Object.entries(statuses).reduce((sum, [status, count]) => sum + (status === "200" ? 0 : count), 0);
taken.sort((a, b) => a - b);
const part = (share) => Math.round(100 * (taken[Math.floor(taken.length * share)] ?? 0)) / 100;
console.log(JSON.stringify({
  requests: taken.length, requests_per_second: Math.round(taken.length / took), p50_ms: part(0.5), p95_ms: part(0.95),
  statuses, failures, encoding, bytes,
}));
process.exitCode = failures ? 1 : 0;
