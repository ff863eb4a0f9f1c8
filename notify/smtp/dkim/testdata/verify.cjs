// Verifies the signatures of messages with the npm package mailauth, and prints a verdict and
// the algorithm of each, a line each.
// Usage: node verify.cjs RECORDS MESSAGE...; RECORDS is JSON, a TXT record by its name.
// TELEMED_NODE_MODULES is the node_modules folder that holds mailauth.
const fs = require("node:fs");
const path = require("node:path");
const { createRequire } = require("node:module");
const load = createRequire(path.join(process.env.TELEMED_NODE_MODULES, "x.js"));
const { dkimVerify } = load("mailauth/lib/dkim/verify");

const [records, ...messages] = process.argv.slice(2).map((file) => fs.readFileSync(file));
const texts = JSON.parse(records);
(async () => {
  for (const message of messages) {
    const { results } = await dkimVerify(message, { resolver: async (name) => [[texts[name]]] });
    for (const r of results) console.log(r.status.result, r.algo);
  }
})();
