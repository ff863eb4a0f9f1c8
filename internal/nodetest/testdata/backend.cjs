// Makes the calls of a hospital's backend, as such backends make them, and reports each
// as a line of JSON: its step, and what came of it. The Go test that started it reads the
// lines.
//
//	node backend.cjs FAKES
//
// FAKES is JSON: the addresses of the fakes and the values of the backend's environment.
// TELEMED_NODE_MODULES is the node_modules folder with the libraries. NODE_EXTRA_CA_CERTS
// is a file with the certificates of the fakes, which sign themselves.
"use strict";
const { createRequire } = require("node:module");
const path = require("node:path");
const load = createRequire(path.join(process.env.TELEMED_NODE_MODULES, "x.js"));
const axios = load("axios");
const nodemailer = load("nodemailer");
const { calendar: newCalendar } = load("@googleapis/calendar");
const { OAuth2Client } = load("google-auth-library");
const { order } = require("./razorpay.cjs");

const { google, zoom, razorpay, smtp, whatsapp } = JSON.parse(process.argv[2]);

// consent answers a provider's page as a person does. It returns the query with which the
// provider sends the browser to the callback.
async function consent(url, answer) {
  const page = await fetch(url, { redirect: "manual" });
  const html = await page.text();
  if (page.status !== 200) throw new Error(`the consent page answers ${page.status}`);
  const form = new URLSearchParams(answer);
  for (const [, name, value] of html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)"/g)) form.append(name, value);
  const choice = /<select name="([^"]*)"><option value="([^"]*)"/.exec(html);
  if (choice) form.append(choice[1], choice[2]);
  const action = /<form[^>]* action="([^"]*)"/.exec(html);
  const clicked = await fetch(action ? new URL(action[1], url) : url, { method: "POST", body: form, redirect: "manual" });
  const callback = clicked.headers.get("location");
  if (!callback) throw new Error(`the click is answered with ${clicked.status}`);
  return new URL(callback).searchParams;
}

const tomorrow = (hours) => new Date(Date.now() + 864e5 + hours * 36e5);

// Google: consent for the calendar's events, offline and without PKCE; then an event with
// a room, of which nothing is said but a requestId.
const auth = new OAuth2Client({
  clientId: google.clientID, clientSecret: google.clientSecret, redirectUri: google.redirectURL,
  endpoints: {
    oauth2AuthBaseUrl: google.authorize, oauth2TokenUrl: google.token, oauth2RevokeUrl: google.revoke, tokenInfoUrl: google.url + "/tokeninfo",
  },
});
const calendar = newCalendar({ version: "v3", auth, rootUrl: google.url + "/" });

async function googleConsent() {
  const url = auth.generateAuthUrl({ access_type: "offline", scope: ["https://www.googleapis.com/auth/calendar.events"], state: "doctor-7" });
  const query = await consent(url, { email: "doctor@example.org", calendar: "on", decision: "allow" });
  const { tokens } = await auth.getToken(query.get("code"));
  auth.setCredentials(tokens);
  return { state: query.get("state"), refresh: Boolean(tokens.refresh_token), scope: tokens.scope };
}

async function googleEvent() {
  const { data } = await calendar.events.insert({
    calendarId: "primary",
    conferenceDataVersion: 1,
    requestBody: {
      summary: "Consultation",
      start: { dateTime: tomorrow(0).toISOString(), timeZone: "Asia/Kolkata" },
      end: { dateTime: tomorrow(0.5).toISOString(), timeZone: "Asia/Kolkata" },
      attendees: [{ email: "asha@example.org" }],
      conferenceData: { createRequest: { requestId: `visit-${Date.now()}` } },
    },
  });
  return { id: data.id, link: data.hangoutLink };
}

// googleExpired has an access token that Google does not know any more, and the refresh
// token with which the library mends that.
async function googleExpired() {
  auth.setCredentials({ refresh_token: auth.credentials.refresh_token, access_token: "expired", expiry_date: Date.now() - 1000 });
  const { data } = await calendar.events.list({ calendarId: "primary", singleEvents: true, orderBy: "startTime" });
  return { events: data.items.length };
}

// Zoom: consent without PKCE, a token by Basic authorization, a meeting.
let zoomToken;

