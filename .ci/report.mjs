// Reads the output of `go test -json` and prints what a person wants to know of it: the closing line
// of each package, the whole output of what failed, and each skip that is not allowed here.
// Usage: node report.mjs LOG. Exits 1 if anything failed or was skipped that must not be.
import { readFileSync } from "node:fs";

// What may be skipped even here, by the words that say why.
const allowed = [
  /MONGO_URI/, // needs a real MongoDB, for which there is no package
  /not on this machine|not beside this project/, // providers' documents, which are not part of the repository
  /does not implement|cannot hang|has no doctor who|Harness\.\w+ is (empty|nil)/, // a clause of a conformance suite about what this implementation has not
  /runs only as a child/, // the inside of another test
  /runs without the race detector/, // the proof that a simulation notices what is wrong; go test has run it
  /race detector allocates/, // a count of allocations; it has run without the race detector
];

const output = new Map(); // "package test" to its lines
const failed = new Set();
const skipped = new Set();
const closing = [];
let noise = "";
for (const line of readFileSync(process.argv[2], "utf8").split("\n")) {
  let event;
  try {
    event = JSON.parse(line);
  } catch {
    if (line) noise += line + "\n"; // the compiler's words
    continue;
  }
  const key = `${event.Package ?? event.ImportPath} ${event.Test ?? ""}`;
  if (event.Output) output.set(key, (output.get(key) ?? "") + event.Output);
  if (event.Action === "fail" || event.Action === "build-fail") failed.add(key);
  if (event.Action === "skip" && event.Test) skipped.add(key);
  if (!event.Test && /^(ok|FAIL|---)\s/.test(event.Output ?? "")) closing.push(event.Output);
}
process.stdout.write(noise);
for (const key of failed) process.stdout.write(`\n--- ${key}\n${(output.get(key) ?? "").split("\n").slice(-150).join("\n")}`);
process.stdout.write(closing.join(""));
const wrong = [...skipped].filter((key) => !allowed.some((reason) => reason.test(output.get(key) ?? "")));
for (const key of wrong) process.stdout.write(`skipped, and must not be: ${key}\n${output.get(key)}`);
console.log(`${skipped.size} skipped, ${skipped.size - wrong.length} of them allowed`);
process.exit(failed.size || wrong.length ? 1 : 0);
