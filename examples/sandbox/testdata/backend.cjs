// A hospital's backend in Node.js, as it is written for the real services: it knows the
// environment and its libraries, and nothing of Go. It makes each of its calls, then breaks
// things by the sandbox's control, as a test in any language would.
//
//	go run ./examples/sandbox node examples/sandbox/testdata/backend.cjs
//
// TELEMED_NODE_MODULES is the node_modules folder with the libraries. Each step is a line.
// The exit status is 1 if one has failed.
"use strict";
const assert = require("node:assert/strict");
const crypto = require("node:crypto");
const http = require("node:http");
const path = require("node:path");
const { createRequire } = require("node:module");
const load = createRequire(path.join(process.env.TELEMED_NODE_MODULES, "x.js"));
const axios = load("axios");
const nodemailer = load("nodemailer");
const Razorpay = load("razorpay");
const { calendar: newCalendar } = load("@googleapis/calendar");
const { OAuth2Client } = load("google-auth-library");
const env = process.env;

// control asks the sandbox, in JSON. An error of its is thrown.
async function control(what, parameters) {
  const { data } = await axios({
    url: env.SANDBOX_URL + "/control/" + what, method: parameters ? "post" : "get", data: parameters, headers: { Accept: "application/json" },
  });
  return data;
}

// The backend's endpoint for webhooks. It checks Razorpay's signature over the raw body.
const received = [];
let answers = 200;
const server = http.createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const body = Buffer.concat(chunks);
    const mac = crypto.createHmac("sha256", env.RAZORPAY_WEBHOOK_SECRET).update(body).digest("hex");
    received.push({
      path: request.url, id: request.headers["x-razorpay-event-id"], signed: mac === request.headers["x-razorpay-signature"],
      event: JSON.parse(body).event ?? JSON.parse(body).object,
    });
    response.writeHead(answers).end();
  });
});

const until = async (what) => {
  const end = Date.now() + 20000;
  while (!what()) {
    if (Date.now() > end) throw new Error("it did not come: " + what);
    await new Promise((later) => setTimeout(later, 5));
  }
};
const tomorrow = (hours) => new Date(Date.now() + 864e5 + hours * 36e5);
const failure = async (call) => {
  try {
    await call();
  } catch (error) {
    return error;
  }
  throw new Error("it did not fail");
};

// Google, by Google's libraries.
const auth = new OAuth2Client({
  clientId: env.GOOGLE_CLIENT_ID, clientSecret: env.GOOGLE_CLIENT_SECRET, redirectUri: env.GOOGLE_REDIRECT_URI,
  endpoints: {
    oauth2AuthBaseUrl: env.GOOGLE_BASE_URL + "/o/oauth2/v2/auth", oauth2TokenUrl: env.GOOGLE_BASE_URL + "/token", oauth2RevokeUrl: env.GOOGLE_BASE_URL + "/revoke",
  },
});
const calendar = newCalendar({ version: "v3", auth, rootUrl: env.GOOGLE_BASE_URL + "/", retry: false });
const insert = (requestId) => calendar.events.insert({
  calendarId: "primary", conferenceDataVersion: 1,
  requestBody: {
    summary: "Consultation", attendees: [{ email: "asha@example.org" }],
    start: { dateTime: tomorrow(0).toISOString(), timeZone: "Asia/Kolkata" }, end: { dateTime: tomorrow(0.5).toISOString(), timeZone: "Asia/Kolkata" },
    conferenceData: { createRequest: { requestId, conferenceSolutionKey: { type: "hangoutsMeet" } } },
  },
});

// Zoom, by axios.
let zoomToken;
const zoom = (method, where, data) => axios({ method, url: env.ZOOM_BASE_URL + where, data, headers: { Authorization: "Bearer " + zoomToken } });
const visit = () => ({ topic: "Consultation", type: 2, start_time: tomorrow(0).toISOString().slice(0, 19) + "Z", duration: 30, timezone: "Asia/Kolkata", settings: { waiting_room: true } });

const razorpay = new Razorpay({ key_id: env.RAZORPAY_KEY_ID, key_secret: env.RAZORPAY_KEY_SECRET });
razorpay.api.rq.defaults.baseURL = env.RAZORPAY_BASE_URL;

const mailer = () => nodemailer.createTransport({
  host: env.EMAIL_HOST, port: Number(env.EMAIL_PORT), secure: false, requireTLS: true, auth: { user: env.EMAIL_USER, pass: env.EMAIL_PASS },
});
const send = () => mailer().sendMail({ from: env.EMAIL_FROM, to: "asha@example.org", subject: "Appointment – आशा", html: "<p>Dear आशा</p>" });

