// Brings the page up to date while it is looked at. Without it the page is the same, as of
// when it was loaded. A section in which somebody types or reads a selection is left alone.
"use strict";
(() => {
  const every = 1500; // milliseconds
  let tag = "";
  const status = document.getElementById("live");
  const counts = () => Object.fromEntries([...document.querySelectorAll("nav a[data-count]")].map((a) => [a.textContent, Number(a.dataset.count)]));

  const busy = (section) => {
    const active = document.activeElement;
    if (section.contains(active) && active.matches("input, select, textarea")) return true;
    const selection = getSelection();
    return !selection.isCollapsed && section.contains(selection.anchorNode);
  };

  const replace = (old, fresh) => {
    if (old.outerHTML === fresh.outerHTML) return;
    const open = new Set([...old.querySelectorAll("details[open]")].map((d) => d.id));
    const focus = old.contains(document.activeElement) ? [...old.querySelectorAll("a, button, summary, pre")].indexOf(document.activeElement) : -1;
    fresh.querySelectorAll("details").forEach((d) => { d.open = open.has(d.id); });
    old.replaceWith(fresh);
    if (focus >= 0) [...fresh.querySelectorAll("a, button, summary, pre")][focus]?.focus({ preventScroll: true });
  };

  const say = (before, after) => {
    const news = Object.keys(after).filter((name) => after[name] > before[name]).map((name) => `${name}: ${after[name]}`);
    if (news.length) status.textContent = "New. " + news.join(", ");
  };

  const look = async () => {
    if (document.visibilityState !== "visible") return;
    const answer = await fetch("/", { headers: { "X-Live": "1", "If-None-Match": tag } });
    if (answer.status !== 200) return;
    tag = answer.headers.get("ETag") ?? "";
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const before = counts();
    let all = true;
    document.querySelectorAll("main section").forEach((section) => {
      const next = fresh.getElementById(section.id);
      if (busy(section)) all = false;
      else if (next) replace(section, next);
    });
    replace(document.querySelector("nav"), fresh.querySelector("nav"));
    say(before, counts());
    if (!all) tag = ""; // what was left alone comes later
  };

  const again = async () => {
    try {
      await look();
      document.body.classList.remove("gone");
    } catch {
      document.body.classList.add("gone");
      status.textContent = "The sandbox does not answer.";
    }
    setTimeout(again, every);
  };
  setTimeout(again, every);
})();
