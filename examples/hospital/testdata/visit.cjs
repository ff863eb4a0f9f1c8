// A visit as people make it, and as staff break it: a doctor in one window, a patient in another,
// in headless Chromium. Each page is looked at by axe.
// Usage: node visit.cjs BASE_URL; TELEMED_NODE_MODULES holds playwright-core and axe-core;
// TELEMED_CHROMIUM is the browser. With TELEMED_AUDIT=all axe looks at each page in both languages
// and both themes, with TELEMED_AUDIT=none at no page, else at three pages in one of each. With TELEMED_PICTURE, a file, it makes the README's picture
// and ends there. With TELEMED_SCREENSHOTS, a folder, it keeps pictures there.
"use strict";
const assert = require("node:assert/strict");
const path = require("node:path");
const { chromium } = require(path.join(process.env.TELEMED_NODE_MODULES, "playwright-core"));
const axe = require(path.join(process.env.TELEMED_NODE_MODULES, "axe-core")).source;

const base = process.argv[2];
const shots = process.env.TELEMED_SCREENSHOTS;
const all = process.env.TELEMED_AUDIT === "all";
const none = process.env.TELEMED_AUDIT === "none";

async function picture(page, name) {
  if (shots) await page.screenshot({ path: path.join(shots, name + ".png"), fullPage: true });
}

// watch notes what the hospital's own pages complain of: a blocked script or style says so there only.
function watch(page, errors) {
  page.on("console", (message) => {
    if (message.type() === "error" && message.location().url.startsWith(base)) errors.push(message.text());
  });
  page.on("pageerror", (error) => errors.push(String(error)));
}

// audit has axe look at a page, in both themes, and has it narrow and wide.
async function audit(page, name) {
  if (none || !all && !/^(book-wrong|booked|staff)/.test(name)) return;
  const wrong = [];
  for (const colorScheme of all ? ["light", "dark"] : [name.endsWith("-hi") ? "dark" : "light"]) {
    await page.emulateMedia({ colorScheme });
    await page.evaluate(axe);
    const only = all && colorScheme === "dark" ? { runOnly: { type: "tag", values: ["cat.color"] } } : {};
    const found = await page.evaluate((only) => axe.run({ exclude: ["iframe"] }, { iframes: false, resultTypes: ["violations"], ...only }), only);
    for (const v of found.violations) wrong.push(`${name} ${colorScheme}: ${v.id}: ${v.nodes.map((n) => n.html).slice(0, 3).join(" | ")}`);
    await picture(page, `${name}-${colorScheme}`);
  }
  const size = page.viewportSize();
  for (const width of [320, 1280]) {
    await page.setViewportSize({ width, height: 800 });
    const wide = await page.evaluate(() => document.documentElement.scrollWidth);
    if (wide > width) wrong.push(`${name}: ${wide} pixels wide at ${width}`);
    if (width === 320) await picture(page, `${name}-320`);
  }
  await page.setViewportSize(size);
  assert.deepEqual(wrong, []);
}

// each audits a page in English and in Hindi.
let turn = 0;
async function each(page, address, name) {
  for (const lang of all ? ["en", "hi"] : [["en", "hi"][turn++ % 2]]) {
    await page.context().addCookies([{ name: "hospital_language", value: lang, url: base }]);
    const answer = await page.goto(base + address);
    assert.equal(answer.ok(), !["login", "error"].includes(name), name);
    assert.equal(await page.getAttribute("html", "lang"), lang);
    if (name === "receipt") assert.match(await page.textContent("main"), /pay_/);
    await audit(page, `${name}-${lang}`);
  }
}

const english = (page) => page.context().addCookies([{ name: "hospital_language", value: "en", url: base }]);

async function connect(page, provider) {
  await page.goto(base + "/doctor/settings/integration");
  const login = page.getByRole("button", { name: /Log in/ });
  if (await login.count()) await login.click();
  await page.click(`#connect-${provider}`);
  await page.getByRole("button", { name: /allow/i }).click();
  await page.waitForURL(/success=true/);
}

// press presses a button of the panel, and sees that it leads back to the visit.
async function press(staff, id) {
  await staff.click("#" + id);
  await staff.waitForURL((url) => url.pathname.startsWith("/clinic/visits/") && !url.search.includes("nothing"));
}

