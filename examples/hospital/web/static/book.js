// The booking page: shows the times in the browser's zone, until somebody has chosen another.
"use strict";

const zones = document.getElementById("zones");
const list = zones.elements.zone;

// show has the times in another zone, and keeps what was typed.
async function show(zone) {
  const answer = await fetch("/book?zone=" + encodeURIComponent(zone));
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const form = document.getElementById("book");
  const chosen = form.elements.start.value;
  form.elements.start.replaceChildren(...page.getElementById("start").children);
  if ([...form.elements.start.options].some((option) => option.value === chosen)) form.elements.start.value = chosen;
  form.elements.zone.value = page.querySelector("#book [name=zone]").value;
  list.replaceChildren(...page.getElementById("shown-zone").children);
  list.value = form.elements.zone.value;
}

zones.querySelector("button").hidden = true;
zones.addEventListener("submit", (event) => {
  event.preventDefault();
  show(list.value).catch(() => zones.submit());
});
list.addEventListener("change", () => show(list.value).catch(() => zones.submit()));

if (zones.dataset.known !== "true") {
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (zone && zone !== list.value) show(zone).catch(() => {}); // the clinic's clock is there
}
