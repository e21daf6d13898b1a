// The client of the tasks service. Take it with openapi.ts, which `npm run api` generates.
import createClient from "openapi-fetch";
import { authClient } from "./auth-client";
import type { components, operations, paths } from "./openapi";

export type Task = components["schemas"]["TaskOut"];
export type NewTask = components["schemas"]["TaskIn"];
export type Change = Partial<NewTask>;
export type Filters = NonNullable<operations["listTasks"]["parameters"]["query"]>;

const SERVICE = process.env.NEXT_PUBLIC_TASKS_URL ?? "http://127.0.0.1:8000";
const TASKS = "/api/{user_id}/tasks";
const TASK = "/api/{user_id}/tasks/{task_id}";
const TOKEN_AGE = 14 * 60_000; // the tokens of Better Auth are valid for 15 minutes
const TIMEOUT = 15_000;

/** Its message can be shown to users. */
export class TaskError extends Error {
  status = 0; // no answer
  current?: Task; // as somebody else has changed it
}
const failure = (message: string, fields: Partial<TaskError> = {}) =>
  Object.assign(new TaskError(message), fields);

async function fetchToken() {
  const { data, error } = await authClient.token({ fetchOptions: { timeout: TIMEOUT } });
  if (data?.token) return data.token;
  if (error?.status !== 401) throw failure("Your session cannot be checked.");
  throw failure("Your session has ended: sign in again.", { status: 401 });
}

/** A `fetch` with the token of the session. All requests share it, and a 401 renews it once. */
function fetchWithToken() {
  let token = Promise.resolve("");
  let until = 0;

  return async function send(request: Request, isRetry = false): Promise<Response> {
    if (until < Date.now()) {
      until = Date.now() + TOKEN_AGE;
      token = fetchToken();
      token.catch(() => (until = 0));
    }
    const used = token;
    const attempt = new Request(request.clone(), { signal: AbortSignal.timeout(TIMEOUT) });
    attempt.headers.set("Authorization", `Bearer ${await used}`);
    const response = await fetch(attempt);
    if (response.status !== 401 || isRetry) return response;
    if (token === used) until = 0;
    return send(request, true);
  };
}

type Answer<Data> = { data?: Data; error?: { detail: string }; response: Response };

async function answered<Data>(request: Promise<Answer<Data>>) {
  const { data, error, response } = await request.catch((cause: unknown) => {
    throw cause instanceof TaskError ? cause : failure("The service cannot be reached.");
  });
  if (response.ok) return data as Data;
  throw failure(error?.detail ?? response.statusText, { status: response.status });
}

const unless = (status: number) => (error: unknown) => {
  if (!(error instanceof TaskError) || error.status !== status) throw error;
};

const differs = (one: unknown, other: unknown) => JSON.stringify(one) !== JSON.stringify(other);

/** The tasks of a user. A call without an answer can be repeated, and still has one effect. */
export function tasksOf(user_id: string) {
  const api = createClient<paths>({ baseUrl: SERVICE, fetch: fetchWithToken() });
  const path = { user_id };
  const at = ({ id }: Task) => ({ params: { path: { user_id, task_id: id } } });

  return {
    list: (query: Filters) => answered(api.GET(TASKS, { params: { path, query } })),

    /** The `key` of a task, a new `crypto.randomUUID()`, is the same in each attempt. */
    create(body: NewTask, key: string) {
      const params = { path, header: { "Idempotency-Key": key } };
      return answered(api.POST(TASKS, { params, body })).catch(unless(410));
    },

    /** Changes a task that the user has `seen`. Others may have changed other fields since then. */
    async change(seen: Task, values: Change) {
      const fields = Object.keys(values) as (keyof Change)[];
      const changed = fields.filter((field) => differs(values[field], seen[field]));
      const body = Object.fromEntries(changed.map((field) => [field, values[field]]));
      for (let current = seen; changed.length > 0;) {
        const header = { "If-Match": `"${current.updated_at}"` };
        const patch = api.PATCH(TASK, { params: { ...at(seen).params, header }, body });
        if (await answered(patch).catch(unless(412))) return;
        current = await answered(api.GET(TASK, at(seen)));
        for (const field of changed)
          if (differs(current[field], seen[field]) && differs(current[field], values[field]))
            throw failure(`Now it is “${current[field]}”.`, { status: 412, current });
      }
    },

    /** Moves a task to the trash. */
    remove: (task: Task) => answered(api.DELETE(TASK, at(task))).catch(unless(404)),

    restore: (task: Task) => answered(api.PATCH(TASK, { ...at(task), body: { deleted: false } })),

    /** Whether a task has changed since the answer with this token. The first token is `*`. */
    async changesSince(sync: string) {
      for (let changed = false; ;) {
        const params = { path, query: { sync } };
        const page = await answered(api.GET(TASKS, { params })).catch(unless(410));
        if (!page?.sync) return { sync: "*", changed: true };
        changed ||= page.tasks.length > 0 || page.deleted?.length !== 0;
        sync = page.sync;
        if (!page.more) return { sync, changed };
      }
    },
  };
}
