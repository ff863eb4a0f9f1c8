// The page of a visit: shows what becomes of it, without a reload.
"use strict";

const parts = new Map();
for (const part of document.querySelectorAll("[data-live]")) parts.set(part.id, part.innerHTML);

// look reads the page anew, and puts in those parts that the server writes otherwise now.
async function look() {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const fresh of page.querySelectorAll("[data-live]")) {
    if (parts.get(fresh.id) === fresh.innerHTML) continue;
    parts.set(fresh.id, fresh.innerHTML);
    document.getElementById(fresh.id).replaceChildren(...fresh.childNodes);
  }
}

// While the visit is to be paid, a look has the gateway asked.
const every = document.getElementById("now").dataset.status === "reserved" ? 10000 : 2000;
setInterval(() => {
  if (!document.hidden) look().catch(() => {}); // the next look may succeed
}, every);