// tab goes to an element as people do who have no mouse.
async function tab(page, selector) {
  for (let n = 0; n < 15; n++) {
    if (await page.evaluate((selector) => document.activeElement.matches(selector), selector)) return;
    await page.keyboard.press("Tab");
  }
  assert.fail(selector + " is not reached by the keyboard");
}

// book fills in the form, by the keyboard alone. The name tries to be markup.
const name = process.env.TELEMED_PICTURE ? "Asha Verma" : "Asha <img src=x onerror=alert(1)>";
async function book(patient) {
  await patient.goto(base + "/book");
  // The times are by the browser's clock, and by the clinic's where that differs.
  await patient.waitForFunction(() => document.querySelector("#book [name=zone]").value === "America/New_York");
  await patient.locator("#start option", { hasText: /E[SD]T · .*IST at the clinic/ }).first().waitFor({ state: "attached" });
  await patient.selectOption("#shown-zone", "Asia/Dubai");
  await patient.waitForFunction(() => document.querySelector("#book [name=zone]").value === "Asia/Dubai");
  await patient.locator("#start option", { hasText: /Dubai time · .*IST at the clinic/ }).first().waitFor({ state: "attached" });
  await patient.focus("#shown-zone");
  for (const [field, text] of [["[name=name]", name], ["[name=email]", "asha@example.org"], ["[name=phone]", "+91 98765 43210"], ["#language", "E"], ["[value=google]", " "]]) {
    await tab(patient, field);
    await patient.keyboard.type(text);
  }
  await tab(patient, "#reserve");
  await patient.keyboard.press("Enter");
}

// counter waits for what is proof: each thing once.
async function counter(staff) {
  const once = /^meetings 1 · charges 1 · mails 1 · messages 1$/;
  await staff.locator("#counter p").filter({ hasText: once }).waitFor({ timeout: 150000 });
}

