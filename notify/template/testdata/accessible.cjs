// Looks at the preview and at every mail of it as people do: on a phone and on a desk, in light and in dark.
// Usage: node accessible.cjs URL. TELEMED_NODE_MODULES holds playwright-core and axe-core; TELEMED_CHROMIUM is the browser.
// With TELEMED_SCREENSHOTS, a folder, it keeps pictures there.
"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const modules = process.env.TELEMED_NODE_MODULES;
const { chromium } = require(path.join(modules, "playwright-core"));
const axe = fs.readFileSync(path.join(modules, "axe-core", "axe.min.js"), "utf8");

const url = process.argv[2];
const shots = process.env.TELEMED_SCREENSHOTS;
let looked = 0;

async function picture(page, name, options) {
  if (shots) await page.screenshot({ path: path.join(shots, name + ".png"), ...options });
}

// look has axe read the page, and checks that nothing is wider than the window.
async function look(page, what) {
  if (!(await page.evaluate(() => Boolean(window.axe)))) await page.evaluate(axe); // the window outlives setContent
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { iframes: false, resultTypes: ["violations"] });
    return violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html + " " + n.failureSummary).join("\n")}`);
  });
  assert.deepEqual(found, [], what);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `${what} is ${wide} pixels too wide`);
  looked++;
}

(async () => {
  const browser = await chromium.launch({
    executablePath: process.env.TELEMED_CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    for (const colorScheme of ["light", "dark"]) {
      for (const width of [320, 1280]) {
        const context = await browser.newContext({ viewport: { width, height: 900 }, colorScheme });
        const page = await context.newPage();
        const errors = [];
        page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
        page.on("pageerror", (error) => errors.push(String(error)));
        await page.goto(url);
        await picture(page, `preview-${width}-${colorScheme}`);
        await look(page, `the preview, ${width}, ${colorScheme}`);
        const links = await page.$$eval("iframe", (all) => all.map((frame) => [frame.title, frame.src]));
        assert.ok(links.length >= 40, `${links.length} mails`);
        const mail = await context.newPage();
        for (const [title, src] of links) {
          // Colours and widths are those of all languages; letters are looked at once.
          if (!src.includes("language=en") && (width !== 320 || colorScheme !== "light")) continue;
          await mail.setContent(await (await fetch(src)).text());
          await look(mail, `${title}, ${width}, ${colorScheme}`);
          if (/^(appointment_confirmed|payment_receipt|doctor_today|one_time_password) /.test(title)) {
            await picture(mail, `${title.split(" ")[0]}-${new URL(src).searchParams.get("language")}-${width}-${colorScheme}`, { fullPage: true });
          }
        }
        await page.locator("iframe").first().scrollIntoViewIfNeeded();
        await page.frameLocator("iframe").first().locator("h1").waitFor();
        await picture(page, `preview-frame-${width}-${colorScheme}`);
        assert.deepEqual(errors, [], "the browser complains");
        await context.close();
      }
    }
    console.log(`${looked} pages, 0 violations`);
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
