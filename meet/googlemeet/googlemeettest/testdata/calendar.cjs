// Makes the calls of a table with Google's own client and reports each as a line of JSON:
// what was answered, and whether that is what Google answers. The Go test that started it
// reads the lines.
//
//	node calendar.cjs FAKE
//
// FAKE is JSON: url, clientID, clientSecret, redirectURL, code and second, two codes of a
// consent, their verifier, and other, the id of a second calendar. TELEMED_NODE_MODULES is
// the node_modules folder that holds @googleapis/calendar and google-auth-library.
"use strict";
const { createRequire } = require("node:module");
const assert = require("node:assert");
const http = require("node:http");
const path = require("node:path");
const load = createRequire(path.join(process.env.TELEMED_NODE_MODULES, "x.js"));
const { calendar: newCalendar } = load("@googleapis/calendar");
const { OAuth2Client } = load("google-auth-library");

const fake = JSON.parse(process.argv[2]);
const newAuth = (more) => new OAuth2Client({
  clientId: fake.clientID,
  clientSecret: fake.clientSecret,
  redirectUri: fake.redirectURL,
  endpoints: {
    oauth2AuthBaseUrl: fake.url + "/o/oauth2/v2/auth", oauth2TokenUrl: fake.url + "/token",
    oauth2RevokeUrl: fake.url + "/revoke", tokenInfoUrl: fake.url + "/tokeninfo",
  },
  ...more,
});
const auth = newAuth();
const google = newCalendar({ version: "v3", auth, rootUrl: fake.url + "/", retry: false });
const events = google.events;
const primary = { calendarId: "primary" };

// The times of one day in March, when New York has changed its clocks and London has not.
const at = (clock, timeZone) => ({ dateTime: "2031-03-14T" + clock, ...(timeZone && { timeZone }) });
const body = (more) => ({ summary: "Visit", start: at("10:00:00Z"), end: at("10:30:00Z"), ...more });
const insert = (more, query) => events.insert({ ...primary, ...query, requestBody: body(more) });
const room = (requestId, key) => ({ createRequest: { requestId, ...(key && { conferenceSolutionKey: { type: key } }) } });
const withRoom = { conferenceDataVersion: 1 };
const ids = (answer) => answer.data.items.map((event) => event.id);

// table has the calls in order: name, call, and then either a check of the answer or the
// status and reason of the refusal.
const table = [];
const good = (name, call, check) => table.push({ name, call, check });
const refused = (name, status, reason, call) => table.push({ name, call, status, reason });

const seen = {}; // what later calls need of earlier ones

// Tokens.
good("auth.getToken with PKCE", () => auth.getToken({ code: fake.code, codeVerifier: fake.verifier }), ({ tokens }) => {
  assert.ok(tokens.access_token && tokens.refresh_token && tokens.expiry_date > Date.now());
  auth.setCredentials(tokens);
});
refused("auth.getToken with a code twice", 400, "invalid_grant", () => newAuth().getToken({ code: fake.code, codeVerifier: fake.verifier }));
good("auth.getToken with the secret in the header", () => newAuth({ clientAuthentication: "ClientSecretBasic" }).getToken({ code: fake.second, codeVerifier: fake.verifier }), ({ tokens }) => assert.ok(tokens.id_token));
refused("auth.getToken with another secret", 401, "invalid_client", () => newAuth({ clientSecret: "x" }).getToken({ code: "x", codeVerifier: fake.verifier }));
good("auth.getTokenInfo", () => auth.getTokenInfo(auth.credentials.access_token), (info) => {
  assert.equal(info.aud, fake.clientID);
  assert.ok(info.scopes.includes("https://www.googleapis.com/auth/calendar") && info.expiry_date > Date.now());
});
refused("auth.getTokenInfo of nobody's token", 400, "invalid_token", () => auth.getTokenInfo("x"));
good("auth.refreshAccessToken", () => auth.refreshAccessToken(), ({ credentials }) => assert.ok(credentials.refresh_token));
good("a dead access token is refreshed, and the call made again", async () => {
  const stale = newAuth();
  stale.setCredentials({ access_token: "x", refresh_token: auth.credentials.refresh_token });
  return newCalendar({ version: "v3", auth: stale, rootUrl: fake.url + "/" }).events.list(primary);
}, ({ data }) => assert.deepEqual(data.items, []));
refused("a dead access token alone", 401, "authError", async () => {
  const dead = newAuth();
  dead.setCredentials({ access_token: "x" });
  return newCalendar({ version: "v3", auth: dead, rootUrl: fake.url + "/" }).events.list(primary);
});

