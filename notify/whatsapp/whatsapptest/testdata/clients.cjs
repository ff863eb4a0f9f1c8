// Two clients of the Cloud API from npm send to a fake of it.
// Usage: node clients.cjs URL TOKEN PHONE_NUMBER_ID TO. TELEMED_NODE_MODULES is the
// node_modules folder that holds @kapso/whatsapp-cloud-api and whatsapp-api-js.
// A line of JSON for each call: its name, and the id that came back or the error.
"use strict";
const path = require("node:path");
const { pathToFileURL } = require("node:url");
const { createRequire } = require("node:module");
const load = createRequire(path.join(process.env.TELEMED_NODE_MODULES, "x.js"));
const [url, token, from, to] = process.argv.slice(2);
const id = (answer) => answer?.messages?.[0]?.id ?? answer?.id ?? (answer?.success === true ? "success" : "");

async function step(name, call) {
  try {
    const answer = await call();
    console.log(JSON.stringify({ name, id: id(answer), error: answer?.error?.message ?? "" }));
  } catch (e) {
    console.log(JSON.stringify({ name, id: "", error: String(e) }));
  }
}

async function kapso() {
  const { WhatsAppClient } = load("@kapso/whatsapp-cloud-api");
  const client = new WhatsAppClient({ accessToken: token, baseUrl: url, graphVersion: "v24.0" });
  const m = client.messages, phoneNumberId = from;
  await step("kapso text", () => m.sendText({ phoneNumberId, to, body: "Hello" }));
  await step("kapso image", () => m.sendImage({ phoneNumberId, to, image: { link: "https://clinic.example/a.png" } }));
  await step("kapso buttons", () => m.sendInteractiveButtons({
    phoneNumberId, to, bodyText: "Come?", buttons: [{ id: "yes", title: "Yes" }],
  }));
  await step("kapso read", () => m.markRead({ phoneNumberId, messageId: "wamid.INBOUND00000001" }));
}

async function api() {
  const root = path.join(process.env.TELEMED_NODE_MODULES, "whatsapp-api-js", "lib");
  const { WhatsAppAPI } = await import(pathToFileURL(path.join(root, "index.js")));
  const { Text, Location } = await import(pathToFileURL(path.join(root, "messages", "index.js")));
  const ponyfill = (target, init) => fetch(String(target).replace("https://graph.facebook.com", url), init);
  const client = new WhatsAppAPI({ token, secure: false, v: "v24.0", ponyfill: { fetch: ponyfill } });
  await step("api text", () => client.sendMessage(from, to, new Text("Hello")));
  await step("api location", () => client.sendMessage(from, to, new Location(77.59, 12.97)));
  await step("api read", () => client.markAsRead(from, "wamid.INBOUND00000001"));
}

kapso().then(api);
