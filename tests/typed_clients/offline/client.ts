// A client that loses nothing and does nothing twice, over any network: TanStack Query, with the
// types of the OpenAPI document. In a React app, useQuery and useMutation take the place of the
// observers below; the rest stays as it is.
import {
  MutationObserver,
  QueryClient,
  QueryObserver,
  dehydrate,
  environmentManager,
  hydrate,
  type DehydratedState,
} from "@tanstack/query-core";
import createClient from "openapi-fetch";
import type { components, paths } from "./generated/schema.ts";

type Schemas = components["schemas"];
export type Task = Schemas["TaskOut"];
export type NewTask = Schemas["TaskIn"];
export type Change = Schemas["TaskPatch"];

// --- Requests -----------------------------------------------------------------------------------

const { BASE = "", TOKEN = "", USER_ID = "", SYNC_LIMIT, PAUSE_MS, POLL_MS } = process.env;
const TASKS = "/api/{user_id}/tasks";
const TASK = "/api/{user_id}/tasks/{task_id}";
const api = createClient<paths>({ baseUrl: BASE, headers: { Authorization: `Bearer ${TOKEN}` } });
const path = { user_id: USER_ID };

/** No answer came. Whether the service has done it is not known. */
class Unanswered extends Error {}

/** The answer is an error. `code` is its `error_code`. */
class Refused extends Error {
  readonly status: number;
  readonly code: string | undefined;

  constructor(status: number, error: Partial<Schemas["ErrorResponse"]>) {
    super(error.detail ?? `Status ${status}`);
    this.status = status;
    this.code = error.error_code;
  }
}

type Answer<Data> = { data?: Data; error?: object; response: Response };

async function answered<Data>(request: Promise<Answer<Data>>): Promise<Data> {
  const { data, error, response } = await request.catch((cause: unknown) => {
    throw new Unanswered("No answer came.", { cause });
  });
  if (error !== undefined || !response.ok) throw new Refused(response.status, error ?? {});
  return data as Data;
}

/** Every request here can be repeated safely, so all that may be temporary is tried again. */
function isTemporary(error: Error): boolean {
  if (error instanceof Refused) return error.status >= 500 || [408, 429].includes(error.status);
  return error instanceof Unanswered;
}

const isRefused = (error: unknown, code: string) => error instanceof Refused && error.code === code;

/** With the same key again, the service does not create a second task. */
const createTask = (body: NewTask, key: string) =>
  answered(api.POST(TASKS, { params: { path, header: { "Idempotency-Key": key } }, body }));

const readTask = (task_id: number) =>
  answered(api.GET(TASK, { params: { path: { ...path, task_id } } }));

/** Only if the task is as it was at `updatedAt`. */
const changeTask = (task_id: number, body: Change, updatedAt?: string) =>
  answered(
    api.PATCH(TASK, {
      params: {
        path: { ...path, task_id },
        header: updatedAt === undefined ? {} : { "If-Match": `"${updatedAt}"` },
      },
      body,
    }),
  );

const deleteTask = (task_id: number, permanent: boolean) =>
  answered(api.DELETE(TASK, { params: { path: { ...path, task_id }, query: { permanent } } }));

/** At most SYNC_LIMIT changes since `token`; without it, at most 1000. */
const changesSince = (token: string) => {
  const limit = SYNC_LIMIT === undefined ? {} : { limit: Number(SYNC_LIMIT) };
  return answered(api.GET(TASKS, { params: { path, query: { sync: token, ...limit } } }));
};

// --- The local store ----------------------------------------------------------------------------

/** All tasks by id, and the token that says up to where the store knows them. */
export type Store = { tasks: Record<number, Task>; sync: string; more: boolean };

export const STORE = ["tasks"];
const EMPTY: Store = { tasks: {}, sync: "*", more: false };

/** The store with the next answer of sync. */
export async function synced(store: Store = EMPTY): Promise<Store> {
  let answer;
  try {
    answer = await changesSince(store.sync);
  } catch (error) {
    // The changes since then are no longer known: start over.
    if (isRefused(error, "SYNC_EXPIRED")) return synced(EMPTY);
    throw error;
  }
  const { deleted = [], sync = "*", more = false } = answer;
  const tasks = { ...store.tasks };
  for (const task of answer.tasks) tasks[task.id] = task;
  for (const { id } of deleted) delete tasks[id];
  if (!more && store.sync !== "*" && Object.keys(tasks).length !== answer.count) {
    console.warn(`There are ${answer.count} tasks, but the store has others. It starts over.`);
    return synced(EMPTY);
  }
  return { tasks, sync, more };
}

