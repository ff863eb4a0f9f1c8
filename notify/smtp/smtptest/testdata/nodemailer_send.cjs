// Sends three mails with nodemailer. Usage: node nodemailer_send.cjs HOST PORT
// TELEMED_NODE_MODULES is the node_modules folder that holds nodemailer.
"use strict";
const path = require("node:path");
const { createRequire } = require("node:module");
const nodemailer = createRequire(path.join(process.env.TELEMED_NODE_MODULES, "x.js"))("nodemailer");

const [host, port] = process.argv.slice(2);
const transport = nodemailer.createTransport({ host, port: Number(port), secure: false, ignoreTLS: true });
const from = "a@clinic.example", to = "b@example.org";
const latin1 = "From: a@clinic.example\r\nContent-Type: text/plain; charset=iso-8859-1\r\n" +
  "Content-Transfer-Encoding: 8bit\r\n\r\nGr\xfc\xdfe\r\n";
(async () => {
  await transport.sendMail({ from, to, text: "Hello" }); // no subject
  await transport.sendMail({ envelope: { from, to: [to] }, raw: Buffer.from(latin1, "latin1") });
  await transport.sendMail({
    from, to, subject: "रिपोर्ट", text: "नमस्ते", html: "<p>नमस्ते</p>",
    attachments: [{ filename: "रिपोर्ट.pdf", content: Buffer.from("%PDF-1.4") }],
  });
})().catch((err) => { console.error(err); process.exit(1); });
