// A dashboard as pages have it, in Chromium: it asks for its clinic once, and never again.
//
//	node page.cjs <url>
//
// TELEMED_NODE_MODULES is the node_modules folder that holds playwright-core and
// socket.io-client; TELEMED_CHROMIUM is the browser.
"use strict";
const path = require("node:path");
const modules = process.env.TELEMED_NODE_MODULES;
const { chromium } = require(path.join(modules, "playwright-core"));

const url = process.argv[2];
const report = (step, detail = {}) => process.stdout.write(JSON.stringify({ step, ...detail }) + "\n");

(async () => {
  const browser = await chromium.launch({
    executablePath: process.env.TELEMED_CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    const page = await browser.newPage();
    await page.exposeFunction("report", report);
    const bye = new Promise((resolve) => page.exposeFunction("bye", resolve));
    // There is no page, but an origin. One of Playwright's own would not be on loopback, and
    // Chromium lets only such pages open a WebSocket to it.
    await page.goto(url + "/");
    await page.addScriptTag({ path: path.join(modules, "socket.io-client", "dist", "socket.io.min.js") });
    await page.evaluate(() => {
      const socket = window.io(location.origin, { withCredentials: true });
      socket.emit("join-clinic", "7");
      // The upgrade may be there before the answer to the connect packet.
      socket.io.once("open", () => socket.io.engine.once("upgrade", () => window.report("upgraded")));
      socket.on("n", (data) => window.report("n", { data }));
      socket.on("disconnect", () => window.report("lost"));
      socket.on("bye", () => {
        window.report("bye");
        window.bye();
      });
    });
    await bye;
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