// Events: insert.
good("events.insert", () => insert({ id: "visit1", description: "x" }), ({ data, status }) => {
  assert.equal(status, 200);
  assert.equal(data.status + data.sequence + data.eventType, "confirmed0default");
  assert.equal(data.creator.self, true);
  assert.ok(!data.hangoutLink);
});
good("events.insert with a room, its solution named", () => insert({ id: "visit2", conferenceData: room("r2", "hangoutsMeet") }, withRoom), ({ data }) => {
  assert.ok(data.hangoutLink);
  assert.equal(data.conferenceData.createRequest.status.statusCode, "success");
});
good("events.insert with a requestId alone", () => insert({ id: "visit3", conferenceData: room("r3") }, withRoom), ({ data }) => {
  assert.ok(data.hangoutLink);
  assert.equal(data.conferenceData.conferenceSolution.key.type, "hangoutsMeet");
  seen.room = data.conferenceData;
});
good("events.insert with a room, without conferenceDataVersion", () => insert({ conferenceData: room("r4") }), ({ data }) => assert.ok(!data.conferenceData));
good("events.insert with the room of another event", () => insert({ conferenceData: seen.room }, withRoom), ({ data }) => {
  assert.equal(data.conferenceData.conferenceId, seen.room.conferenceId);
});
refused("events.insert with another service's room", 400, "invalid", () => insert({ conferenceData: room("r5", "zoom") }, withRoom));
good("events.insert in local time with a zone", () => insert({ id: "local", start: at("10:00:00", "America/New_York"), end: at("11:00:00", "America/New_York") }), ({ data }) => {
  assert.equal(data.start.dateTime, "2031-03-14T10:00:00-04:00");
});
refused("events.insert in local time without a zone", 400, "required", () => insert({ start: at("10:00:00") }));
refused("events.insert in a zone that is none", 400, "invalid", () => insert({ start: at("10:00:00", "Local") }));
refused("events.insert that ends before it begins", 400, "timeRangeEmpty", () => insert({ end: at("09:00:00Z") }));
refused("events.insert without an end", 400, "required", () => insert({ end: undefined }));
refused("events.insert by the day and the minute", 400, "invalid", () => insert({ end: { date: "2031-03-15" } }));
refused("events.insert of an id that is taken", 409, "duplicate", () => insert({ id: "visit1" }));
refused("events.insert of an id in capitals", 400, "invalid", () => insert({ id: "VISIT" }));
refused("events.insert with a guest without an address", 400, "invalid", () => insert({ attendees: [{ email: "nobody" }] }));
refused("events.insert with a summary that is a number", 400, "badRequest", () => insert({ summary: 5 }));
refused("events.insert with visibility hidden", 400, "invalid", () => insert({ visibility: "hidden" }));
refused("events.insert with transparency maybe", 400, "invalid", () => insert({ transparency: "maybe" }));
refused("events.insert with a field that is none", 400, "badRequest", () => insert({ sumary: "x" }));
refused("events.insert with recurrence FOO", 400, "invalid", () => insert({ start: at("10:00:00", "Asia/Kolkata"), end: at("11:00:00", "Asia/Kolkata"), recurrence: ["FOO"] }));
refused("events.insert with recurrence by the hour", 400, "invalid", () => insert({ recurrence: ["RRULE:FREQ=HOURLY"] }));
refused("events.insert with recurrence that counts to -1", 400, "invalid", () => insert({ recurrence: ["RRULE:FREQ=DAILY;COUNT=-1"] }));
refused("events.insert with recurrence and no zone", 400, "required", () => insert({ recurrence: ["RRULE:FREQ=DAILY;COUNT=2"] }));
const popup = (n) => Array.from({ length: n }, (_, i) => ({ method: "popup", minutes: i }));
good("events.insert with 5 reminders", () => insert({ reminders: { useDefault: false, overrides: popup(5) } }), ({ data }) => assert.equal(data.reminders.overrides.length, 5));
refused("events.insert with 6 reminders", 400, "eventRemindersCountExceedsLimit", () => insert({ reminders: { useDefault: false, overrides: popup(6) } }));
refused("events.insert with reminders beside the default", 400, "cannotUseDefaultRemindersAndSpecifyOverride", () => insert({ reminders: { useDefault: true, overrides: popup(1) } }));
refused("events.insert with a reminder of 5 weeks", 400, "invalid", () => insert({ reminders: { useDefault: false, overrides: [{ method: "popup", minutes: 50400 }] } }));
refused("events.insert with sendUpdates everyone", 400, "invalidParameter", () => insert({}, { sendUpdates: "everyone" }));
refused("events.insert with conferenceDataVersion 2", 400, "invalidParameter", () => insert({}, { conferenceDataVersion: 2 }));
refused("events.insert with a parameter that is none", 400, "badRequest", () => insert({}, { colour: "red" }));
refused("events.insert in a calendar that is none", 404, "notFound", () => events.insert({ calendarId: "x@example.org", requestBody: body() }));
good("events.insert in a second calendar", () => events.insert({ calendarId: fake.other, requestBody: body({ id: "other1" }) }), ({ data }) => assert.equal(data.id, "other1"));
good("events.insert with attachments", () => insert({ id: "papers", attachments: [{ fileUrl: "https://x.example/1" }] }, { supportsAttachments: true }), ({ data }) => assert.equal(data.attachments.length, 1));
good("events.insert with attachments, without supportsAttachments", () => insert({ attachments: [{ fileUrl: "https://x.example/1" }] }), ({ data }) => assert.ok(!data.attachments));

