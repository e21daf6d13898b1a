// Asks POLLS times what has changed, as HOW says. Somebody changes a task now and then, and tells
// the service so at DIRECT.
//
// It says "loaded" when it has all tasks, and begins after a line on standard input.
import assert from "node:assert/strict";
import { createInterface } from "node:readline/promises";
import { synced, type Store, type Task } from "./client.ts";

const { BASE, DIRECT, USER_ID, TOKEN, HOW = "", POLLS, CHANGE_EVERY } = process.env;
const tasks = `/api/${USER_ID}/tasks`;
const Authorization = `Bearer ${TOKEN}`;

async function listed(url: string): Promise<Task[]> {
  const response = await fetch(url, { headers: { Authorization } });
  return ((await response.json()) as { tasks: Task[] }).tasks;
}

let known: Task[] = [];
let tag = "";
let store: Store | undefined;
const polls: Record<string, () => Promise<void>> = {
  list: async () => {
    known = await listed(BASE + tasks);
  },
  "list with If-None-Match": async () => {
    const headers = { Authorization, "If-None-Match": tag || '""' };
    const response = await fetch(BASE + tasks, { headers });
    if (response.status === 304) return;
    tag = response.headers.get("ETag") ?? "";
    known = ((await response.json()) as { tasks: Task[] }).tasks;
  },
  sync: async () => {
    store = await synced(store);
    known = Object.values(store.tasks);
  },
};
const poll = polls[HOW];
assert(poll);

await poll();
console.log("loaded");
const input = createInterface({ input: process.stdin });
await input.question("");
input.close();
for (let number = 1; number <= Number(POLLS); number++) {
  if (number % Number(CHANGE_EVERY) === 0) {
    const body = JSON.stringify({ description: `${HOW}: changed before poll ${number}` });
    const headers = { Authorization, "Content-Type": "application/json" };
    const url = `${DIRECT}${tasks}/${known[number % known.length]?.id}`;
    assert((await fetch(url, { method: "PATCH", headers, body })).ok);
  }
  await poll();
}

const byId = (one: Task, other: Task) => one.id - other.id;
assert.deepEqual(known.sort(byId), (await listed(DIRECT + tasks)).sort(byId));
process.exit();
