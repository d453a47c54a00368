/** What happens, as it happens: each event says which lists and which things to read again, never what they are now. */
import { type QueryClient, useQueryClient } from "@tanstack/react-query";
import { createEventSource } from "eventsource-client";
import { useEffect } from "react";

/** A cluster of a thousand tells much at once: it is read again at most so often, in milliseconds. */
const PAUSE = 300;

/** Keeps everything on the page up to date while it is open. `everyones`: for whoever sees all clusters. */
export function useLive(everyones: boolean): void {
  const client = useQueryClient();
  useEffect(() => {
    const again = refresher(client);
    const source = createEventSource({
      url: `/api/v1/events/${everyones ? "?everyones=true" : ""}`,
      onMessage: ({ data }) => {
        const { cluster_id, instance_id } = JSON.parse(data);
        again.now(cluster_id, instance_id);
      },
      // What happened while nobody listened is in the next reading.
      onConnect: () => again.everything(),
    });
    return () => {
      source.close();
      again.end();
    };
  }, [client, everyones]);
}

/** Lists are always read again, and of single things those that were told of. */
function refresher(client: QueryClient) {
  let first = true;
  let timer: number | undefined;
  const told = new Set<string>();
  function read() {
    timer = undefined;
    const ids = new Set(told);
    told.clear();
    void client.invalidateQueries({
      predicate: ({ queryKey: [noun, id] }) =>
        noun !== "me" && noun !== "catalogue" && (typeof id !== "string" || ids.has(id)),
    });
  }
  return {
    now(...ids: (string | null)[]) {
      for (const id of ids) if (id) told.add(id);
      timer ??= window.setTimeout(read, PAUSE);
    },
    everything() {
      if (!first) void client.invalidateQueries();
      first = false;
    },
    end() {
      window.clearTimeout(timer);
    },
  };
}