// Events: get.
good("events.get", () => events.get({ ...primary, eventId: "visit1" }), ({ data }) => {
  assert.equal(data.summary, "Visit");
  seen.etag = data.etag;
});
good("events.get in another zone", () => events.get({ ...primary, eventId: "visit1", timeZone: "Asia/Kolkata" }), ({ data }) => assert.equal(data.start.dateTime, "2031-03-14T15:30:00+05:30"));
good("events.get of some fields", () => events.get({ ...primary, eventId: "visit1", fields: "id,start/dateTime" }), ({ data }) => assert.deepEqual(data, { id: "visit1", start: { dateTime: "2031-03-14T10:00:00Z" } }));
refused("events.get of a field that is none", 400, "invalidParameter", () => events.get({ ...primary, eventId: "visit1", fields: "id,colour" }));
refused("events.get of nothing", 404, "notFound", () => events.get({ ...primary, eventId: "nosuch" }));
good("events.get of what one has, by its etag", () => events.get({ ...primary, eventId: "visit1" }, { headers: { "If-None-Match": seen.etag } }), ({ status }) => assert.equal(status, 304));

// Events: patch and update.
good("events.patch", () => events.patch({ ...primary, eventId: "visit1", requestBody: { location: "Room 4", extendedProperties: { private: { visit: "v1" }, shared: { clinic: "c" } } } }), ({ data }) => {
  assert.equal(data.location + data.summary, "Room 4Visit");
  assert.notEqual(data.etag, seen.etag);
});
refused("events.patch by an etag of before", 412, "conditionNotMet", () => events.patch({ ...primary, eventId: "visit1", requestBody: { location: "x" } }, { headers: { "If-Match": seen.etag } }));
refused("events.patch to an empty range", 400, "timeRangeEmpty", () => events.patch({ ...primary, eventId: "visit1", requestBody: { end: at("09:00:00Z") } }));
good("events.patch of guests, read by one who wants few", () => events.patch({ ...primary, maxAttendees: 1, eventId: "visit1", requestBody: { attendees: [{ email: "a@example.org" }, { email: "b@example.org" }] } }), ({ data }) => {
  assert.equal(data.attendeesOmitted, true);
  assert.deepEqual(data.attendees, []);
});
good("events.update keeps no field that it is not sent", async () => {
  const { data } = await events.get({ ...primary, eventId: "visit1" });
  delete data.location;
  return events.update({ ...primary, eventId: "visit1", requestBody: { ...data, start: at("12:00:00Z"), end: at("12:30:00Z") } });
}, ({ data }) => {
  assert.ok(!data.location);
  assert.equal(data.sequence, 1);
  assert.equal(data.extendedProperties.private.visit, "v1");
});
refused("events.update without an end", 400, "required", () => events.update({ ...primary, eventId: "visit1", requestBody: { start: at("10:00:00Z") } }));
refused("events.update by a sequence of before", 400, "invalid", () => events.update({ ...primary, eventId: "visit1", requestBody: body({ sequence: 0 }) }));
good("events.update keeps the room of one who does not know rooms", () => events.update({ ...primary, eventId: "visit3", requestBody: body() }), ({ data }) => assert.ok(data.hangoutLink));
good("events.update without the room", () => events.update({ ...primary, ...withRoom, eventId: "visit3", requestBody: body() }), ({ data }) => assert.ok(!data.hangoutLink && !data.conferenceData));

