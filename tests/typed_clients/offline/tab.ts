// A tab in which somebody works without care: it makes ACTIONS changes, is offline now and then, and
// may be killed at any time. Started again, it continues with what it has saved in STORAGE.
//
// It says "settled" when its queue is empty. After a line on standard input it prints what it has
// asked for and its store.
import assert from "node:assert/strict";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { onlineManager, type DehydratedState } from "@tanstack/query-core";
import { STORE, openTab, pending, queue, save, type Store } from "./client.ts";

const { STORAGE = "", NAME = "", SEED = "", ACTIONS = "" } = process.env;

/** What was asked for: the index in `wanted` is the number of an action. */
type Saved = {
  wanted: { kind: string; id?: number; text?: string }[];
  failed: string[];
  cache?: DehydratedState;
};

const saved: Saved = existsSync(STORAGE)
  ? (JSON.parse(readFileSync(STORAGE, "utf8")) as Saved)
  : { wanted: [], failed: [] };
const tab = openTab(saved.cache);
const storeOf = () => tab.getQueryData<Store>(STORE);

/** Before any request of these changes is sent. */
function write(): void {
  if (isWriting) return;
  isWriting = true;
  queueMicrotask(() => {
    isWriting = false;
    saved.cache = save(tab);
    writeFileSync(`${STORAGE}.new`, JSON.stringify(saved));
    renameSync(`${STORAGE}.new`, STORAGE);
  });
}
let isWriting = false;

tab.getMutationCache().subscribe((event) => {
  if (event.type !== "updated") return;
  const { state, options } = event.mutation;
  if (event.action.type === "error") {
    saved.failed.push(`${String(options.mutationKey)}: ${String(state.error)}`);
  }
  if (["pending", "success", "error"].includes(event.action.type)) write();
});
tab.getQueryCache().subscribe((event) => {
  if (event.type === "updated" && event.action.type === "success") write();
});

/** From 0 to 1: the same for the same seed, tab, action and purpose. */
function random(purpose: string): number {
  let hash = 2166136261;
  for (const letter of `${purpose} ${SEED} ${NAME} ${saved.wanted.length}`) {
    hash = Math.imul(hash ^ letter.charCodeAt(0), 16777619);
  }
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  hash = Math.imul(hash ^ (hash >>> 12), 0x297a2d39);
  return ((hash ^ (hash >>> 15)) >>> 0) / 2 ** 32;
}

function oneOf<Item>(items: Item[]): Item | undefined {
  return items[Math.floor(random("which") * items.length)];
}

/** Both tabs write on the shared tasks. Of the others, each tab deletes only its own, and once. */
function act(): void {
  const tasks = Object.values(storeOf()?.tasks ?? {});
  const touched = new Set(saved.wanted.map(({ id }) => id));
  const shared = oneOf(tasks.filter(({ title }) => title.startsWith("shared")));
  const own = oneOf(tasks.filter(({ id, title }) => title.startsWith(NAME) && !touched.has(id)));
  const number = saved.wanted.length;
  const dice = random("kind");
  if (dice < 0.5 && shared) {
    const line = `${NAME.charAt(0)}${number}`;
    saved.wanted.push({ kind: "addLine", id: shared.id, text: line });
    queue(tab, "addLine", { id: shared.id, line });
  } else if (dice < 0.6 && own) {
    saved.wanted.push({ kind: "remove", id: own.id });
    queue(tab, "remove", { id: own.id, permanent: false });
  } else if (dice < 0.65 && own) {
    saved.wanted.push({ kind: "restore", id: own.id });
    queue(tab, "remove", { id: own.id, permanent: false });
    queue(tab, "restore", { id: own.id });
  } else if (dice < 0.67 && own) {
    saved.wanted.push({ kind: "removePermanently", id: own.id, text: own.title });
    queue(tab, "remove", { id: own.id, permanent: true });
  } else {
    const title = `${NAME} ${number}`;
    saved.wanted.push({ kind: "create", text: title });
    queue(tab, "create", { key: crypto.randomUUID(), task: { title } });
  }
}

while (!storeOf() || storeOf()?.more) await sleep(5);
while (saved.wanted.length < Number(ACTIONS)) {
  onlineManager.setOnline(saved.wanted.length % 15 < 10);
  act();
  await sleep(20 * random("pause"));
}
onlineManager.setOnline(true);
while (pending(tab).length > 0) await sleep(5);
console.log("settled");

const input = createInterface({ input: process.stdin });
await input.question("");
input.close();
do await tab.refetchQueries({ queryKey: STORE });
while (storeOf()?.more);
const store = storeOf();
assert(store && tab.getQueryState(STORE)?.status === "success");
const { wanted, failed } = saved;
const result = JSON.stringify({ wanted, failed, tasks: Object.values(store.tasks) });
process.stdout.write(result, () => process.exit());
