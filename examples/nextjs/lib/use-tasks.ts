import * as query from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { TaskError, tasksOf, type Change, type Filters, type NewTask, type Task } from "./tasks";

export type Action =
  | { kind: "create"; task: NewTask }
  | { kind: "change"; task: Task; change: Change }
  | { kind: "remove" | "restore"; task: Task };
type Queued = { key: string; action: Action };
type Problem = Queued & { error: Error | null; entry: query.Mutation };

const QUEUE = ["queue"];
const TEMPORARY = [0, 408, 429, 502, 503, 504];

export function createQueryClient() {
  const retry = (_: number, error: Error) =>
    error instanceof TaskError && TEMPORARY.includes(error.status);
  const mutations = { retry, gcTime: Infinity };
  return new query.QueryClient({ defaultOptions: { queries: { retry }, mutations } });
}

/** The tasks of a user, and a queue of actions that stay in localStorage until they are done. */
export function useTasks(userId: string, filters: Filters) {
  const client = query.useQueryClient();
  const [api] = useState(() => tasksOf(userId));
  const place = `tasks/${userId}`;
  const queue = place + "/";

  const list = query.useInfiniteQuery({
    queryKey: ["list", filters],
    queryFn: ({ pageParam }) => api.list({ ...filters, limit: 50, cursor: pageParam }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor,
    placeholderData: query.keepPreviousData,
  });

  query.useQuery({
    queryKey: ["sync"],
    queryFn: async () => {
      const known = client.getQueryData<string>(["sync"]) ?? localStorage.getItem(place) ?? "*";
      const { sync, changed } = await api.changesSince(known);
      if (changed) await client.invalidateQueries({ queryKey: ["list"] });
      localStorage.setItem(place, sync);
      return sync;
    },
    refetchInterval: 5_000,
  });

  const { mutate } = query.useMutation({
    mutationKey: QUEUE,
    scope: { id: "queue" }, // one after the other
    mutationFn: ({ key, action }: Queued) =>
      navigator.locks.request(queue, async () => {
        if (!localStorage.getItem(queue + key)) return; // another tab has done it
        if (action.kind === "create") await api.create(action.task, key);
        else if (action.kind === "change") await api.change(action.task, action.change);
        else await api[action.kind](action.task);
        localStorage.removeItem(queue + key);
      }),
    onSettled: () => client.invalidateQueries({ queryKey: ["sync"] }),
  });

  useEffect(() => {
    if (client.isMutating()) return; // strict mode runs effects twice
    for (const [name, saved] of Object.entries<string>(localStorage).sort())
      if (name.startsWith(queue))
        mutate({ key: name.slice(queue.length), action: JSON.parse(saved) as Action });
  }, [client, mutate, queue]);

  const actions = query.useMutationState({
    filters: { mutationKey: QUEUE },
    select: (entry) => ({ ...entry.state, ...(entry.state.variables as Queued), entry }),
  });

  // The keys are in the order of their times.
  function act(action: Action, key = `${Date.now()}-${crypto.randomUUID()}`) {
    localStorage.setItem(queue + key, JSON.stringify(action));
    mutate({ key, action });
  }

  function settle({ key, action, error, entry }: Problem, isWanted: boolean) {
    client.getMutationCache().remove(entry);
    if (!isWanted) return localStorage.removeItem(queue + key);
    const current = error instanceof TaskError && error.current;
    act(current ? { ...action, task: current } : action, key);
  }

  const listed = list.data?.pages.flatMap((page) => page.tasks) ?? [];
  const waiting = actions.filter(({ status }) => status === "pending");
  const tasks = afterwards(listed, waiting, filters);
  const problems = actions.filter(({ status }) => status === "error");
  return { list, tasks, waiting, problems, last: actions.at(-1)?.action, act, settle };
}

/** The list as it will be when nothing waits any longer, without new tasks. */
function afterwards(tasks: Task[], waiting: Queued[], { deleted }: Filters) {
  const leaving = deleted ? "restore" : "remove";
  const after = new Map(tasks.map((task) => [task.id, { task, isHere: true }]));
  for (const { action } of waiting) {
    const entry = action.kind !== "create" && after.get(action.task.id);
    if (entry && action.kind === "change") entry.task = { ...entry.task, ...action.change };
    else if (entry) entry.isHere = action.kind !== leaving;
  }
  return [...after.values()].filter(({ isHere }) => isHere).map(({ task }) => task);
}
