// The dashboard: joins the clinic's room and keeps the table as the server tells it.
"use strict";

const live = document.getElementById("live");
const visits = document.getElementById("visits");
const said = document.getElementById("said");
const words = JSON.parse(live.dataset.words);
const socket = io();

function say(text, good) {
  live.textContent = text;
  live.className = good ? "badge good" : "badge bad";
}

let heard = []; // since the room was joined

socket.on("connect", () => {
  socket.emit("join-clinic", live.dataset.clinic, async (answer) => {
    if (!answer.ok) return say(live.dataset.denied, false);
    heard = [];
    try {
      await catchUp();
      say(live.dataset.liveText, true);
    } catch {
      say(live.dataset.reload, false);
    }
  });
});

// catchUp reads the table anew: nobody tells a page what happened before it joined, or while it was away.
async function catchUp() {
  const answer = await fetch(location.href);
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  visits.replaceChildren(...page.querySelectorAll("#visits tr"));
  document.getElementById("none").hidden = visits.rows.length > 0;
  visits.querySelectorAll("time").forEach(readable);
  heard.forEach(show); // what the server said meanwhile is newer
}
socket.on("disconnect", (reason) => {
  say(live.dataset.lost, false);
  if (reason === "io server disconnect") socket.connect(); // another login may have ended, and not ours
});

function cell(row, text) {
  const td = row.insertCell();
  td.textContent = text;
  return td;
}

const places = { google: "Google Meet", zoom: "Zoom" };

function show(visit) {
  document.getElementById("none").hidden = true;
  const old = [...visits.rows].find((row) => row.dataset.id === visit.id);
  if (old && Number(old.dataset.generation) > visit.generation) return; // late, and not true any more
  const row = visits.insertRow(0);
  row.dataset.id = visit.id;
  row.dataset.generation = visit.generation;
  row.className = "fresh";
  const link = document.createElement("a");
  link.href = "/clinic/visits/" + encodeURIComponent(visit.id);
  link.textContent = visit.patientName; // never as HTML: a patient typed it
  cell(row, "").append(link);
  const time = document.createElement("time");
  time.dateTime = visit.start;
  cell(row, "").append(time);
  cell(row, places[visit.provider] ?? "");
  cell(row, words[visit.status] ?? visit.status);
  if (old) old.replaceWith(row);
  readable(time);
}

// readable writes a time in the words and zone of whoever looks at it.
function readable(time) {
  time.textContent = new Date(time.dateTime).toLocaleString(document.documentElement.lang, {
    day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
  });
}

document.querySelectorAll("time").forEach(readable);
for (const event of ["new-appointment", "appointment-changed"]) {
  socket.on(event, (visit) => {
    heard.push(visit);
    show(visit);
    said.textContent = visit.patientName + ", " + (words[visit.status] ?? visit.status);
  });
}
