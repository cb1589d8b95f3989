// The official JavaScript client against the service at UC_SERVICE_URL, which serves the graphs in plugins/.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Client } from "@langchain/langgraph-sdk";

const client = new Client({
  apiUrl: process.env.UC_SERVICE_URL,
  apiKey: process.env.UC_SERVICE_KEY,
  callerOptions: { maxRetries: 0 },
});
const MISSING = "00000000-0000-4000-8000-000000000000";
const newThread = async (given) => (await client.threads.create(given)).thread_id;
const status = (number) => (error) => error.status === number || error.message.includes(String(number));

async function collect(stream) {
  const events = [];
  for await (const part of stream) events.push(part);
  return events;
}

async function until(holds) {
  const deadline = Date.now() + 15_000;
  while (!(await holds())) {
    assert.ok(Date.now() < deadline, "not within 15 s");
    await new Promise((resolve) => setTimeout(resolve, 30));
  }
}

test("assistants are searched, counted, read, drawn and described", async () => {
  const [gate] = await client.assistants.search({ graphId: "gate" });
  assert.equal(gate.graph_id, "gate");
  assert.equal(await client.assistants.count({ graphId: "gate" }), 1);
  assert.equal((await client.assistants.get(gate.assistant_id)).name, "gate");
  assert.ok((await client.assistants.getGraph(gate.assistant_id)).nodes.some((node) => node.id === "ask"));
  assert.equal((await client.assistants.getSchemas(gate.assistant_id)).graph_id, "gate");
  const [nested] = await client.assistants.search({ graphId: "nested" });
  assert.deepEqual(Object.keys(await client.assistants.getSubgraphs(nested.assistant_id)), ["inner"]);
  await assert.rejects(client.assistants.get(MISSING), status(404));
});

test("threads are created, changed, found, copied and forgotten", async () => {
  const mark = crypto.randomUUID();
  const thread = await newThread({ metadata: { mark } });
  await assert.rejects(client.threads.create({ threadId: thread }), status(409));
  assert.equal((await client.threads.create({ threadId: thread, ifExists: "do_nothing" })).thread_id, thread);
  await client.threads.update(thread, { metadata: { more: 1 } });
  assert.deepEqual((await client.threads.get(thread)).metadata, { mark, more: 1 });
  assert.deepEqual((await client.threads.search({ metadata: { mark } })).map((found) => found.thread_id), [thread]);
  assert.equal(await client.threads.count({ metadata: { mark } }), 1);
  const copied = await client.threads.copy(thread);
  assert.notEqual(copied.thread_id, thread);
  await client.threads.delete(thread);
  await assert.rejects(client.threads.get(thread), status(404));
});

test("a run is waited for; one that fails rejects", async () => {
  const thread = await newThread();
  const values = await client.runs.wait(thread, "probe", { input: { text: "a", log: [] } });
  assert.deepEqual(values.log, ["first a", "second a"]);
  assert.deepEqual((await client.runs.wait(null, "probe", { input: { text: "b", log: [] } })).log, ["first b", "second b"]);
  await assert.rejects(client.runs.wait(thread, "probe", { input: { fail: true } }), /asked to fail/);
  await assert.rejects(client.runs.wait(thread, "absent", { input: {} }), status(422));
});

test("a run is streamed in each mode", async () => {
  const input = { text: "s", custom: 2, log: [] };
  const streamMode = ["values", "updates", "custom", "tasks"];
  const events = await collect(client.runs.stream(null, "probe", { input, streamMode }));
  assert.equal(events[0].event, "metadata");
  assert.deepEqual(events.filter((part) => part.event === "custom").map((part) => part.data.number), [0, 1]);
  assert.deepEqual(events.filter((part) => part.event === "updates").map((part) => Object.keys(part.data)[0]), ["first", "second"]);
  assert.deepEqual(events.findLast((part) => part.event === "values").data.log, ["first s", "second s"]);
});

test("a model's answer arrives in pieces, in both modes of messages", async () => {
  const input = { messages: [{ role: "user", content: "hi" }] };
  const tuples = await collect(client.runs.stream(null, "chat", { input, streamMode: "messages-tuple" }));
  const pieces = tuples.filter((part) => part.event === "messages").map((part) => part.data[0].content);
  assert.equal(pieces.join(""), "one two three");
  const grown = await collect(client.runs.stream(null, "chat", { input, streamMode: "messages" }));
  const partial = grown.filter((part) => part.event === "messages/partial");
  assert.equal(partial.at(-1).data[0].content, "one two three");
});

test("a graph inside a graph is streamed with its namespace", async () => {
  const given = { input: { text: "n" }, streamMode: "updates", streamSubgraphs: true };
  const events = await collect(client.runs.stream(null, "nested", given));
  assert.ok(events.some((part) => part.event.startsWith("updates|inner:")));
});

test("a resumable stream goes on after Last-Event-ID", async () => {
  const thread = await newThread();
  let run;
  const given = { input: { text: "r", custom: 5, sleep: 0.3, log: [] }, streamMode: ["custom", "values"], streamResumable: true };
  const seen = [];
  for await (const part of client.runs.stream(thread, "probe", { ...given, onRunCreated: (made) => (run = made) })) {
    seen.push(part);
    if (seen.length === 4) break;
  }
  const rest = await collect(client.runs.joinStream(thread, run.run_id, { lastEventId: seen.at(-1).id }));
  const whole = await collect(client.runs.joinStream(thread, run.run_id, { lastEventId: "-" }));
  assert.deepEqual(whole, [...seen, ...rest]);
  assert.deepEqual(whole.at(-1).data.log, ["first r", "second r"]);
});

