import { type CSSVariablesResolver, createTheme } from "@mantine/core";

export const theme = createTheme({
  fontFamily: "-apple-system, BlinkMacSystemFont, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif",
  fontFamilyMonospace: "ui-monospace, SFMono-Regular, Menlo, 'DejaVu Sans Mono', monospace",
  defaultRadius: "sm",
  cursorType: "pointer",
  respectReducedMotion: true,
  autoContrast: true,
  primaryShade: { light: 8, dark: 8 },
  components: {
    // The first thing in it has the focus, and nothing that is no item stands among the items.
    Menu: { defaultProps: { withInitialFocusPlaceholder: false } },
    Modal: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
    Notification: { defaultProps: { closeButtonProps: { "aria-label": "Close" } } },
  },
});

/** Words that stand back are still read: 7:1 on their ground. */
export const variables: CSSVariablesResolver = (given) => ({
  variables: {},
  light: {
    "--mantine-color-dimmed": given.colors.gray[8],
    "--mantine-color-placeholder": given.colors.gray[7],
    "--mantine-color-anchor": given.colors.blue[9],
  },
  dark: {
    "--mantine-color-dimmed": given.colors.gray[4],
    "--mantine-color-placeholder": given.colors.gray[5],
    "--mantine-color-anchor": given.colors.blue[3],
  },
});
