/** A page's filters, kept in its address: reloaded and sent on, they are what they were. */
import { useNavigate, useSearch } from "@tanstack/react-router";
import type { Search } from "../routes";

export function useFilters(): [Search, (change: Search) => void] {
  const search: Search = useSearch({ strict: false });
  const navigate = useNavigate();
  const change = (changed: Search) =>
    void navigate({ to: ".", replace: true, search: (before: Search) => ({ ...before, ...changed }) });
  return [search, change];
}
