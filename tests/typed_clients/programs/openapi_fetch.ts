import createClient from "openapi-fetch";
import type { paths } from "./generated/schema.ts";
import { BASE, TOKEN, USER, check } from "./scenario.ts";

const TASKS = "/api/{user_id}/tasks";
const TASK = "/api/{user_id}/tasks/{task_id}";
const api = createClient<paths>({ baseUrl: BASE, headers: { Authorization: `Bearer ${TOKEN}` } });
const path = { user_id: USER };
const pathOf = (task_id: number) => ({ params: { path: { ...path, task_id } } });

function dataOf<Data>({ data, error }: { data?: Data; error?: unknown }): Data {
  if (data === undefined) throw error;
  return data;
}

await check({
  list: async (query) => dataOf(await api.GET(TASKS, { params: { path, query } })),
  create: async (body) => dataOf(await api.POST(TASKS, { params: { path }, body })),
  change: async (id, body) => dataOf(await api.PATCH(TASK, { ...pathOf(id), body })),
  replace: async (id, body) => dataOf(await api.PUT(TASK, { ...pathOf(id), body })),
  remove: async (id) => api.DELETE(TASK, pathOf(id)),
  refuse: async (body) => {
    const { error } = await api.POST(TASKS, { params: { path }, body });
    return error?.error_code === "VALIDATION_ERROR" ? error.errors[0]?.loc : undefined;
  },
});

// @ts-expect-error A value that a field cannot have does not compile.
() => api.POST(TASKS, { params: { path }, body: { title: "x", priority: "urgent" } });
// @ts-expect-error Nor does the use of a field that a task does not have.
() => api.GET(TASK, pathOf(1)).then(({ data }) => data?.done);
