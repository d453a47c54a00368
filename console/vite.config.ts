import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

/** `CMP_URL`: where the API is that a console under development talks to. */
const api = process.env.CMP_URL ?? "http://127.0.0.1:8000";

export default defineConfig({
  plugins: [react()],
  build: { outDir: "dist", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
  server: { fs: { allow: [".."] }, proxy: Object.fromEntries(["/api", "/login", "/logout", "/sso", "/health"].map((path) => [path, api])) },
});
