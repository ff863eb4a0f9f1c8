// Reads the mail in standard input and prints what a mail program would show, as JSON. mailparser is
// found in TELEMED_NODE_MODULES.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { simpleParser } = createRequire(process.env.TELEMED_NODE_MODULES + "/")("mailparser");
const mail = await simpleParser(readFileSync(0), { skipImageLinks: true });
const list = (of) => (of ? of.value.map(({ name, address }) => ({ Name: name, Email: address })) : []);
console.log(
  JSON.stringify({
    To: list(mail.to),
    Cc: list(mail.cc),
    Bcc: list(mail.bcc),
    ReplyTo: list(mail.replyTo),
    Subject: mail.subject,
    Text: mail.text,
    HTML: mail.html || "",
    Unsubscribe: mail.headers.get("list")?.unsubscribe ?? null,
    Own: mail.headers.get("x-visit") ?? "",
    Files: mail.attachments.map((a) => ({
      Name: a.filename ?? "",
      Type: a.contentType,
      CID: a.cid ?? "",
      Related: a.related ?? false,
      Data: a.content.toString("base64"),
    })),
  }),
);