async function zoomConsent() {
  const query = new URLSearchParams({ response_type: "code", client_id: zoom.clientID, redirect_uri: zoom.redirectURL, state: "doctor-7" });
  const answer = await consent(`${zoom.authorize}?${query}`, { decision: "allow" });
  const response = await fetch(zoom.token, {
    method: "POST",
    headers: {
      Authorization: "Basic " + Buffer.from(`${zoom.clientID}:${zoom.clientSecret}`).toString("base64"),
      "Content-Type": "application/x-www-form-urlencoded",
    },
    body: new URLSearchParams({ grant_type: "authorization_code", code: answer.get("code"), redirect_uri: zoom.redirectURL }),
  });
  const tokens = await response.json();
  zoomToken = tokens.access_token;
  return { status: response.status, refresh: Boolean(tokens.refresh_token) };
}

async function zoomMeeting() {
  const response = await fetch(`${zoom.api}/users/me/meetings`, {
    method: "POST",
    headers: { Authorization: `Bearer ${zoomToken}`, "Content-Type": "application/json" },
    body: JSON.stringify({
      topic: "Consultation", type: 2, start_time: tomorrow(0).toISOString().slice(0, 19) + "Z", duration: 30, timezone: "Asia/Kolkata",
      settings: { host_video: true, participant_video: true, join_before_host: false, waiting_room: true },
    }),
  });
  const meeting = await response.json();
  return { status: response.status, id: meeting.id, link: meeting.join_url };
}

async function zoomRefused() {
  const response = await fetch(`${zoom.api}/users/me/meetings`, {
    method: "POST", headers: { Authorization: "Bearer nobody's", "Content-Type": "application/json" }, body: "{}",
  });
  return { status: response.status, code: (await response.json()).code };
}

// Mail by a relay that offers STARTTLS and wants a login.
const mail = (more) => nodemailer.createTransport({
  host: smtp.host, port: smtp.port, secure: false, requireTLS: true, auth: { user: smtp.username, pass: smtp.password }, ...more,
}).sendMail({
  from: '"City Clinic" <no-reply@clinic.example>', to: "asha@example.org", subject: "Appointment Confirmed – आशा",
  html: "<h2>Appointment Confirmed</h2><p>Dear आशा, your visit is tomorrow. <a href='https://meet.example/x'>Join</a></p>",
});

async function mailPlain() {
  const sent = await mail();
  return { response: sent.response, accepted: sent.accepted };
}

async function mailLogin() {
  const sent = await mail({ authMethod: "LOGIN" });
  return { response: sent.response };
}

async function mailRefused() {
  try {
    await mail({ auth: { user: smtp.username, pass: "wrong" } });
  } catch (error) {
    return { code: error.code, status: error.responseCode };
  }
  return {};
}

// WhatsApp: a template, in the words that Meta has approved.
const whatsappSend = (template) => axios.post(
  `${whatsapp.url}/v18.0/${whatsapp.phoneNumberID}/messages`,
  {
    messaging_product: "whatsapp", to: "919876543210", type: "template",
    template: {
      name: template, language: { code: "en" },
      components: [{ type: "body", parameters: ["Asha", "Dr. Rao", "10:30", "City Clinic", "https://meet.example/x"].map((text) => ({ type: "text", text })) }],
    },
  },
  { headers: { Authorization: `Bearer ${whatsapp.token}`, "Content-Type": "application/json" } },
);

async function whatsappTemplate() {
  const { status, data } = await whatsappSend("appointment_confirmed");
  return { status, id: data.messages[0].id, to: data.contacts[0].wa_id };
}

async function whatsappRefused() {
  try {
    await whatsappSend("nosuch");
  } catch (error) {
    return { status: error.response.status, code: error.response.data.error.code, trace: Boolean(error.response.data.error.fbtrace_id) };
  }
  return {};
}

const steps = {
  googleConsent, googleEvent, googleExpired, zoomConsent, zoomMeeting, zoomRefused,
  razorpayOrder: () => order(load, razorpay), mailPlain, mailLogin, mailRefused, whatsappTemplate, whatsappRefused,
};

(async () => {
  for (const [step, call] of Object.entries(steps)) {
    let came;
    try {
      came = await call();
    } catch (error) {
      came = { problem: `${error.response?.status ?? error.statusCode ?? ""} ${error.message ?? JSON.stringify(error)}` };
    }
    process.stdout.write(JSON.stringify({ step, ...came }) + "\n");
  }
})();