test("a run in the background is listed, joined, cancelled and deleted", async () => {
  const thread = await newThread();
  const quick = await client.runs.create(thread, "probe", { input: { text: "q", log: [] }, metadata: { k: "v" } });
  assert.deepEqual((await client.runs.join(thread, quick.run_id)).log, ["first q", "second q"]);
  assert.equal((await client.runs.get(thread, quick.run_id)).status, "success");
  const slow = await client.runs.create(thread, "probe", { input: { sleep: 30, log: [] } });
  await until(async () => (await client.runs.get(thread, slow.run_id)).status === "running");
  await client.runs.cancel(thread, slow.run_id, true);
  assert.equal((await client.runs.get(thread, slow.run_id)).status, "interrupted");
  assert.deepEqual(
    (await client.runs.list(thread, { select: ["run_id", "status"] })).map((run) => run.status),
    ["interrupted", "success"],
  );
  await client.runs.delete(thread, quick.run_id);
  await assert.rejects(client.runs.get(thread, quick.run_id), status(404));
});

test("two runs on a thread: rejected, enqueued, interrupted or rolled back", async () => {
  const thread = await newThread();
  const slow = () => client.runs.create(thread, "probe", { input: { text: "slow", sleep: 30, log: [] } });
  const after = async (run, multitaskStrategy) => {
    await until(async () => (await client.threads.getState(thread)).next?.includes("second"));
    return client.runs.wait(thread, "probe", { input: { text: multitaskStrategy, sleep: 0 }, multitaskStrategy });
  };
  const first = await slow();
  const again = { input: {}, multitaskStrategy: "reject" };
  await assert.rejects(client.runs.create(thread, "probe", again), status(409));
  assert.ok((await after(first, "interrupt")).log.includes("first slow"));
  await client.threads.delete(thread);
  await client.threads.create({ threadId: thread });
  const second = await slow();
  assert.deepEqual((await after(second, "rollback")).log, ["first rollback", "second rollback"]);
  await assert.rejects(client.runs.get(thread, second.run_id), status(404));
});

test("an interrupt shows its question, and is resumed by a value or by its id", async () => {
  const thread = await newThread();
  const asked = await client.runs.wait(thread, "gate", { input: { subject: "x" } });
  assert.equal(asked.__interrupt__[0].value.question, "go on?");
  assert.equal((await client.threads.get(thread)).status, "interrupted");
  const answered = await client.runs.wait(thread, "gate", { command: { resume: { approved: true } } });
  assert.deepEqual(answered, { subject: "x: closed", answer: { approved: true } });
  const [{ id }] = (await client.runs.wait(thread, "gate", { input: { subject: "y" } })).__interrupt__;
  assert.equal((await client.runs.wait(thread, "gate", { command: { resume: { [id]: "yes" } } })).answer, "yes");
});

test("state is read, changed, forked from the past and told as history", async () => {
  const thread = await newThread();
  await client.runs.wait(thread, "probe", { input: { text: "a", log: [] } });
  await client.threads.updateState(thread, { values: { text: "changed" }, asNode: "first" });
  const state = await client.threads.getState(thread);
  assert.deepEqual([state.values.text, state.next], ["changed", ["second"]]);
  const history = await client.threads.getHistory(thread, { limit: 10 });
  assert.equal(history.length, 5);
  const past = await client.threads.getState(thread, history.at(-1).checkpoint);
  assert.equal(past.checkpoint.checkpoint_id, history.at(-1).checkpoint.checkpoint_id);
  const forked = await client.runs.wait(thread, "probe", { input: null, checkpointId: history[0].checkpoint.checkpoint_id });
  assert.equal(forked.log.at(-1), "second changed");
});

test("items are stored, read, searched, listed and forgotten", async () => {
  const top = crypto.randomUUID();
  await client.store.putItem([top, "a"], "k", { n: 1 });
  await client.store.putItem([top, "b"], "k", { n: 2 });
  assert.deepEqual((await client.store.getItem([top, "a"], "k")).value, { n: 1 });
  const { items } = await client.store.searchItems([top], { filter: { n: 2 } });
  assert.deepEqual(items.map((item) => item.namespace), [[top, "b"]]);
  assert.equal((await client.store.listNamespaces({ prefix: [top] })).namespaces.length, 2);
  await client.store.deleteItem([top, "a"], "k");
  assert.equal((await client.store.searchItems([top])).items.length, 1);
});

test("a thread is streamed as a whole, with its question and its answer", async () => {
  const thread = client.threads.stream({ assistantId: "gate" });
  try {
    await thread.run.start({ input: { subject: "z" } });
    await until(() => thread.interrupts.length > 0);
    const [{ interruptId, namespace }] = thread.interrupts;
    await thread.input.respond({ namespace, interrupt_id: interruptId, response: "yes" });
    const state = () => client.threads.getState(thread.threadId);
    await until(async () => (await state()).next.length === 0);
    assert.deepEqual((await state()).values, { subject: "z: closed", answer: "yes" });
  } finally {
    await thread.close();
  }
});
