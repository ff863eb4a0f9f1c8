// Verifies the signatures of a message with the npm package mailauth, and prints a verdict
// and the algorithm of each, a line each.
// Usage: node verify.cjs MESSAGE RECORDS; RECORDS is JSON, a TXT record by its name.
// TELEMED_NODE_MODULES is the node_modules folder that holds mailauth.
const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");
const load = createRequire(path.join(process.env.TELEMED_NODE_MODULES, "x.js"));
const { dkimVerify } = load("mailauth/lib/dkim/verify");

const [message, records] = process.argv.slice(2).map((file) => fs.readFileSync(file));
const texts = JSON.parse(records);
dkimVerify(message, { resolver: async (name) => [[texts[name]]] }).then(({ results }) => {
  for (const r of results) console.log(r.status.result, r.algo);
});
