// Listens with a real EventSource and reports each event as a line of JSON, until the
// EventSource gives up. With several addresses, one after the other.
//
//	node client.cjs npm|chromium <url> [<url>]
//
// TELEMED_NODE_MODULES is the node_modules folder that holds eventsource and playwright-core;
// TELEMED_CHROMIUM is the browser.
"use strict";
const { createRequire } = require("node:module");
const path = require("node:path");
const load = createRequire(path.join(process.env.TELEMED_NODE_MODULES, "x.js"));

const [kind, ...urls] = process.argv.slice(2);
const report = (fields) => process.stdout.write(JSON.stringify(fields) + "\n");

// listen is what a page does. It runs in Node and in Chromium.
function listen(live, report) {
  return new Promise((resolve) => {
    for (const step of ["telemed:at", "gap", "n"]) {
      live.addEventListener(step, (event) => report({ step, data: event.data, id: event.lastEventId !== "" }));
    }
    live.addEventListener("error", () => {
      report({ step: "error", closed: live.readyState === 2 });
      if (live.readyState === 2) resolve();
    });
  });
}

async function npm() {
  const { EventSource } = load("eventsource");
  for (const url of urls) {
    const withCookie = (input, init) => fetch(input, { ...init, headers: { ...init.headers, Cookie: "user=ada" } });
    await listen(new EventSource(url + "/live?room=clinic-7", { fetch: withCookie }), report);
  }
}

async function chromium() {
  const browser = await load("playwright-core").chromium.launch({
    executablePath: process.env.TELEMED_CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    for (const url of urls) {
      const context = await browser.newContext({ ignoreHTTPSErrors: true });
      await context.addCookies([{ name: "user", value: "ada", url }]);
      const page = await context.newPage();
      await page.exposeFunction("report", report);
      await page.goto(url + "/");
      await page.evaluate(`(${listen})(new EventSource("/live?room=clinic-7"), window.report)`);
      await context.close();
    }
  } finally {
    await browser.close();
  }
}

(kind === "npm" ? npm() : chromium()).catch((error) => {
  console.error(error);
  process.exit(1);
});
