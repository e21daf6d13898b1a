"use client";
import { QueryClientProvider } from "@tanstack/react-query";
import { useRouter } from "next/navigation";
import { useState } from "react";
import { authClient } from "@/lib/auth-client";
import type { Filters } from "@/lib/tasks";
import { createQueryClient, useTasks } from "@/lib/use-tasks";
import { FilterForm, TaskForm, VIEWS } from "./forms";
import { TaskItem } from "./task-item";

type User = { id: string; email: string };

export function Tasks({ user }: { user: User }) {
  const [client] = useState(createQueryClient);
  return <QueryClientProvider client={client}><TaskPage user={user} /></QueryClientProvider>;
}

function clickWhenVisible(button: HTMLButtonElement) {
  const observer = new IntersectionObserver(([entry]) => entry?.isIntersecting && button.click());
  observer.observe(button);
  return () => observer.disconnect();
}

function TaskPage({ user }: { user: User }) {
  const router = useRouter();
  const [filters, setFilters] = useState<Filters>(VIEWS.Open);
  const { list, tasks, waiting, problems, last, act, settle } = useTasks(user.id, filters);
  const more = () => list.fetchNextPage({ cancelRefetch: false });
  const removed = last?.kind === "remove" && last.task;
  const created = waiting.filter(({ action }) => action.kind === "create");
  const signOut = () => authClient.signOut().then(() => router.refresh());

  return (
    <main>
      <header>
        <h1>Tasks</h1> {user.email} <button onClick={signOut}>Sign out</button>
      </header>
      <TaskForm label="Add" onSave={(task) => act({ kind: "create", task })} />
      <FilterForm onChange={setFilters} />
      <p role="status">
        {waiting.length > 0 && `Not saved yet: ${waiting.length}. `}
        {removed && `“${removed.title}” is in the trash. `}
        {removed && <button onClick={() => act({ kind: "restore", task: removed })}>Undo</button>}
      </p>
      <div role="alert">
        {list.failureReason?.message}
        {problems.map((problem) => (
          <p key={problem.key}>
            “{problem.action.task.title}” was not saved. {problem.error?.message}{" "}
            <button onClick={() => settle(problem, true)}>Save mine</button>{" "}
            <button onClick={() => settle(problem, false)}>Discard mine</button>
          </p>
        ))}
      </div>
      <ul aria-label="Tasks" aria-busy={list.isFetching}>
        {created.map(({ key, action }) => <li key={key}>{action.task.title} …</li>)}
        {tasks.map((task) => <TaskItem key={task.id} task={task} act={act} />)}
      </ul>
      {list.isSuccess && tasks.length === 0 && <p>No tasks.</p>}
      {list.hasNextPage && (
        <button key={list.dataUpdatedAt} ref={clickWhenVisible} onClick={more}>Show more</button>
      )}
    </main>
  );
}
