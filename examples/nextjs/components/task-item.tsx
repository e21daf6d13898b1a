import { useState } from "react";
import type { Change, Task } from "@/lib/tasks";
import type { Action } from "@/lib/use-tasks";
import { Field, TaskForm } from "./forms";

export function TaskItem({ task, act }: { task: Task; act: (action: Action) => void }) {
  const [seen, setSeen] = useState<Task>(); // when the form was opened
  const { title, complete, due_date, tags } = task;
  const isTrash = task.deleted_at !== undefined;
  const due = due_date?.includes("T") ? new Date(due_date).toLocaleString() : due_date;
  const toggle = () => act({ kind: "change", task, change: { complete: !complete } });
  const edit = () => setSeen({ ...task, due_date: due_date?.slice(0, 10) ?? null });

  function save(change: Change) {
    if (seen) act({ kind: "change", task: seen, change });
    setSeen(undefined);
  }

  if (seen) return <li><TaskForm label="Save" task={seen} onSave={save} /></li>;
  const button = (label: string, onClick: () => void) => (
    <button onClick={onClick} aria-label={`${label} ${title}`}>{label}</button>
  );
  return (
    <li>
      <Field label={title} type="checkbox"
        checked={complete} disabled={isTrash} onChange={toggle} />
      <small>{[due, ...tags].filter(Boolean).join(", ")}</small>
      {isTrash && button("Restore", () => act({ kind: "restore", task }))}
      {!isTrash && button("Edit", edit)}
      {!isTrash && button("Delete", () => act({ kind: "remove", task }))}
    </li>
  );
}
