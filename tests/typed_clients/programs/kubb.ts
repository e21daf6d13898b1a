import { setConfig } from "./generated/.kubb/fetch.ts";
import type { CreateTask422 } from "./generated/index.ts";
import { changeTask, createTask, deleteTask, listTasks, replaceTask } from "./generated/index.ts";
import { BASE, TOKEN, USER, check } from "./scenario.ts";

setConfig({
  baseURL: BASE,
  headers: { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" },
});

await check({
  list: async (query) => listTasks(USER, query),
  create: async (task) => createTask(USER, task),
  change: async (id, change) => changeTask(USER, id, change),
  replace: async (id, task) => replaceTask(USER, id, task),
  remove: async (id) => deleteTask(USER, id),
  refuse: async (task) => {
    // Kubb's client returns an error like an answer, and does not type it.
    const answer: unknown = await createTask(USER, task);
    const error = answer as CreateTask422;
    return error.error_code === "VALIDATION_ERROR" ? error.errors[0]?.loc : undefined;
  },
});

// @ts-expect-error A value that a field cannot have does not compile.
() => createTask(USER, { title: "x", priority: "urgent" });
// @ts-expect-error Nor does the use of a field that a task does not have.
() => createTask(USER, { title: "x" }).then((task) => task.done);
