// Looks at the sandbox's pages as people do: on a phone and on a desk, in light and in dark,
// with JavaScript and without.
// Usage: node pages.cjs EMPTY FULL, two addresses of sandboxes. TELEMED_NODE_MODULES holds
// playwright-core and axe-core; TELEMED_CHROMIUM is the browser. With TELEMED_AUDIT=all each
// page is looked at in each width and colour, not only the fullest ones in one of each. With
// TELEMED_SCREENSHOTS, a folder, it does that too, and keeps pictures there.
"use strict";
const assert = require("node:assert/strict");
const fs = require("node:fs");
const path = require("node:path");
const modules = process.env.TELEMED_NODE_MODULES;
const { chromium } = require(path.join(modules, "playwright-core"));
const axe = fs.readFileSync(path.join(modules, "axe-core", "axe.min.js"), "utf8");

const [empty, full] = process.argv.slice(2);
const shots = process.env.TELEMED_SCREENSHOTS;
const every = shots || process.env.TELEMED_AUDIT === "all";
let looked = 0;

// look has axe read the page, and checks that nothing is wider than the window.
async function look(page, name) {
  if (shots) await page.screenshot({ path: path.join(shots, name + ".png"), fullPage: true });
  await page.evaluate(axe);
  const found = await page.evaluate(async () => {
    const { violations } = await window.axe.run(document, { iframes: false });
    return violations.map((v) => `${v.id}: ${v.nodes.map((n) => n.html + " " + n.failureSummary).join("\n")}`);
  });
  assert.deepEqual(found, [], name);
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  assert.ok(wide <= 0, `${name} is ${wide} pixels too wide`);
  looked++;
}

function watch(page, errors) {
  page.on("console", (message) => { if (message.type() === "error") errors.push(message.text()); });
  page.on("pageerror", (error) => errors.push(String(error)));
}

// wear makes the window one of a width and a colour.
async function wear(page, width, colorScheme) {
  await page.setViewportSize({ width, height: 900 });
  await page.emulateMedia({ colorScheme });
}

async function lookAtFull(page, name) {
  await page.goto(full);
  await page.evaluate(() => document.querySelectorAll("details").forEach((d) => { d.open = d.id.startsWith("scopes") || !d.parentElement.nextElementSibling; }));
  await look(page, name);
}

async function lookAtMail(page, part, name) {
  await page.goto(full + "/mail/1?as=" + part);
  await look(page, name);
}

// states are the pages in all their states.
async function states(page) {
  if (!every) {
    await wear(page, 320, "dark");
    await lookAtFull(page, "full");
    await wear(page, 1280, "light");
    await lookAtMail(page, "html", "mail");
    return;
  }
  for (const [width, colour] of [[320, "dark"], [320, "light"], [1280, "dark"], [1280, "light"]]) {
    await wear(page, width, colour);
    await page.goto(empty);
    await look(page, `empty-${width}-${colour}`);
    await lookAtFull(page, `full-${width}-${colour}`);
    for (const part of ["html", "text", "calendar", "headers", "raw"]) await lookAtMail(page, part, `mail-${part}-${width}-${colour}`);
  }
}

// withoutScript presses every kind of button without JavaScript.
async function withoutScript(browser) {
  const context = await browser.newContext({ javaScriptEnabled: false, viewport: { width: 320, height: 900 } });
  const page = await context.newPage();
  await page.goto(full);
  const press = async (section, button, after) => {
    await page.locator("#" + section).getByRole("button", { name: button }).first().click();
    await page.getByText(after).first().waitFor();
  };
  await press("faults", "Break it", "google anything: fail");
  await press("faults", "Drop them", "No fault waits");
  await press("faults", "Let it pass", "ahead now.");
  await press("payments", "Fail: UPI failure@razorpay", "The bank says yes after all");
  await press("payments", "The bank says yes after all", "captured");
  await press("meetings", "Come to the waiting room", "Asha waits");
  await press("meetings", "The doctor starts it", "started");
  await press("meetings", "Admit Asha", "Asha is inside");
  await press("chats", "The patient reads it", "read");
  await page.locator("#chats").getByLabel(/Write as/).fill("STOP");
  await press("chats", "Send", "STOP");
  await press("webhooks", "five times", /The application answered \[2\d\d( 2\d\d){4}\]/);
  await press("webhooks", "Hold them", "Done.");
  await press("consents", "Expire all access tokens", "access token expired");
  await press("meetings", "Come to the waiting room", "is there already");
  await context.close();
}

// notes: what came of a button is told in colours that can be read.
async function notes(page) {
  await wear(page, 320, "dark");
  await page.goto(full);
  await page.locator("#payments").getByRole("button", { name: "Leave refunds pending" }).click();
  await page.getByText("Done.").waitFor();
  if (every) await look(page, "note-320-dark");
}

// live: what happens shows by itself, is said, and what somebody types stays.
async function live(page) {
  await wear(page, 1280, "light");
  await page.goto(empty);
  await page.locator("[name=delay]").fill("7s");
  const made = await fetch(empty + "/control/faults", { method: "POST", body: new URLSearchParams({ provider: "zoom", op: "create", kind: "hang" }) });
  assert.equal(made.status, 200);
  await page.getByText("New. Faults: 1").waitFor();
  assert.equal(await page.locator("[name=delay]").inputValue(), "7s", "somebody types there");
  await page.locator("h1").click();
  await page.locator("[name=delay]").blur();
  await page.getByText("zoom create: hang").waitFor();
}

(async () => {
  const browser = await chromium.launch({
    executablePath: process.env.TELEMED_CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    const page = await (await browser.newContext()).newPage();
    const errors = [];
    watch(page, errors);
    await states(page);
    await live(page);
    await withoutScript(browser);
    await notes(page);
    assert.deepEqual(errors, [], "the browser complains");
    console.log(`${looked} pages, 0 violations`);
  } finally {
    await browser.close();
  }
})().catch((error) => {
  console.error(error);
  process.exit(1);
});
