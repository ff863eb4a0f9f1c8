// Reads each mail whose file is named, and prints what a mail program would show of it, as JSON, a line
// each. mailparser is found in TELEMED_NODE_MODULES.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { simpleParser } = createRequire(process.env.TELEMED_NODE_MODULES + "/")("mailparser");
for (const file of process.argv.slice(2)) {
  const mail = await simpleParser(readFileSync(file), { skipImageLinks: true });
  console.log(
    JSON.stringify({
      Subject: mail.subject,
      Text: mail.text,
      HTML: mail.html || "",
      Files: mail.attachments.map((a) => ({ Type: a.contentType, Data: a.content.toString("base64") })),
    }),
  );
}