const whatsapp = () => axios.post(
  `${env.WHATSAPP_BASE_URL}/v18.0/${env.WHATSAPP_PHONE_NUMBER_ID}/messages`,
  {
    messaging_product: "whatsapp", to: "919876543210", type: "template",
    template: {
      name: "appointment_confirmed", language: { code: "en" },
      components: [{ type: "body", parameters: ["Asha", "Dr. Rao", "10:30", "City Clinic", "https://meet.example/x"].map((text) => ({ type: "text", text })) }],
    },
  },
  { headers: { Authorization: "Bearer " + env.WHATSAPP_ACCESS_TOKEN } },
);

const steps = {
  async "google: consent without PKCE"() {
    const url = auth.generateAuthUrl({ access_type: "offline", prompt: "consent", scope: ["https://www.googleapis.com/auth/calendar.events"], state: "doctor-7" });
    const { callback } = await control("consents/allow", { url });
    const query = new URL(callback).searchParams;
    assert.equal(query.get("state"), "doctor-7");
    auth.setCredentials((await auth.getToken(query.get("code"))).tokens);
    assert.ok(auth.credentials.refresh_token);
  },
  async "google: an event with a room"() {
    const { data } = await insert("visit-1");
    assert.match(data.hangoutLink, new RegExp("^" + env.GOOGLE_BASE_URL + "/meet/"));
  },
  async "google: access tokens end, and the library refreshes"() {
    await control("consents/expire", { provider: "google" });
    auth.setCredentials({ ...auth.credentials, expiry_date: 1 });
    const { data } = await calendar.events.list({ calendarId: "primary" });
    assert.equal(data.items.length, 1);
    assert.equal((await control("consents"))[0].refreshes, 1);
  },
  async "google: a limit"() {
    await control("faults", { provider: "google", op: "insert", kind: "limit" });
    const error = await failure(() => insert("visit-2"));
    assert.equal(error.status ?? error.code, 429);
  },
  async "zoom: consent and a token"() {
    const url = env.ZOOM_BASE_URL + "/oauth/authorize?" + new URLSearchParams({ response_type: "code", client_id: env.ZOOM_CLIENT_ID, redirect_uri: env.ZOOM_REDIRECT_URI, state: "doctor-7" });
    const { callback } = await control("consents/allow", { url });
    const { data } = await axios.post(
      env.ZOOM_BASE_URL + "/oauth/token",
      new URLSearchParams({ grant_type: "authorization_code", code: new URL(callback).searchParams.get("code"), redirect_uri: env.ZOOM_REDIRECT_URI }),
      { auth: { username: env.ZOOM_CLIENT_ID, password: env.ZOOM_CLIENT_SECRET } },
    );
    zoomToken = data.access_token;
  },
  async "zoom: the answer is lost, and the meeting is there"() {
    await control("faults", { provider: "zoom", op: "create", kind: "lose-answer", times: 1 });
    const error = await failure(() => zoom("post", "/v2/users/me/meetings", visit()));
    assert.equal(error.response, undefined);
    assert.equal((await control("meetings")).filter((m) => m.provider === "zoom").length, 1);
    assert.deepEqual(await control("faults"), []);
  },
  async "zoom: the request is lost, and no meeting is there"() {
    await control("faults", { provider: "zoom", op: "create", kind: "lose-request" });
    await failure(() => zoom("post", "/v2/users/me/meetings", visit()));
    assert.equal((await control("meetings")).filter((m) => m.provider === "zoom").length, 1);
  },
  async "zoom: a meeting, and a patient who waits"() {
    const { data } = await zoom("post", "/v2/users/me/meetings", visit());
    await control("meetings", { meeting: String(data.id), action: "wait", name: "Asha" });
    await until(() => received.some((r) => r.event === "meeting.participant_jbh_waiting"));
    const [shown] = (await control("meetings")).filter((m) => m.id === String(data.id));
    assert.deepEqual(shown.waiting, ["Asha"]);
  },
  async "razorpay: an order is paid, and told"() {
    const order = await razorpay.orders.create({ amount: 50000, currency: "INR", receipt: "bill_1" });
    await control("payments", { order: order.id, scenario: "upi" });
    await until(() => received.some((r) => r.event === "order.paid"));
    assert.ok(received.filter((r) => r.path === "/api/payments/webhook").every((r) => r.signed));
    assert.equal((await razorpay.orders.fetch(order.id)).status, "paid");
  },
  async "razorpay: a webhook that was not taken comes again by the clock"() {
    const order = await razorpay.orders.create({ amount: 70000, currency: "INR", receipt: "bill_2" });
    received.length = 0;
    answers = 503;
    await control("payments", { order: order.id, scenario: "card" });
    await until(() => received.some((r) => r.event === "payment.captured"));
    answers = 200;
    await control("clock", { advance: "1h" });
    const events = await control("webhooks?provider=razorpay");
    const captured = events.filter((e) => e.type === "payment.captured").at(-1);
    assert.equal(captured.deliveries[0].status, 503);
    assert.equal(captured.deliveries.at(-1).status, 200);
  },
  async "razorpay: one webhook five times, with one id"() {
    received.length = 0;
    const { statuses } = await control("webhooks/deliver", { provider: "razorpay", type: "order.paid", times: 5 });
    assert.deepEqual(statuses, [200, 200, 200, 200, 200]);
    assert.equal(new Set(received.map((r) => r.id)).size, 1);
    assert.equal(received.length, 5);
  },
  async "razorpay: webhooks are held, and come last one first"() {
    const order = await razorpay.orders.create({ amount: 90000, currency: "INR", receipt: "bill_3" });
    await control("webhooks/hold", { provider: "razorpay" });
    received.length = 0;
    await control("payments", { order: order.id, scenario: "upi" });
    assert.equal(received.length, 0);
    await control("webhooks/release", { provider: "razorpay", order: "reversed" });
    assert.deepEqual(received.map((r) => r.event), ["order.paid", "payment.captured", "payment.authorized"]);
  },
  async "razorpay: a payment fails, in Razorpay's words"() {
    const order = await razorpay.orders.create({ amount: 10000, currency: "INR", receipt: "bill_4" });
    await control("payments", { order: order.id, scenario: "otp-fails" });
    const { items } = await razorpay.orders.fetchPayments(order.id);
    assert.deepEqual([items[0].status, items[0].method, items[0].error_reason], ["failed", "card", "authentication_failed"]);
  },
  async "razorpay: the server fails"() {
    await control("faults", { provider: "razorpay", op: "create order", kind: "fail", status: 502 });
    const error = await failure(() => razorpay.orders.create({ amount: 10000, currency: "INR" }));
    assert.equal(error.statusCode, 502);
  },
  async "mail: by STARTTLS, with the certificate from a file"() {
    const coming = control("mail?to=asha@example.org&wait=20s");
    assert.deepEqual((await send()).accepted, ["asha@example.org"]);
    const [mail] = await coming;
    assert.deepEqual(await control("mail?to=ravi@example.org"), []);
    assert.equal(mail.subject, "Appointment – आशा");
    assert.match(mail.html, /Dear आशा/);
  },
  async "mail: a recipient is refused"() {
    await control("faults", { provider: "mail", op: "rcpt", kind: "fail", status: 550 });
    assert.equal((await failure(send)).responseCode, 550);
    assert.equal((await control("mail")).length, 1);
  },
  async "whatsapp: a template, its status, and an answer"() {
    const { data } = await whatsapp();
    await control("chats/status", { id: data.messages[0].id, status: "read" });
    await control("chats/reply", { phone: "+919876543210", text: "STOP" });
    await until(() => received.filter((r) => r.path === "/api/whatsapp").length >= 4);
    const [chat] = await control("chats");
    assert.equal(chat.messages[0].status, "read");
    assert.match(chat.messages[0].text, /Hello Asha/);
    assert.equal(chat.messages[1].text, "STOP");
  },
  async "the log holds no secret"() {
    const log = JSON.stringify(await control("log"));
    for (const secret of [
      env.GOOGLE_CLIENT_SECRET, env.ZOOM_CLIENT_SECRET, env.RAZORPAY_KEY_SECRET, env.RAZORPAY_WEBHOOK_SECRET, env.EMAIL_PASS, env.WHATSAPP_ACCESS_TOKEN,
      auth.credentials.access_token, auth.credentials.refresh_token, zoomToken,
    ]) assert.ok(secret && !log.includes(secret), "a secret is in the log");
    assert.ok(log.includes("bill_1"));
  },
  async "a reset empties everything, and the keys stay"() {
    await control("reset", {});
    for (const what of ["mail", "chats", "payments", "meetings", "consents", "webhooks", "faults", "log"]) assert.deepEqual(await control(what), [], what);
    assert.equal((await razorpay.orders.create({ amount: 50000, currency: "INR", receipt: "bill_1" })).status, "created");
    assert.deepEqual((await send()).accepted, ["asha@example.org"], "the certificate is the same");
    assert.equal((await failure(() => zoom("get", "/v2/users/me"))).response.status, 401);
  },
};

(async () => {
  await new Promise((up) => server.listen(0, "127.0.0.1", up));
  await control("webhooks/target", { api: `http://127.0.0.1:${server.address().port}/api` });
  for (const [name, step] of Object.entries(steps)) {
    try {
      await step();
      console.log("ok   " + name);
    } catch (error) {
      process.exitCode = 1;
      console.log(`FAIL ${name}: ${error.response?.data ? JSON.stringify(error.response.data) : error.stack ?? JSON.stringify(error)}`);
    }
  }
  server.close();
  server.closeAllConnections();
})();
