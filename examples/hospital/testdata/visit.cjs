// A visit as people make it: a doctor in one window, a patient in another, in headless Chromium.
// Usage: node visit.cjs BASE_URL; TELEMED_NODE_MODULES holds playwright-core; TELEMED_CHROMIUM is the browser.
// With TELEMED_SCREENSHOTS, a folder, it keeps pictures of the pages there.
"use strict";
const assert = require("node:assert/strict");
const path = require("node:path");
const { chromium } = require(path.join(process.env.TELEMED_NODE_MODULES, "playwright-core"));

const base = process.argv[2];
const shots = process.env.TELEMED_SCREENSHOTS;

async function picture(page, name) {
  if (shots) await page.screenshot({ path: path.join(shots, name + ".png"), fullPage: true });
}

async function connect(page, provider) {
  await page.goto(base + "/doctor/settings/integration");
  const login = page.getByRole("button", { name: /Log in/ });
  if (await login.count()) await login.click();
  await page.click(`#connect-${provider}`);
  await picture(page, `consent-${provider}`);
  await page.getByRole("button", { name: /allow/i }).click();
  await page.waitForURL(/success=true/);
}

// watch notes what the hospital's own pages complain of: a blocked script or style says so there only.
function watch(page, errors) {
  page.on("console", (message) => {
    if (message.type() === "error" && message.location().url.startsWith(base)) errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
}

(async () => {
  const browser = await chromium.launch({
    executablePath: process.env.TELEMED_CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    const errors = [];
    const staff = await (await browser.newContext()).newPage();
    watch(staff, errors);
    await staff.goto(base);
    await picture(staff, "home");
    await connect(staff, "google");
    await connect(staff, "zoom");
    await picture(staff, "settings");
    await staff.goto(base + "/clinic");
    await staff.getByText("live", { exact: true }).waitFor();
    assert.equal(await staff.locator("#visits tr").count(), 0);

    // The patient has a phone of ordinary size, and a name that tries to be markup.
    const patient = await (await browser.newContext({ viewport: { width: 390, height: 844 } })).newPage();
    watch(patient, errors);
    const name = "Asha <img src=x onerror=alert(1)>";
    await patient.goto(base + "/book");
    await picture(patient, "book");
    await patient.fill("[name=name]", name);
    await patient.fill("[name=email]", "asha@example.org");
    await patient.fill("[name=phone]", "+91 98765 43210");
    await patient.selectOption("[name=language]", "hi");
    await patient.check("[name=provider][value=google]");
    await patient.click("#book button");
    await patient.click("#pay");
    await picture(patient, "checkout");
    await patient.click("#fail");
    await patient.getByText("Nothing was taken").waitFor();
    await patient.click("#back");
    await patient.click("#pay");
    await patient.click("button#pay");
    await patient.locator("#status", { hasText: "booked" }).waitFor();
    await patient.locator("#join").waitFor();
    await patient.locator(".chat").waitFor({ timeout: 60000 }); // without a reload, one message after the other
    await picture(patient, "visit");
    assert.match(await patient.locator("#join").getAttribute("href"), /^http/);
    const mail = patient.frameLocator("iframe").first();
    await mail.getByText(name).first().waitFor(); // as text, in the mail
    const popup = patient.waitForEvent("popup");
    await patient.frameLocator("iframe").first().getByRole("link").first().click(); // the last one has the link
    assert.equal((await popup).url(), await patient.locator("#join").getAttribute("href")); // a link in a mail opens
    await (await popup).close();

    // A wrong form says so at its fields, and puts the cursor into the first.
    const careless = await (await browser.newContext({ viewport: { width: 390, height: 844 } })).newPage();
    await careless.goto(base + "/book");
    await careless.fill("[name=name]", "Asha");
    await careless.fill("[name=email]", "asha@example.org");
    await careless.fill("[name=phone]", "98765");
    await careless.fill("[name=zone]", "Mars/Olympus");
    await careless.click("#book button");
    await careless.locator("#wrong-phone").waitFor();
    await careless.waitForLoadState();
    await careless.locator("[name=phone]:focus").waitFor(); // autofocus comes with the first frame, after the text
    assert.equal(await careless.locator("[aria-invalid=true]").count(), 2);
    await picture(careless, "book-wrong");

    // The dashboard has changed without a reload.
    const row = staff.locator("#visits tr");
    await row.getByText("booked", { exact: true }).waitFor();
    assert.equal(await row.count(), 1);
    assert.equal(await row.locator("td").first().textContent(), name);
    await picture(staff, "clinic");
    await row.getByRole("link").click();
    await staff.locator("#timeline tr").first().waitFor();
    await picture(staff, "clinic-visit");
    assert.match(await staff.locator("#host").getAttribute("href"), /host$/);
    await staff.click("#host"); // the room's page is the provider's
    assert.ok(!staff.url().startsWith(base));
    await staff.goto(base + "/clinic");
    await staff.getByText("live", { exact: true }).waitFor();

    // It has not heard of what happens while it is away, and sees it when it is back.
    await staff.evaluate(() => socket.disconnect());
    await staff.getByText("connection lost").waitFor();
    await patient.click("#cancel summary");
    await picture(patient, "cancel");
    await patient.click("#cancel button");
    await patient.locator("#status", { hasText: "cancelled" }).waitFor();
    await staff.evaluate(() => socket.connect());
    await staff.locator("#visits td", { hasText: "cancelled" }).waitFor();
    assert.equal(await row.count(), 1);

    // Nothing is wider than a phone.
    for (const address of ["/", "/book", new URL(patient.url()).pathname, "/doctor/settings/integration"]) {
      await patient.goto(base + address);
      const [wide, view] = await patient.evaluate(() => [document.documentElement.scrollWidth, window.innerWidth]);
      assert.ok(wide <= view, `${address} is ${wide} pixels wide`);
    }
    assert.deepEqual(errors.filter((text) => !text.includes("401 (Unauthorized)")), []);
    console.log("visit complete");
  } finally {
    await browser.close();
  }
})().catch((error) => { console.error(error); process.exit(1); });
