import { defineConfig } from "vite";

// The chat widget: one classic script without imports, served as /widget.js from any page by one tag.
export default defineConfig({
  publicDir: false,
  build: {
    outDir: "../src/naru/static",
    emptyOutDir: false,
    target: "es2020",
    lib: { entry: "src/widget/widget.ts", name: "naruWidget", formats: ["iife"], fileName: () => "widget.js" },
  },
});