(async () => {
  const browser = await chromium.launch({
    executablePath: process.env.TELEMED_CHROMIUM,
    args: ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  try {
    const errors = [];
    const staff = await (await browser.newContext()).newPage();
    const patient = await (await browser.newContext({ viewport: { width: 390, height: 844 }, timezoneId: "America/New_York", locale: "en-US" })).newPage();
    watch(staff, errors);
    watch(patient, errors);
    await each(patient, "/clinic", "login");
    await each(patient, "/nothing", "error");
    await english(patient);
    await connect(staff, "google");
    await connect(staff, "zoom");
    const dashboard = await staff.context().newPage();
    watch(dashboard, errors);
    await dashboard.goto(base + "/clinic");
    await dashboard.getByText("live", { exact: true }).waitFor();
    assert.equal(await dashboard.locator("#visits tr").count(), 0);

    await book(patient);
    await patient.waitForURL(/\/visits\//);
    const visit = new URL(patient.url()).pathname;
    await each(patient, visit, "unpaid");
    await english(patient);
    await patient.goto(base + visit);
    await tab(patient, "#pay");
    await patient.keyboard.press("Enter");
    await patient.click("#fail");
    await patient.getByText("is not booked").waitFor();
    await audit(patient, "failed");
    await patient.click("#back");
    await patient.locator("#pay").waitFor();

    // Staff break it before the payment.
    const id = await patient.evaluate(async () => (await (await fetch(location.pathname + "/state")).json()).id);
    const page = "/clinic/visits/" + id;
    await staff.goto(base + page);
    for (const button of ["lose-meeting", "lose-mail", "lose-chat", "webhook-hold", "expire"]) await press(staff, button);
    await staff.locator("#armed li").nth(2).waitFor();
    await patient.click("#pay");
    await patient.click("button#pay");
    await patient.locator("#status", { hasText: "booked" }).waitFor();
    for (const button of ["webhook-release", "webhook-five"]) await press(staff, button);

    // The page of the patient lives.
    await patient.locator("#join").waitFor({ timeout: 150000 });
    await press(staff, "kill"); // while messages are sent
    await staff.locator("#timeline li", { hasText: "the server is open again" }).waitFor();
    await patient.locator(".chat").first().waitFor({ timeout: 150000 });
    await patient.locator("#received details").nth(1).waitFor({ timeout: 150000 });
    await staff.locator("#fail-chat").waitFor();
    await counter(staff);
    if (process.env.TELEMED_PICTURE) {
      await staff.setViewportSize({ width: 1180, height: 760 });
      await staff.evaluate(() => { window.fetch = () => new Promise(() => {}); document.querySelectorAll("#about, #cancel").forEach((part) => part.remove()); scrollTo(0, 0); });
      await staff.locator("#timeline li").evaluateAll((lines) => lines.slice(0, lines.findIndex((line) => line.textContent.includes("staff"))).forEach((line) => line.remove()));
      await staff.screenshot({ path: process.env.TELEMED_PICTURE });
      console.log("visit complete");
      return;
    }
    await staff.reload(); // the panel knows the message by now
    for (const button of ["fail-chat", "refuse-mail", "lose-order", "kill"]) await press(staff, button);
    await counter(staff);
    await staff.locator("#timeline li", { hasText: "no answer" }).first().waitFor();

    // The dashboard has come back by itself, and says what is new.
    await dashboard.getByText("live", { exact: true }).waitFor({ timeout: 20000 });
    const row = dashboard.locator("#visits tr");
    await row.getByText("booked", { exact: true }).waitFor();
    assert.equal(await row.count(), 1);
    assert.equal(await row.locator("td").first().textContent(), name);

    // What the patient has.
    const mail = patient.frameLocator("iframe").first();
    await mail.getByText(name).first().waitFor(); // as text, in the mail
    const calendar = await patient.evaluate(async () => (await fetch(document.getElementById("calendar").href)).text());
    assert.match(calendar, /^BEGIN:VCALENDAR[^]*END:VCALENDAR/);
    const popup = patient.waitForEvent("popup");
    await mail.getByRole("link").first().click(); // the last one has the link
    await (await popup).close();
    await patient.click("#join"); // the room's page is the provider's
    assert.ok(!patient.url().startsWith(base));

    // The doctor sees who waits, and enters.
    await staff.goto(base + "/doctor");
    await staff.getByText(/waits since/).waitFor();
    await staff.getByRole("link", { name: /Enter as host/ }).click();
    assert.ok(!staff.url().startsWith(base));

    for (const [who, address, called] of [
      [patient, "/", "home"], [patient, "/book", "book"], [patient, visit, "booked"], [patient, visit + "/receipt", "receipt"],
      [staff, "/doctor", "doctor"], [staff, "/doctor/settings/integration", "accounts"], [staff, "/clinic", "clinic"], [staff, page, "staff"],
    ]) await each(who, address, called);

    // A wrong form says so at its fields, and puts the cursor into the first, in Hindi here.
    await patient.context().addCookies([{ name: "hospital_language", value: "hi", url: base }]);
    await patient.goto(base + "/book");
    await patient.fill("[name=name]", "Asha");
    await patient.fill("[name=email]", "asha@example.org");
    await patient.fill("[name=phone]", "98765");
    await patient.click("#reserve");
    await patient.locator("#wrong-phone", { hasText: "देश कोड" }).waitFor();
    await patient.waitForLoadState();
    await patient.locator("[name=phone]:focus").waitFor(); // autofocus comes with the first frame, after the text
    assert.equal(await patient.locator("[aria-invalid=true]").count(), 1);
    await audit(patient, "book-wrong");

    // The dashboard does not hear of what happens while it is away, and sees it when it is back.
    await dashboard.evaluate(() => socket.disconnect());
    await dashboard.getByText("connection lost").waitFor();
    await english(patient);
    await patient.goto(base + visit);
    await patient.click("#cancel summary");
    await patient.click("#cancel button");
    await patient.locator("#status", { hasText: "cancelled" }).waitFor();
    await english(dashboard); // in which it reads its table anew
    await dashboard.evaluate(() => socket.connect());
    await dashboard.locator("#visits td", { hasText: "cancelled" }).waitFor();
    await each(patient, visit, "cancelled");

    assert.deepEqual(errors.filter((text) => !/401 \(Unauthorized\)|404 \(Not Found\)|400 \(Bad Request\)|50[234]|ERR_|WebSocket/.test(text)), []);
    console.log("visit complete");
  } finally {
    await browser.close();
  }
})().catch((error) => { console.error(error); process.exit(1); });
