// Reads the calendar files that are its arguments with ical.js, strictly, and prints a JSON object on a
// line for each. ical.js is found in TELEMED_NODE_MODULES.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const found = pathToFileURL(join(process.env.TELEMED_NODE_MODULES, "ical.js", "dist", "ical.js"));
const { default: ICAL } = await import(found);
ICAL.design.strict = true;
for (const file of process.argv.slice(2)) {
  const calendar = new ICAL.Component(ICAL.parse(readFileSync(file, "utf8")));
  const event = new ICAL.Event(calendar.getFirstSubcomponent("vevent"));
  console.log(
    JSON.stringify({
      Method: calendar.getFirstPropertyValue("method"),
      UID: event.uid,
      Summary: event.summary,
      Start: event.startDate.toJSDate(),
      End: event.endDate.toJSDate(),
    }),
  );
}
