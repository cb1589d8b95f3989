// Prometheus text (version 0.0.4): few series, none with a path in a label.

const BOUNDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 2.5];
const METHODS = new Set(["DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"]);

function family(name, type, help, samples) {
  return `# HELP ${name} ${help}\n# TYPE ${name} ${type}\n${samples.map(([rest, value]) => `${name}${rest} ${value}\n`).join("")}`;
}

export class Metrics {
  constructor({ files }) {
    this.files = files;
    this.requests = new Map();
    this.bytes = { raw: 0, br: 0, gzip: 0 };
    this.buckets = new Array(BOUNDS.length + 1).fill(0);
    this.seconds = 0;
    this.inFlight = 0;
  }

  begin() {
    this.inFlight += 1;
  }

  end(method, status, seconds, form, size) {
    this.inFlight -= 1;
    const labels = `{method="${METHODS.has(method) ? method : "other"}",status="${status}"}`;
    this.requests.set(labels, (this.requests.get(labels) ?? 0) + 1);
    this.bytes[form] += size;
    let index = 0;
    while (index < BOUNDS.length && seconds > BOUNDS[index]) index += 1;
    this.buckets[index] += 1;
    this.seconds += seconds;
  }

  text() {
    let count = 0;
    const buckets = this.buckets.map((value, index) => {
      count += value;
      return [`_bucket{le="${BOUNDS[index] ?? "+Inf"}"}`, count];
    });
    const { user, system } = process.cpuUsage();
    return [
      family("http_requests_total", "counter", "Requests answered.", [...this.requests]),
      family("http_request_duration_seconds", "histogram", "Time to answer a request.",
        [...buckets, ["_sum", this.seconds], ["_count", count]]),
      family("http_response_bytes_total", "counter", "Bytes of response bodies by stored form.",
        Object.entries(this.bytes).map(([form, value]) => [`{form="${form}"}`, value])),
      family("http_requests_in_flight", "gauge", "Requests accepted and not yet answered.", [["", this.inFlight]]),
      family("docs_site_files", "gauge", "Files of the site.", [["", this.files]]),
      family("process_cpu_seconds_total", "counter", "Processor time used.", [["", (user + system) / 1e6]]),
      family("process_resident_memory_bytes", "gauge", "Memory in use.", [["", process.memoryUsage.rss()]]),
      family("process_start_time_seconds", "gauge", "Start of the process, Unix time.",
        [["", (performance.timeOrigin / 1000).toFixed(3)]]),
    ].join("");
  }
}
