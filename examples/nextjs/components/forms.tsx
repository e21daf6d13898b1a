import type { ComponentProps, SubmitEvent } from "react";
import type { Filters, NewTask } from "@/lib/tasks";

export const VIEWS = {
  Open: { complete: false },
  Due: { complete: false, due: "any", sort: "due_date" },
  Complete: { complete: true },
  All: {},
  Trash: { deleted: true },
} satisfies Record<string, Filters>;
const OPTIONS = Object.keys(VIEWS).map((view) => <option key={view}>{view}</option>);

export const text = (form: FormData, name: string) => String(form.get(name)).trim();

export function Field({ label, children, ...input }: ComponentProps<"input"> & { label: string }) {
  return <label><span>{label}</span> {children ?? <input {...input} />}</label>;
}

type Props = { label: string; task?: NewTask; onSave: (task: NewTask) => void };

export function TaskForm({ label, task, onSave }: Props) {
  function save(event: SubmitEvent<HTMLFormElement>) {
    event.preventDefault();
    const form = new FormData(event.currentTarget);
    const tags = text(form, "tags").split(/\s*,\s*/).filter(Boolean);
    onSave({ title: text(form, "title"), due_date: text(form, "due_date") || null, tags });
    event.currentTarget.reset();
  }

  return (
    <form onSubmit={save} aria-label={label}>
      <Field label="Title" name="title" defaultValue={task?.title} maxLength={200} required />
      <Field label="Due" name="due_date" type="date" defaultValue={task?.due_date ?? ""} />
      <Field label="Tags, with commas" name="tags" defaultValue={task?.tags?.join(", ")} />
      <button>{label}</button>
    </form>
  );
}

export function FilterForm({ onChange }: { onChange: (filters: Filters) => void }) {
  function change(event: { currentTarget: HTMLFormElement }) {
    const form = new FormData(event.currentTarget);
    const [q, tag] = [text(form, "q"), text(form, "tag")];
    const view = VIEWS[text(form, "view") as keyof typeof VIEWS];
    onChange({ ...view, q: q || undefined, tag: tag ? [tag] : undefined });
  }

  return (
    <form role="search" onChange={change}>
      <Field label="Show"><select name="view">{OPTIONS}</select></Field>
      <Field label="Search" name="q" type="search" maxLength={200} />
      <Field label="Tag" name="tag" maxLength={50} />
    </form>
  );
}
