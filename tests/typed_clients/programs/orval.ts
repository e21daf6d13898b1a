import { changeTask, createTask, deleteTask, listTasks, replaceTask } from "./generated/tasks.ts";
import { TOKEN, USER, check } from "./scenario.ts";

const headers = { Authorization: `Bearer ${TOKEN}`, "Content-Type": "application/json" };

/** The data of an answer with this status. */
function data<Answer extends { status: number; data: unknown }, Status extends Answer["status"]>(
  answer: Answer,
  status: Status,
): (Answer & { status: Status })["data"] {
  if (answer.status !== status) throw new Error(`${answer.status}`);
  return answer.data;
}

await check({
  list: async (query) => data(await listTasks(USER, query, { headers }), 200),
  create: async (task) => data(await createTask(USER, task, { headers }), 201),
  change: async (id, change) => data(await changeTask(USER, id, change, { headers }), 200),
  replace: async (id, task) => data(await replaceTask(USER, id, task, { headers }), 200),
  remove: async (id) => data(await deleteTask(USER, id, {}, { headers }), 204),
  refuse: async (task) => {
    const error = data(await createTask(USER, task, { headers }), 422);
    return error.error_code === "VALIDATION_ERROR" ? error.errors[0]?.loc : undefined;
  },
});

// @ts-expect-error A value that a field cannot have does not compile.
() => createTask(USER, { title: "x", priority: "urgent" });
// @ts-expect-error Nor does the use of a field that a task does not have.
() => createTask(USER, { title: "x" }).then((answer) => data(answer, 201).done);
