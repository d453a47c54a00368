/** What is around every page: where one can go, who one is, and what to do when the session has ended. */
import {
  ActionIcon,
  AppShell,
  Avatar,
  Box,
  Burger,
  Group,
  Kbd,
  Menu,
  Modal,
  NavLink,
  Stack,
  Text,
  Title,
  Tooltip,
  UnstyledButton,
  useComputedColorScheme,
  useMantineColorScheme,
} from "@mantine/core";
import { useDisclosure, useHotkeys } from "@mantine/hooks";
import { openSpotlight, Spotlight, type SpotlightActionData } from "@mantine/spotlight";
import {
  IconActivity,
  IconBell,
  IconBox,
  IconGauge,
  IconHeartbeat,
  IconHelpCircle,
  IconHistory,
  IconKey,
  IconKeyboard,
  IconLayoutDashboard,
  IconLogout,
  IconMoon,
  IconPhoto,
  IconSearch,
  IconSun,
  IconUsers,
} from "@tabler/icons-react";
import { useQuery } from "@tanstack/react-query";
import { Link, Outlet, useLocation, useNavigate } from "@tanstack/react-router";
import { type ComponentType, createContext, useContext, useEffect } from "react";
import { ProblemError, type Schemas } from "./api/client";
import { useLive } from "./api/live";
import * as queries from "./api/queries";
import { Trouble, Waiting } from "./parts/parts";
import { SessionEnded } from "./parts/session";

type Me = Schemas["MeRead"];
const Known = createContext<Me | null>(null);

/** Who is signed in. */
export function useMe(): Me {
  const me = useContext(Known);
  if (me === null) throw new Error("outside of the shell");
  return me;
}

export function useMay(permission: Schemas["Permission"]): boolean {
  return useMe().permissions.includes(permission);
}

type Place = {
  to: string;
  label: string;
  icon: ComponentType<{ size?: number }>;
  needs?: Schemas["Permission"];
  key: string;
};
const PLACES: Place[] = [
  { to: "/", label: "Overview", icon: IconLayoutDashboard, key: "o" },
  { to: "/clusters", label: "Clusters", icon: IconBox, key: "c" },
  { to: "/instances", label: "Instances", icon: IconActivity, key: "i" },
  { to: "/operations", label: "Operations", icon: IconHistory, key: "p" },
  { to: "/audit", label: "Audit", icon: IconGauge, key: "a" },
  { to: "/account", label: "Account and tokens", icon: IconKey, key: "t" },
  { to: "/notifications", label: "Notifications", icon: IconBell, key: "m" },
  { to: "/help", label: "Help", icon: IconHelpCircle, key: "l" },
];
const ADMINISTRATION: Place[] = [
  { to: "/users", label: "Users and quotas", icon: IconUsers, needs: "users:read", key: "u" },
  { to: "/catalogue", label: "Catalogue", icon: IconPhoto, needs: "catalogue:write", key: "g" },
  { to: "/platform", label: "Platform health", icon: IconHeartbeat, needs: "users:read", key: "h" },
];

/** Signed in, or sent to where one signs in and back again. */
export function Shell() {
  const me = useQuery(queries.me);
  const ended = me.error instanceof ProblemError && me.error.problem.status === 401;
  useEffect(() => {
    if (ended) window.location.assign(`/login?next=${encodeURIComponent(location.pathname + location.search)}`);
  }, [ended]);
  if (me.data) {
    return (
      <Known value={me.data}>
        <SignedIn />
        <SessionEnded username={me.data.username} />
      </Known>
    );
  }
  return me.isError && !ended ? (
    <Box p="xl">
      <Trouble error={me.error} again={() => me.refetch()} />
    </Box>
  ) : (
    <Waiting />
  );
}