// --- The queue of changes -----------------------------------------------------------------------
//
// Each change is a mutation. TanStack Query runs one after the other, pauses them while the device
// is offline, and repeats them with the same variables, so with the same key. They may not hold
// functions, because they are saved with the tab.

export type Changes = {
  create: { key: string; task: NewTask };
  addLine: { id: number; line: string };
  remove: { id: number; permanent: boolean };
  restore: { id: number };
};

/** Puts a change into the queue. It is saved from now on. */
export function queue<Name extends keyof Changes>(
  tab: QueryClient,
  name: Name,
  variables: Changes[Name],
): void {
  new MutationObserver<unknown, Error, Changes[Name]>(tab, { mutationKey: [name] })
    .mutate(variables)
    .catch(() => {}); // the error is in the state of the mutation
}

function defineChanges(tab: QueryClient): void {
  function define<Name extends keyof Changes>(
    name: Name,
    mutationFn: (variables: Changes[Name]) => Promise<unknown>,
  ): void {
    tab.setMutationDefaults<unknown, Error, Changes[Name]>([name], {
      mutationFn,
      // The store gets the change from the service. Were it changed here, a late answer could
      // bring back a task that somebody has deleted in the meantime.
      onSettled: () => void tab.invalidateQueries({ queryKey: STORE }),
    });
  }

  define("create", ({ key, task }) =>
    // It was created, its answer was lost, and then it was deleted.
    createTask(task, key).catch(unless("GONE")),
  );
  define("addLine", ({ id, line }) =>
    merge(tab, id, ({ description }) => {
      const lines = description?.split("\n") ?? [];
      return lines.includes(line) ? null : { description: [...lines, line].join("\n") };
    }),
  );
  define("remove", ({ id, permanent }) =>
    // The second time it is 404. That is no reason to disturb anybody.
    deleteTask(id, permanent).catch(unless("NOT_FOUND")),
  );
  define("restore", ({ id }) => changeTask(id, { deleted: false }));
}

function unless(code: string): (error: unknown) => void {
  return (error) => {
    if (!isRefused(error, code)) throw error;
  };
}

/**
 * Changes a task that others change at the same time.
 *
 * `changeOf` returns what is to be changed in the task as it is now, or null if it is so already:
 * then an earlier attempt has done it, and its answer was lost.
 */
async function merge(
  tab: QueryClient,
  id: number,
  changeOf: (task: Task) => Change | null,
): Promise<void> {
  let task = tab.getQueryData<Store>(STORE)?.tasks[id] ?? (await readTask(id));
  for (;;) {
    const change = changeOf(task);
    if (change === null) return;
    try {
      await changeTask(id, change, task.updated_at);
      return;
    } catch (error) {
      if (!isRefused(error, "PRECONDITION_FAILED")) throw error;
      task = await readTask(id);
    }
  }
}

// --- A tab --------------------------------------------------------------------------------------

// TanStack Query takes a program without a window for a server, which neither polls nor retries.
environmentManager.setIsServer(() => false);

/** A tab that polls, and continues what was in the queue when `saved` was returned. */
export function openTab(saved?: DehydratedState): QueryClient {
  const pause = Number(PAUSE_MS ?? 1000);
  const retries = {
    retry: (_: number, error: Error) => isTemporary(error),
    retryDelay: (failures: number) => Math.min(pause * 2 ** failures, 30 * pause),
  };
  const tab = new QueryClient({
    defaultOptions: { queries: retries, mutations: { ...retries, scope: { id: "queue" } } },
  });
  defineChanges(tab);
  if (saved) hydrate(tab, saved);
  tab.mount();
  new QueryObserver<Store>(tab, {
    queryKey: STORE,
    queryFn: () => synced(tab.getQueryData<Store>(STORE)),
    refetchInterval: ({ state }) => (state.data?.more ? 1 : Number(POLL_MS ?? 5000)),
  }).subscribe(() => {});
  // Also those whose request was on its way: nobody knows whether it was done.
  for (const change of pending(tab)) change.continue().catch(() => {});
  return tab;
}

export const pending = (tab: QueryClient) =>
  tab.getMutationCache().findAll({ status: "pending" });

/** The store and the queue, for localStorage or IndexedDB: always both together. */
export const save = (tab: QueryClient): DehydratedState =>
  dehydrate(tab, { shouldDehydrateMutation: ({ state }) => state.status === "pending" });
