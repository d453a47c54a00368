/** Addresses and their pages. What a page shows stands in its address, so that it can be sent on and reloaded. */
import { Text } from "@mantine/core";
import type { QueryClient } from "@tanstack/react-query";
import {
  createRootRouteWithContext,
  createRoute,
  createRouter,
  Link,
  lazyRouteComponent,
} from "@tanstack/react-router";
import { ProblemError, unanswered } from "./api/client";
import { Heading, Trouble, Waiting } from "./parts/parts";
import { Shell } from "./shell";

const root = createRootRouteWithContext<{ client: QueryClient }>()({ component: Shell });
/** Whatever of these words an address has; a page drops what it does not know. */
export type Search = Partial<Record<string, string>>;
const search = (given: Record<string, unknown>): Search =>
  Object.fromEntries(
    Object.entries(given)
      .filter(([, value]) => value !== "" && value !== undefined && value !== null)
      .map(([key, value]) => [key, String(value)]),
  );

/**
 * A page's script that cannot be fetched. Where CMP answers it is of a newer version, and the router loads everything
 * anew; that would leave nothing to read where CMP is away.
 */
const page: typeof lazyRouteComponent = (load, name) =>
  lazyRouteComponent(
    () =>
      load().catch(async (error: unknown) => {
        throw (await answers()) ? error : unanswered("a part of the page cannot be fetched");
      }),
    name,
  );
const answers = () =>
  fetch(location.href, { cache: "no-store" }).then(
    (answer) => answer.ok,
    () => false,
  );
const reloadWhereItAnswers = () => answers().then((there) => there && location.reload());

const at = <Path extends string>(path: Path, component: ReturnType<typeof lazyRouteComponent>) =>
  createRoute({ getParentRoute: () => root, path, component, validateSearch: search });

const tree = root.addChildren([
  at(
    "/",
    page(() => import("./pages/overview"), "Overview"),
  ),
  at(
    "/clusters",
    page(() => import("./pages/clusters/list"), "Clusters"),
  ),
  at(
    "/clusters/new",
    page(() => import("./pages/clusters/create"), "CreateCluster"),
  ),
  at(
    "/clusters/$cluster",
    page(() => import("./pages/clusters/detail"), "Cluster"),
  ),
  at(
    "/instances",
    page(() => import("./pages/instances/list"), "Instances"),
  ),
  at(
    "/instances/$instance",
    page(() => import("./pages/instances/detail"), "Instance"),
  ),
  at(
    "/instances/$instance/terminal",
    page(() => import("./pages/instances/terminal"), "Terminal"),
  ),
  at(
    "/instances/$instance/screen",
    page(() => import("./pages/instances/screen"), "Screen"),
  ),
  at(
    "/operations",
    page(() => import("./pages/operations"), "Operations"),
  ),
  at(
    "/audit",
    page(() => import("./pages/audit"), "Audit"),
  ),
  at(
    "/account",
    page(() => import("./pages/account"), "Account"),
  ),
  at(
    "/notifications",
    page(() => import("./pages/notifications/page"), "Notifications"),
  ),
  at(
    "/users",
    page(() => import("./pages/users/list"), "Users"),
  ),
  at(
    "/users/$user",
    page(() => import("./pages/users/detail"), "User"),
  ),
  at(
    "/catalogue",
    page(() => import("./pages/catalogue/page"), "Catalogue"),
  ),
  at(
    "/platform",
    page(() => import("./pages/platform"), "Platform"),
  ),
  at(
    "/help",
    page(() => import("./pages/help"), "Help"),
  ),
  at(
    "/help/$page",
    page(() => import("./pages/help"), "Help"),
  ),
]);

export function routerWith(client: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { client },
    defaultPendingComponent: Waiting,
    defaultErrorComponent: ({ error, reset }) => (
      <Trouble error={error} again={error instanceof ProblemError ? reloadWhereItAnswers : reset} />
    ),
    defaultNotFoundComponent: () => (
      <>
        <Heading title="There is no such page" />
        <Text size="sm">
          Its address may be mistyped, or what it was about is gone. <Link to="/">To the overview</Link>
        </Text>
      </>
    ),
    scrollRestoration: true,
    // Words stay words: ?name=007 is no number.
    parseSearch: (text) => Object.fromEntries(new URLSearchParams(text)),
    stringifySearch: (given) => {
      const text = new URLSearchParams(
        Object.entries(given).filter((pair): pair is [string, string] => Boolean(pair[1])),
      ).toString();
      return text ? `?${text}` : "";
    },
  });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof routerWith>;
  }
}
