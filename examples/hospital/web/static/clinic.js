// The dashboard: joins the clinic's room and keeps the table as the server tells it.
"use strict";

const live = document.getElementById("live");
const visits = document.getElementById("visits");
const socket = io();

function say(text, good) {
  live.textContent = text;
  live.className = good ? "badge good" : "badge bad";
}

socket.on("connect", () => {
  socket.emit("join-clinic", live.dataset.clinic, (answer) => {
    if (answer.ok) say("live", true);
    else say("not permitted", false);
  });
});
socket.on("disconnect", () => say("connection lost, trying again…", false));

function cell(row, text) {
  const td = row.insertCell();
  td.textContent = text; // never as HTML: a patient typed it
  return td;
}

function show(visit) {
  document.getElementById("none").hidden = true;
  const old = [...visits.rows].find((row) => row.dataset.id === visit.id);
  const row = visits.insertRow(0);
  row.dataset.id = visit.id;
  row.className = "fresh";
  cell(row, visit.patientName);
  const time = document.createElement("time");
  time.dateTime = visit.start;
  cell(row, "").append(time);
  cell(row, visit.provider);
  cell(row, visit.status);
  if (old) old.replaceWith(row);
  readable(time);
}

// readable writes a time in the words and zone of whoever looks at it.
function readable(time) {
  time.textContent = new Date(time.dateTime).toLocaleString([], {
    day: "numeric", month: "short", hour: "2-digit", minute: "2-digit", timeZoneName: "short",
  });
}

document.querySelectorAll("time").forEach(readable);
socket.on("new-appointment", show);
socket.on("appointment-changed", show);
