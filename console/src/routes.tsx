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

const at = <Path extends string>(path: Path, component: ReturnType<typeof lazyRouteComponent>) =>
  createRoute({ getParentRoute: () => root, path, component, validateSearch: search });

const tree = root.addChildren([
  at(
    "/",
    lazyRouteComponent(() => import("./pages/overview"), "Overview"),
  ),
  at(
    "/clusters",
    lazyRouteComponent(() => import("./pages/clusters/list"), "Clusters"),
  ),
  at(
    "/clusters/new",
    lazyRouteComponent(() => import("./pages/clusters/create"), "CreateCluster"),
  ),
  at(
    "/clusters/$cluster",
    lazyRouteComponent(() => import("./pages/clusters/detail"), "Cluster"),
  ),
  at(
    "/instances",
    lazyRouteComponent(() => import("./pages/instances/list"), "Instances"),
  ),
  at(
    "/instances/$instance",
    lazyRouteComponent(() => import("./pages/instances/detail"), "Instance"),
  ),
  at(
    "/instances/$instance/terminal",
    lazyRouteComponent(() => import("./pages/instances/terminal"), "Terminal"),
  ),
  at(
    "/instances/$instance/screen",
    lazyRouteComponent(() => import("./pages/instances/screen"), "Screen"),
  ),
  at(
    "/operations",
    lazyRouteComponent(() => import("./pages/operations"), "Operations"),
  ),
  at(
    "/audit",
    lazyRouteComponent(() => import("./pages/audit"), "Audit"),
  ),
  at(
    "/account",
    lazyRouteComponent(() => import("./pages/account"), "Account"),
  ),
  at(
    "/users",
    lazyRouteComponent(() => import("./pages/users/list"), "Users"),
  ),
  at(
    "/users/$user",
    lazyRouteComponent(() => import("./pages/users/detail"), "User"),
  ),
  at(
    "/catalogue",
    lazyRouteComponent(() => import("./pages/catalogue/page"), "Catalogue"),
  ),
  at(
    "/platform",
    lazyRouteComponent(() => import("./pages/platform"), "Platform"),
  ),
  at(
    "/help",
    lazyRouteComponent(() => import("./pages/help"), "Help"),
  ),
  at(
    "/help/$page",
    lazyRouteComponent(() => import("./pages/help"), "Help"),
  ),
]);

export function routerWith(client: QueryClient) {
  return createRouter({
    routeTree: tree,
    context: { client },
    defaultPendingComponent: Waiting,
    defaultErrorComponent: ({ error, reset }) => <Trouble error={error} again={reset} />,
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
