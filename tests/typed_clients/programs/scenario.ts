// What every typed client must do with a running service, and the types that it must do it with.
import assert from "node:assert/strict";

export const { BASE = "", TOKEN = "", USER_ID: USER = "" } = process.env;

export type Priority = "low" | "medium" | "high";
export type Task = {
  id: number;
  user_id: string;
  title: string;
  description: string | null;
  complete: boolean;
  priority: Priority;
  due_date: string | null;
  tags: string[];
  completed_at: string | null;
  created_at: string;
  updated_at: string;
};
export type Page = {
  tasks: Task[];
  count: number;
  next_cursor?: string | null;
  // Only in the answer to `sync`.
  deleted?: { id: number; deleted_at: string }[];
  sync?: string;
  more?: boolean;
};
export type Query = {
  complete?: boolean;
  priority?: string;
  tag?: string[];
  due?: "any" | "none";
  due_before?: string;
  q?: string;
  sort?: string;
  limit?: number;
  cursor?: string;
  sync?: string;
};
export type Fields = {
  description?: string | null;
  complete?: boolean;
  priority?: Priority;
  due_date?: string | null;
  tags?: string[];
};

/** Properties, not methods, so that TypeScript compares the arguments strictly too. */
export type Tasks = {
  list: (query: Query) => Promise<Page>;
  create: (task: Fields & { title: string }) => Promise<Task>;
  change: (id: number, change: Fields & { title?: string }) => Promise<Task>;
  replace: (id: number, task: Task) => Promise<Task>;
  remove: (id: number) => Promise<unknown>;
  /** `errors[0].loc` of the answer to a task that is refused with 422. */
  refuse: (task: { title: string }) => Promise<(string | number)[] | undefined>;
};

export async function check(tasks: Tasks): Promise<void> {
  const created: Task[] = [];
  for (const title of ["one", "two", "three"]) {
    created.push(await tasks.create({ title, due_date: "2026-01-31", tags: ["home", title] }));
  }
  const [one, two, three] = created;
  assert(one && two && three);
  assert.deepEqual([one.description, one.complete, one.priority], [null, false, "medium"]);
  assert.deepEqual([one.due_date, one.tags], ["2026-01-31", ["home", "one"]]);

  const changed = await tasks.change(two.id, { complete: true, priority: "high" });
  assert.equal(typeof changed.completed_at, "string");
  const sentBack = await tasks.replace(three.id, { ...three, description: "3" });
  assert.equal(sentBack.description, "3");

  const filters: Query = { tag: ["home"], due: "any", due_before: "2026-02-01", q: "o" };
  const titles: string[] = [];
  let cursor: string | undefined;
  do {
    const page = await tasks.list({ ...filters, sort: "-title,due_date", limit: 1, cursor });
    assert.equal(page.count, 2);
    titles.push(...page.tasks.map((task) => task.title));
    cursor = page.next_cursor ?? undefined;
  } while (cursor);
  assert.deepEqual(titles, ["two", "one"]);
  assert.equal((await tasks.list({ complete: true, priority: "high,medium" })).count, 1);

  assert.deepEqual(await tasks.refuse({ title: " " }), ["body", "title"]);

  const { sync } = await tasks.list({ sync: "*" });
  for (const task of created) await tasks.remove(task.id);
  assert.equal((await tasks.list({})).count, 0);
  const { deleted, more } = await tasks.list({ sync: sync ?? "" });
  assert.deepEqual([deleted?.map(({ id }) => id), more], [[three.id, two.id, one.id], false]);
}
