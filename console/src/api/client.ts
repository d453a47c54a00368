/** The only way to the API: typed by its own description, patient when a session ends, errors as problems. */
import createClient from "openapi-fetch";
import type { components, paths } from "./schema";

export type Schemas = components["schemas"];
export type Problem = Schemas["Problem"];

export class ProblemError extends Error {
  constructor(readonly problem: Problem) {
    super(problem.detail || problem.title);
  }
}

type Waiting = { resolve: () => void };
let waiting: Waiting[] = [];
let asked: (() => void) | null = null;

/** `ask` is called when a session has ended and something waits to be sent again. */
export function onSessionEnd(ask: () => void): () => void {
  asked = ask;
  return () => {
    asked = null;
  };
}

/** What waited for a session is sent again. */
export function sessionBegan(): void {
  const all = waiting;
  waiting = [];
  for (const one of all) one.resolve();
}

/** Waits for the person to sign in again rather than losing what they were doing. */
async function patient(request: Request): Promise<Response> {
  for (;;) {
    const answer = await fetch(request.clone());
    if (answer.status !== 401 || asked === null) return answer;
    const again = new Promise<void>((resolve) => waiting.push({ resolve }));
    asked();
    await again;
  }
}

export const api = createClient<paths>({ fetch: patient });

/** The answer's data. Raises ProblemError, also where nothing answers. */
export async function data<T>(answer: Promise<{ data?: T; error?: unknown; response: Response }>): Promise<T> {
  let came: { data?: T; error?: unknown; response: Response };
  try {
    came = await answer;
  } catch (error) {
    throw unanswered(error);
  }
  if (!came.response.ok) throw new ProblemError(problemOf(came.error, came.response));
  return came.data as T;
}

function problemOf(error: unknown, response: Response): Problem {
  if (typeof error === "object" && error !== null && "code" in error) return error as Problem;
  return {
    type: "about:blank",
    code: "unexpected",
    title: "An answer that nobody expected",
    status: response.status,
    detail: `CMP, or something before it, answered ${response.status}. Try again in a moment.`,
    request_id: response.headers.get("x-request-id") ?? "",
  };
}

export function unanswered(error: unknown): ProblemError {
  return new ProblemError({
    type: "about:blank",
    code: "unreachable",
    title: "CMP does not answer",
    status: 0,
    detail: `Check your connection. Nothing was lost; try again. (${error instanceof Error ? error.message : error})`,
    request_id: "",
  });
}

/** In words: HTTP's own are for programs. */
export function titleOf(problem: Problem | null): string {
  if (problem === null) return "Something went wrong";
  return problem.status === 0 ? problem.title : "That did not work";
}
