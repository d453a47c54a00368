/** Changes: say what came of them, and read again what they touched. */
import { notifications } from "@mantine/notifications";
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { ProblemError, titleOf } from "../api/client";

/** `done`: what to say when it worked; nothing where the page itself shows it. */
export function useActing<Input = void, Output = unknown>(
  act: (input: Input) => Promise<Output>,
  options: { done?: (output: Output, input: Input) => string | undefined; quiet?: boolean } = {},
) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: act,
    onSuccess: (output, input) => {
      const said = options.done?.(output, input);
      if (said) notifications.show({ message: said, color: "teal" });
    },
    onError: (error) => {
      if (!options.quiet) failed(error);
    },
    onSettled: () => client.invalidateQueries(),
  });
}

export function failed(error: unknown): void {
  const problem = error instanceof ProblemError ? error.problem : null;
  notifications.show({
    color: "red",
    autoClose: false,
    withCloseButton: true,
    title: titleOf(problem),
    message: `${problem?.detail ?? error}${problem?.request_id ? ` (request ${problem.request_id})` : ""}`,
  });
}