// Events: list.
good("events.list", () => events.list(primary), ({ data }) => {
  assert.equal(data.kind + data.timeZone, "calendar#eventsUTC");
  assert.ok(data.items.length > 5 && data.nextSyncToken && !data.nextPageToken);
  seen.sync = data.nextSyncToken;
});
good("events.list by a private property", () => events.list({ ...primary, privateExtendedProperty: ["visit=v1"] }), (answer) => assert.deepEqual(ids(answer), ["visit1"]));
good("events.list by two properties, of which it has one", () => events.list({ ...primary, privateExtendedProperty: ["visit=v1", "x=y"] }), (answer) => assert.deepEqual(ids(answer), []));
good("events.list by a shared property", () => events.list({ ...primary, sharedExtendedProperty: ["clinic=c"] }), (answer) => assert.deepEqual(ids(answer), ["visit1"]));
good("events.list by iCalUID", () => events.list({ ...primary, iCalUID: "visit2@google.com" }), (answer) => assert.deepEqual(ids(answer), ["visit2"]));
good("events.list by words", () => events.list({ ...primary, q: "visit A@EXAMPLE.org" }), (answer) => assert.deepEqual(ids(answer), ["visit1"]));
good("events.list of a range", () => events.list({ ...primary, timeMin: "2031-03-14T12:10:00Z", timeMax: "2031-03-14T14:00:00Z" }), (answer) => assert.deepEqual(ids(answer), ["visit1"]));
refused("events.list of an empty range", 400, "timeRangeEmpty", () => events.list({ ...primary, timeMin: "2031-03-14T12:00:00Z", timeMax: "2031-03-14T12:00:00Z" }));
refused("events.list of a range without an offset", 400, "badRequest", () => events.list({ ...primary, timeMin: "2031-03-14T12:00:00" }));
good("events.list by start", () => events.list({ ...primary, singleEvents: true, orderBy: "startTime" }), ({ data }) => {
  const starts = data.items.map((event) => Date.parse(event.start.dateTime));
  assert.deepEqual(starts, [...starts].sort((one, other) => one - other));
  assert.ok(!data.nextSyncToken);
});
refused("events.list by start, of series", 400, "invalid", () => events.list({ ...primary, orderBy: "startTime" }));
good("events.list page by page", async () => {
  const all = [];
  let pageToken;
  do {
    const { data } = await events.list({ ...primary, maxResults: 3, pageToken });
    assert.ok(data.items.length <= 3 && !(data.nextPageToken && data.nextSyncToken));
    all.push(...data.items);
    pageToken = data.nextPageToken;
  } while (pageToken);
  return { all, whole: await events.list(primary) };
}, ({ all, whole }) => assert.deepEqual(all, whole.data.items));
refused("events.list of a page of nobody", 400, "invalid", () => events.list({ ...primary, pageToken: "x" }));
good("events.list of what one has, by its etag", async () => {
  const { data } = await events.list(primary);
  return events.list(primary, { headers: { "If-None-Match": data.etag } });
}, ({ status }) => assert.equal(status, 304));

// Sync.
good("events.list of what changed: nothing", () => events.list({ ...primary, syncToken: seen.sync }), (answer) => assert.deepEqual(ids(answer), []));
good("events.list of what changed: one changed, one deleted", async () => {
  await events.patch({ ...primary, eventId: "visit2", requestBody: { location: "x" } });
  await events.delete({ ...primary, eventId: "local" });
  return events.list({ ...primary, syncToken: seen.sync });
}, (answer) => assert.deepEqual(answer.data.items.map((event) => event.id + " " + event.status).sort(), ["local cancelled", "visit2 confirmed"]));
refused("events.list by a sync token that is too old", 410, "fullSyncRequired", () => events.list({ ...primary, syncToken: "x" }));
refused("events.list by a sync token and a range", 400, "invalidParameter", () => events.list({ ...primary, syncToken: seen.sync, timeMin: "2031-03-14T12:00:00Z" }));

