// What a request's headers say about the form it wants (RFC 9110, 12.5.3 and 13.1.2).

const OFFERED = ["br", "gzip", "raw"];
const NAMES = { br: ["br"], gzip: ["gzip", "x-gzip"], raw: ["identity"] };
const REMEMBERED = 64;
const memory = new Map();

function weights(header) {
  return new Map(header.toLowerCase().split(",").map((part) => {
    const [coding, ...parameters] = part.split(";").map((text) => text.trim());
    const q = parameters.find((text) => text.startsWith("q="));
    const weight = q === undefined ? 1 : Number(q.slice(2));
    return [coding, Number.isFinite(weight) ? weight : 0];
  }));
}

function parse(header) {
  const given = weights(header);
  const weight = (form) => {
    const named = NAMES[form].find((name) => given.has(name));
    if (named) return given.get(named);
    // An unlisted identity is acceptable, after everything that was asked for.
    if (form === "raw") return given.has("*") ? given.get("*") : 0.0001;
    return given.get("*") ?? 0;
  };
  return OFFERED.map((form) => [form, weight(form)]).filter(([, q]) => q > 0)
    .sort((a, b) => b[1] - a[1]).map(([form]) => form);
}

/** The acceptable ones of br, gzip and raw, best first (of equals, the smallest first). */
export function acceptedForms(header) {
  if (!header) return ["raw"];
  let order = memory.get(header);
  if (!order) {
    order = parse(header);
    if (memory.size >= REMEMBERED) memory.clear();
    memory.set(header, order);
  }
  return order;
}

/** Whether an If-None-Match header names the tag; comparison is weak, so a W/ prefix set on the way does no harm. */
export function matchesTag(header, tag) {
  if (header.trim() === "*") return true;
  return header.split(",").some((item) => item.trim().replace(/^W\//, "") === tag);
}
