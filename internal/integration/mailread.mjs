// Reads the mails in the files that are its arguments, and prints what a mail program would show: one JSON
// object on a line for each. mailparser is found beside the folder in TELEMED_NODE_MODULES.
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { simpleParser } = createRequire(process.env.TELEMED_NODE_MODULES + "/")("mailparser");
for (const file of process.argv.slice(2)) {
  const mail = await simpleParser(readFileSync(file));
  console.log(
    JSON.stringify({
      id: mail.messageId,
      from: mail.from.text,
      to: mail.to.value.map((to) => to.address),
      subject: mail.subject,
      text: mail.text,
      html: mail.html || "",
      files: mail.attachments.map((a) => ({
        name: a.filename ?? "",
        type: a.contentType,
        sha256: createHash("sha256").update(a.content).digest("hex"),
      })),
    }),
  );
}
