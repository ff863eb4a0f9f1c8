// A page that lives: shows what becomes of a visit, without a reload.
"use strict";

const parts = new Map();
for (const part of document.querySelectorAll("[data-live]")) parts.set(part.id, part.innerHTML);
const said = document.getElementById("said");

// busy is whether somebody uses a part: it must not change under the hand.
function busy(part) {
  const held = part.contains(document.activeElement) && document.activeElement.matches("select, input, summary, button");
  return held || part.querySelector("details.ask[open]");
}

// look reads the page anew, and puts in those parts that the server writes otherwise now.
async function look() {
  const answer = await fetch(location.href);
  if (!answer.ok) return;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  for (const fresh of page.querySelectorAll("[data-live]")) {
    const part = document.getElementById(fresh.id);
    if (!part || parts.get(fresh.id) === fresh.innerHTML || busy(part)) continue;
    parts.set(fresh.id, fresh.innerHTML);
    part.className = fresh.className;
    for (const [name, value] of Object.entries(fresh.dataset)) part.dataset[name] = value;
    const status = document.getElementById("status")?.textContent;
    const waits = document.querySelectorAll(".waits").length;
    part.replaceChildren(...fresh.childNodes);
    tell(status, waits);
  }
}

// tell has screen readers say what is new: the status, or who waits.
function tell(status, waits) {
  if (!said) return;
  const now = document.getElementById("status")?.textContent;
  if (now !== status) said.textContent = now;
  const all = document.querySelectorAll(".waits");
  if (all.length > waits) said.textContent = [...all].map((one) => one.closest("li").querySelector("b").textContent + " " + one.textContent).join(", ");
}

// While the visit is to be paid, a look has the gateway asked.
const every = document.getElementById("now")?.dataset.status === "reserved" ? 10000 : 1000;
setInterval(() => {
  if (!document.hidden) look().catch(() => {}); // the next look may succeed
}, every);