// Series.
good("events.insert of a series", () => insert({ id: "series", start: at("09:00:00", "America/New_York"), end: at("09:30:00", "America/New_York"), recurrence: ["RRULE:FREQ=WEEKLY;COUNT=4", "EXDATE;TZID=America/New_York:20310321T090000"] }), ({ data }) => assert.equal(data.recurrence.length, 2));
good("events.instances", () => events.instances({ ...primary, eventId: "series" }), (answer) => assert.deepEqual(ids(answer), ["series_20310314T130000Z", "series_20310328T130000Z", "series_20310404T130000Z"]));
good("events.list of single events", () => events.list({ ...primary, singleEvents: true, timeMin: "2031-03-20T00:00:00Z" }), (answer) => assert.deepEqual(ids(answer), ["series_20310328T130000Z", "series_20310404T130000Z"]));
good("events.patch of an instance", () => events.patch({ ...primary, eventId: "series_20310328T130000Z", requestBody: { summary: "Another" } }), ({ data }) => assert.equal(data.recurringEventId, "series"));
good("events.delete of an instance", async () => {
  await events.delete({ ...primary, eventId: "series_20310404T130000Z" });
  return events.instances({ ...primary, eventId: "series" });
}, ({ data }) => assert.deepEqual(data.items.map((event) => event.summary), ["Visit", "Another"]));

// Free and busy, calendars, a sentence.
good("freebusy.query", () => google.freebusy.query({ requestBody: { timeMin: "2031-03-14T12:00:00Z", timeMax: "2031-03-14T14:00:00Z", items: [{ id: "primary" }, { id: "x@example.org" }] } }), ({ data }) => {
  assert.deepEqual(data.calendars.primary.busy, [{ start: "2031-03-14T12:00:00Z", end: "2031-03-14T12:30:00Z" }, { start: "2031-03-14T13:00:00Z", end: "2031-03-14T13:30:00Z" }]);
  assert.equal(data.calendars["x@example.org"].errors[0].reason, "notFound");
});
refused("freebusy.query of a year", 400, "timeRangeTooLong", () => google.freebusy.query({ requestBody: { timeMin: "2031-01-01T00:00:00Z", timeMax: "2032-01-01T00:00:00Z", items: [{ id: "primary" }] } }));
refused("freebusy.query without an end", 400, "required", () => google.freebusy.query({ requestBody: { timeMin: "2031-01-01T00:00:00Z" } }));
good("calendars.get", () => google.calendars.get(primary), ({ data }) => assert.deepEqual(data.conferenceProperties.allowedConferenceSolutionTypes, ["hangoutsMeet"]));
good("calendarList.list", () => google.calendarList.list(), ({ data }) => assert.deepEqual(data.items.map((entry) => entry.primary === true), [true, false]));
good("calendarList.get", () => google.calendarList.get({ calendarId: fake.other }), ({ data }) => assert.equal(data.accessRole, "owner"));
good("events.quickAdd", () => events.quickAdd({ ...primary, text: "Visit of Asha on March 20 2031 at 3pm-4pm" }), ({ data }) => {
  assert.equal(data.summary + data.start.dateTime + data.end.dateTime, "Visit of Asha2031-03-20T15:00:00Z2031-03-20T16:00:00Z");
});
refused("events.quickAdd of nothing", 400, "required", () => events.quickAdd({ ...primary, text: " " }));