function SignedIn() {
  const [opened, { toggle, close }] = useDisclosure();
  const [keys, { open: openKeys, close: closeKeys }] = useDisclosure();
  const navigate = useNavigate();
  useLive(useMay("everyones"));
  const places = usePlaces();
  const mayCreate = useMay("clusters:write");
  useHotkeys([
    ["?", openKeys],
    ["shift+?", openKeys],
    ["/", () => openSpotlight()],
    ...places.map(({ to, key }): [string, () => void] => [`alt+${key}`, () => void navigate({ to })]),
    ["alt+n", () => mayCreate && void navigate({ to: "/clusters/new" })],
  ]);
  const actions: SpotlightActionData[] = [
    ...places.map(({ to, label }) => ({ id: to, label, onClick: () => void navigate({ to }) })),
    ...(mayCreate
      ? [{ id: "new", label: "Create a cluster", onClick: () => void navigate({ to: "/clusters/new" }) }]
      : []),
    { id: "docs", label: "API documentation", onClick: () => window.location.assign("/docs") },
  ];
  return (
    <AppShell
      header={{ height: 52 }}
      navbar={{ width: 220, breakpoint: "sm", collapsed: { mobile: !opened } }}
      padding="md"
    >
      <a className="skip" href="#main">
        Skip to the page
      </a>
      <AppShell.Header>
        <Group h="100%" px="md" justify="space-between" wrap="nowrap">
          <Group gap="sm" wrap="nowrap">
            <Burger opened={opened} onClick={toggle} hiddenFrom="sm" size="sm" aria-label="Navigation" />
            <Link to="/" className="plain">
              <Title order={2} size="h4" component="span">
                CMP
              </Title>
            </Link>
          </Group>
          <Group gap="xs" wrap="nowrap">
            <UnstyledButton onClick={openSpotlight} visibleFrom="sm">
              <Group gap={6}>
                <IconSearch size={16} aria-hidden />
                <Text size="sm">Go to…</Text>
                <Kbd size="xs">Ctrl K</Kbd>
              </Group>
            </UnstyledButton>
            <Schemes />
            <Who keys={openKeys} />
          </Group>
        </Group>
      </AppShell.Header>
      <AppShell.Navbar p="xs" aria-label="Pages">
        <Places places={PLACES} close={close} />
        {places.length > PLACES.length && (
          <>
            <Text size="xs" c="dimmed" mt="md" mb={4} px="sm">
              Administration
            </Text>
            <Places places={ADMINISTRATION.filter((place) => places.includes(place))} close={close} />
          </>
        )}
      </AppShell.Navbar>
      <AppShell.Main id="main" tabIndex={-1}>
        <Outlet />
      </AppShell.Main>
      <Spotlight
        actions={actions}
        shortcut="mod + K"
        nothingFound="Nothing of that name"
        searchProps={{ placeholder: "Go to, or do…" }}
      />
      <Modal opened={keys} onClose={closeKeys} title="Keys">
        <Shortcuts />
      </Modal>
    </AppShell>
  );
}

/** Those that one may go to. */
function usePlaces(): Place[] {
  const { permissions } = useMe();
  return [...PLACES, ...ADMINISTRATION].filter(({ needs }) => !needs || permissions.includes(needs));
}

export function Shortcuts() {
  const places = usePlaces();
  return (
    <Stack gap="xs">
      <Keys keys={["Ctrl", "K"]} what="Go to a page, or do something" />
      {places.map(({ key, label, to }) => (
        <Keys key={to} keys={["Alt", key.toUpperCase()]} what={label} />
      ))}
      {useMay("clusters:write") && <Keys keys={["Alt", "N"]} what="Create a cluster" />}
      <Keys keys={["?"]} what="These keys" />
    </Stack>
  );
}

function Keys({ keys, what }: { keys: string[]; what: string }) {
  return (
    <Group justify="space-between">
      <Text size="sm">{what}</Text>
      <Group gap={4}>
        {keys.map((key) => (
          <Kbd key={key}>{key}</Kbd>
        ))}
      </Group>
    </Group>
  );
}

function Places({ places, close }: { places: Place[]; close: () => void }) {
  const { pathname } = useLocation();
  return places.map(({ to, label, icon: Icon }) => {
    const active = to === "/" ? pathname === "/" : pathname.startsWith(to);
    return (
      <NavLink
        key={to}
        renderRoot={(props) => <Link to={to} {...props} />}
        label={label}
        leftSection={<Icon size={18} aria-hidden />}
        active={active}
        aria-current={active ? "page" : undefined}
        onClick={close}
      />
    );
  });
}

function Schemes() {
  const { setColorScheme } = useMantineColorScheme();
  const dark = useComputedColorScheme("light") === "dark";
  const label = dark ? "Light theme" : "Dark theme";
  return (
    <Tooltip label={label}>
      <ActionIcon
        variant="subtle"
        color="gray"
        aria-label={label}
        onClick={() => setColorScheme(dark ? "light" : "dark")}
      >
        {dark ? <IconSun size={18} /> : <IconMoon size={18} />}
      </ActionIcon>
    </Tooltip>
  );
}

function Who({ keys }: { keys: () => void }) {
  const me = useMe();
  return (
    <Menu position="bottom-end" withinPortal>
      <Menu.Target>
        <UnstyledButton aria-label={`Account of ${me.username}`}>
          <Avatar size={30} radius="xl" variant="filled" color="blue" aria-hidden>
            {me.username.slice(0, 2).toUpperCase()}
          </Avatar>
        </UnstyledButton>
      </Menu.Target>
      <Menu.Dropdown>
        <Menu.Label>
          {me.username} ({me.role})
        </Menu.Label>
        <Menu.Item leftSection={<IconKey size={16} />} renderRoot={(props) => <Link to="/account" {...props} />}>
          Account and tokens
        </Menu.Item>
        <Menu.Item leftSection={<IconKeyboard size={16} />} onClick={keys}>
          Keys
        </Menu.Item>
        <Menu.Item leftSection={<IconHelpCircle size={16} />} renderRoot={(props) => <Link to="/help" {...props} />}>
          Help
        </Menu.Item>
        <Menu.Divider role="separator" />
        <form method="post" action="/logout">
          <Menu.Item leftSection={<IconLogout size={16} />} type="submit">
            Sign out
          </Menu.Item>
        </form>
      </Menu.Dropdown>
    </Menu>
  );
}
