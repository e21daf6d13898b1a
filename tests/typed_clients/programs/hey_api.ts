import assert from "node:assert/strict";
import { QueryClient } from "@tanstack/react-query";
import { listTasksInfiniteOptions } from "./generated/@tanstack/react-query.gen.ts";
import { client } from "./generated/client.gen.ts";
import { changeTask, createTask, deleteTask, listTasks, replaceTask } from "./generated/sdk.gen.ts";
import { BASE, TOKEN, USER, check } from "./scenario.ts";

client.setConfig({ baseUrl: BASE, auth: TOKEN });
const path = { user_id: USER };
const throwOnError = true;

await check({
  list: async (query) => (await listTasks({ path, query, throwOnError })).data,
  create: async (body) => (await createTask({ path, body, throwOnError })).data,
  change: async (task_id, body) =>
    (await changeTask({ path: { ...path, task_id }, body, throwOnError })).data,
  replace: async (task_id, body) =>
    (await replaceTask({ path: { ...path, task_id }, body, throwOnError })).data,
  remove: async (task_id) => deleteTask({ path: { ...path, task_id }, throwOnError }),
  refuse: async (body) => {
    const { error } = await createTask({ path, body });
    return error?.error_code === "VALIDATION_ERROR" ? error.errors[0]?.loc : undefined;
  },
});

// The parameter `cursor` is enough for Hey API to generate an infinite query.
for (const title of ["one", "two", "three"]) await createTask({ path, body: { title } });
const { pages } = await new QueryClient().fetchInfiniteQuery({
  ...listTasksInfiniteOptions({ path, query: { limit: 2 } }),
  initialPageParam: { path },
  getNextPageParam: (page) => page.next_cursor,
  pages: 9,
});
assert.deepEqual(
  pages.map((page) => page.tasks.map((task) => task.title)),
  [["three", "two"], ["one"]],
);

// @ts-expect-error A value that a field cannot have does not compile.
() => createTask({ path, body: { title: "x", priority: "urgent" } });
// @ts-expect-error Nor does the use of a field that a task does not have.
() => createTask({ path, body: { title: "x" } }).then(({ data }) => data?.done);
