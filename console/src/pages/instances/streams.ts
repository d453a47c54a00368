/** WebSockets into instances: where they are, and why one ended, in words. */

export type End = { words: string; wrong: boolean };

const WHY: Record<number, string> = {
  1001: "CMP is being restarted. Connect again.",
  1006: "It could not be opened, or the connection broke. Is the instance running?",
  1011: "Something went wrong on CMP's side. Connect again.",
  4000: "Nothing was typed for long, so it was closed.",
  4001: "It was open for as long as one may be. Connect again.",
  4002: "The instance was suspended.",
  4003: "The instance is gone.",
  4004: "Your session ended, or what you may has changed.",
  4005: "The connection to the instance broke. Connect again.",
};

export function streamUrl(id: string, way: "exec" | "console" | "vnc"): string {
  return `${location.protocol === "https:" ? "wss" : "ws"}://${location.host}/api/v1/instances/${id}/${way}`;
}

export function endOf({ code, reason }: CloseEvent, said: string | null): End {
  if (code === 1000) return { words: said ?? (reason || "It has ended."), wrong: false };
  return { words: [WHY[code] ?? `It ended (${code}).`, reason].filter(Boolean).join(" "), wrong: true };
}
