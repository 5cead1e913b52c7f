import { defineConfig } from "vite";

// The pages: desk, wallboard, the demo shop. Hashed assets go to static/assets and are served at /static/assets.
export default defineConfig({
  base: "/static/",
  publicDir: false,
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../src/naru/static",
    emptyOutDir: true,
    target: "es2022",
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    reportCompressedSize: true,
    rolldownOptions: { input: ["desk.html", "wallboard.html", "campaigns.html", "customer.html"] },
  },
});