// Channels.
const heard = [];
const receiver = http.createServer((request, response) => {
  heard.push(request.headers);
  response.end();
});
const hears = async (n) => { while (heard.length < n) await new Promise((resolve) => setTimeout(resolve, 5)); };
good("events.watch tells of a change", async () => {
  await new Promise((resolve) => receiver.listen(0, "127.0.0.1", resolve));
  seen.address = `http://127.0.0.1:${receiver.address().port}/push`;
  const answer = await events.watch({ ...primary, requestBody: { id: "ch1", type: "web_hook", address: seen.address, token: "t1", params: { ttl: "3600" } } });
  seen.channel = answer.data;
  await hears(1);
  await events.patch({ ...primary, eventId: "visit2", requestBody: { location: "y" } });
  await hears(2);
  return answer;
}, ({ data }) => {
  assert.deepEqual(heard.map((header) => header["x-goog-resource-state"] + header["x-goog-message-number"]), ["sync1", "exists2"]);
  assert.equal(heard[1]["x-goog-channel-token"] + heard[1]["x-goog-channel-id"], "t1ch1");
  assert.equal(heard[1]["x-goog-resource-id"], data.resourceId);
  assert.ok(Math.abs(Number(data.expiration) - Date.now() - 3600e3) < 60e3);
});
refused("events.watch by an id that is taken", 400, "channelIdNotUnique", () => events.watch({ ...primary, requestBody: { id: "ch1", type: "web_hook", address: seen.address } }));
refused("events.watch without https", 400, "push.webhookUrlNotHttps", () => events.watch({ ...primary, requestBody: { id: "ch2", type: "web_hook", address: "http://clinic.example/push" } }));
refused("events.watch by another kind of channel", 400, "invalid", () => events.watch({ ...primary, requestBody: { id: "ch2", type: "mail", address: seen.address } }));
refused("channels.stop of another resource", 404, "notFound", () => google.channels.stop({ requestBody: { id: "ch1", resourceId: "x" } }));
good("channels.stop", async () => {
  const { id, resourceId } = seen.channel;
  const answer = await google.channels.stop({ requestBody: { id, resourceId } });
  await events.patch({ ...primary, eventId: "visit2", requestBody: { location: "z" } });
  const second = await events.watch({ ...primary, requestBody: { id: "ch3", type: "web_hook", address: seen.address } });
  await hears(3);
  await google.channels.stop({ requestBody: { id: "ch3", resourceId: second.data.resourceId } });
  receiver.close();
  return answer;
}, ({ status }) => {
  assert.equal(status, 204);
  assert.equal(heard[2]["x-goog-channel-id"], "ch3", "the stopped one was told");
});

// Deletion.
good("events.delete", () => events.delete({ ...primary, eventId: "visit1" }), ({ status }) => assert.equal(status, 204));
refused("events.delete again", 410, "deleted", () => events.delete({ ...primary, eventId: "visit1" }));
refused("events.delete of nothing", 404, "notFound", () => events.delete({ ...primary, eventId: "nosuch" }));
good("events.get of what was deleted", () => events.get({ ...primary, eventId: "visit1" }), ({ data }) => assert.equal(data.status, "cancelled"));
refused("events.patch of what was deleted", 403, "forbidden", () => events.patch({ ...primary, eventId: "visit1", requestBody: { status: "confirmed" } }));
refused("events.insert of the id of what was deleted", 409, "duplicate", () => insert({ id: "visit1" }));
good("events.list with what was deleted", () => events.list({ ...primary, showDeleted: true, iCalUID: "visit1@google.com" }), (answer) => assert.deepEqual(ids(answer), ["visit1"]));

// What the fake does not have, and the end of a grant.
refused("acl.list, which the fake does not have", 501, "notImplemented", () => google.acl.list(primary));
refused("events.move, which the fake does not have", 501, "notImplemented", () => events.move({ ...primary, eventId: "visit2", destination: fake.other }));
refused("a path that is none", 404, "notFound", () => auth.request({ url: fake.url + "/calendar/v3/nosuch" }));
refused("a method that is none", 404, "notFound", () => auth.request({ url: fake.url + "/calendar/v3/calendars/primary/events", method: "PUT", data: {} }));
good("auth.revokeToken", () => auth.revokeToken(auth.credentials.refresh_token), ({ status }) => assert.equal(status, 200));
refused("auth.refreshAccessToken after that", 400, "invalid_grant", () => auth.refreshAccessToken());

// reasonOf reads the error body of the API or of OAuth.
const reasonOf = (data) => typeof data?.error === "string" ? data.error : data?.error?.errors?.[0]?.reason;

async function run({ name, call, check, status, reason }) {
  let answer;
  try {
    answer = await call();
  } catch (error) {
    const got = { name, status: error.response?.status, reason: reasonOf(error.response?.data), right: false };
    if (!check) got.right = got.status === status && got.reason === reason;
    return got.right ? got : { ...got, problem: `${error.message}` };
  }
  if (!check) return { name, status: answer?.status, right: false, problem: `want ${status} ${reason}` };
  try {
    check(answer);
    return { name, status: answer?.status ?? 200, right: true };
  } catch (error) {
    return { name, status: answer?.status ?? 200, right: false, problem: `${error.message}` };
  }
}

(async () => {
  for (const row of table) process.stdout.write(JSON.stringify(await run(row)) + "\n");
})();
