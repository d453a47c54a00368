/** What pages read, by noun. Keys are [noun] for what is mine, [noun, id] for one thing, [noun, {…}] for a page of a list. */
import { infiniteQueryOptions, keepPreviousData, type QueryClient, queryOptions } from "@tanstack/react-query";
import { api, data, type Schemas } from "./client";
import type { paths } from "./schema";

type Query<Path extends keyof paths> = paths[Path] extends { get: { parameters: { query?: infer Q } } }
  ? Omit<NonNullable<Q>, "cursor">
  : never;
type Page<T> = { items: T[]; next_cursor?: string | null };

/** Pages of a list, one after another. */
function pages<T>(key: readonly unknown[], read: (cursor: string | undefined) => Promise<Page<T>>) {
  return infiniteQueryOptions({
    queryKey: key,
    queryFn: ({ pageParam }) => read(pageParam || undefined),
    initialPageParam: "",
    getNextPageParam: (last) => last.next_cursor ?? undefined,
    // What is there stays until what is asked for has come: nothing jumps while one types.
    placeholderData: keepPreviousData,
  });
}

export const me = queryOptions({ queryKey: ["me"], queryFn: () => data(api.GET("/api/v1/users/me")) });

export const quota = queryOptions({ queryKey: ["quota"], queryFn: () => data(api.GET("/api/v1/users/me/quota")) });

export const policy = queryOptions({
  queryKey: ["catalogue", "policy"],
  queryFn: () => data(api.GET("/api/v1/policy/")),
});

export const sshKeys = queryOptions({
  queryKey: ["ssh-keys"],
  queryFn: () => data(api.GET("/api/v1/ssh-keys/", { params: { query: { limit: 500, sort: "name" } } })),
});

export const flavours = queryOptions({
  queryKey: ["catalogue", "flavours"],
  queryFn: () => data(api.GET("/api/v1/flavours/", { params: { query: { limit: 500 } } })),
});

export const images = queryOptions({
  queryKey: ["catalogue", "images"],
  queryFn: () => data(api.GET("/api/v1/images/", { params: { query: { limit: 500 } } })),
});

export const clusters = (query: Query<"/api/v1/clusters/">) =>
  pages<Schemas["ClusterSummary"]>(["clusters", query], (cursor) =>
    data(api.GET("/api/v1/clusters/", { params: { query: { ...query, cursor } } })),
  );

export const cluster = (id: string) =>
  queryOptions({
    queryKey: ["clusters", id],
    queryFn: () => data(api.GET("/api/v1/clusters/{cluster}", { params: { path: { cluster: id } } })),
  });

export const grants = (id: string) =>
  queryOptions({
    queryKey: ["grants", id],
    queryFn: () => data(api.GET("/api/v1/clusters/{cluster}/grants/", { params: { path: { cluster: id } } })),
  });

export const transfers = queryOptions({
  queryKey: ["transfers"],
  queryFn: () => data(api.GET("/api/v1/transfers/", { params: { query: { limit: 500 } } })),
});

export const instances = (query: Query<"/api/v1/instances/">) =>
  pages<Schemas["InstanceRead"]>(["instances", query], (cursor) =>
    data(api.GET("/api/v1/instances/", { params: { query: { ...query, cursor } } })),
  );

export const instance = (id: string) =>
  queryOptions({
    queryKey: ["instances", id],
    queryFn: () => data(api.GET("/api/v1/instances/{instance}", { params: { path: { instance: id } } })),
  });

export const operations = (query: Query<"/api/v1/operations/">) =>
  pages<Schemas["OperationRead"]>(["operations", query], (cursor) =>
    data(api.GET("/api/v1/operations/", { params: { query: { ...query, cursor } } })),
  );

export const events = (query: Query<"/api/v1/events/history">) =>
  pages<Schemas["EventRead"]>(["events", query], (cursor) =>
    data(api.GET("/api/v1/events/history", { params: { query: { ...query, cursor } } })),
  );

export const audit = (query: Query<"/api/v1/audit/">) =>
  pages<Schemas["AuditRead"]>(["audit", query], (cursor) =>
    data(api.GET("/api/v1/audit/", { params: { query: { ...query, cursor } } })),
  );

export const tokens = (query: Query<"/api/v1/tokens/">) =>
  pages<Schemas["ApiTokenRead"]>(["tokens", query], (cursor) =>
    data(api.GET("/api/v1/tokens/", { params: { query: { ...query, cursor } } })),
  );

export const subscriptions = queryOptions({
  queryKey: ["notifications"],
  queryFn: () => data(api.GET("/api/v1/notifications/", { params: { query: { limit: 500, sort: "-created_at" } } })),
  refetchInterval: 10_000,
});

/** Not read again with each event: what becomes of them is none. */
export const deliveries = (subscription: string) =>
  pages<Schemas["DeliveryRead"]>(["deliveries", subscription], (cursor) =>
    data(
      api.GET("/api/v1/notifications/{subscription}/deliveries", {
        params: { path: { subscription }, query: { limit: 20, cursor } },
      }),
    ),
  );

export const users = (query: Query<"/api/v1/users/">) =>
  pages<Schemas["UserRead"]>(["users", query], (cursor) =>
    data(api.GET("/api/v1/users/", { params: { query: { ...query, cursor } } })),
  );

export const user = (name: string) =>
  queryOptions({
    queryKey: ["users", name],
    queryFn: () => data(api.GET("/api/v1/users/{user}", { params: { path: { user: name } } })),
  });

export const health = queryOptions({
  queryKey: ["health"],
  queryFn: async () => {
    const answer = await fetch("/health");
    return (await answer.json()) as Schemas["app__schemas__platform__Health"];
  },
  refetchInterval: 5_000,
});

/** Not read again with each event, as ["platform"] alone would be. */
export const platform = queryOptions({
  queryKey: ["platform", "report"],
  queryFn: () => data(api.GET("/api/v1/platform/")),
  refetchInterval: 10_000,
});

export type Reading = { cpu: number; memory: number; of: number };
/** Readings that are kept, one each ten seconds. */
export const READINGS = 60;

/** What these instances use together, now and before: kept for as long as the page has it. Fails where nothing measures. */
export const usage = (key: string, ids: string[], client: QueryClient) =>
  queryOptions({
    queryKey: ["usage", key],
    queryFn: async (): Promise<Reading[]> => {
      const answers = await Promise.allSettled(
        ids.map((instance) => data(api.GET("/api/v1/instances/{instance}/usage", { params: { path: { instance } } }))),
      );
      const measured = answers.flatMap((answer) => (answer.status === "fulfilled" ? [answer.value] : []));
      const refused = answers.find((answer) => answer.status === "rejected");
      if (measured.length === 0 && refused) throw refused.reason;
      const now = {
        cpu: measured.reduce((sum, { cpu }) => sum + cpu, 0),
        memory: measured.reduce((sum, { memory }) => sum + memory, 0),
        of: measured.length,
      };
      return [...(client.getQueryData<Reading[]>(["usage", key]) ?? []), now].slice(-READINGS);
    },
    refetchInterval: ({ state }) => (state.error ? false : 10_000),
    retry: false,
  });
