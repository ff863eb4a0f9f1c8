// Mail servers of npm's smtp-server, a kind each, in one process. Its argument is JSON:
//
//   key, cert   files in PEM
//   box         a maildir for what arrives; without it each message is printed, a JSON object on a line
//   servers     {name, port, options}: options are smtp-server's own; port 0 is a free one
//
// The first line that it prints is {"ready": {name: port}}. Who logs in is care, with the password letmein or
// the token token-1. An address says what is answered to it: s550-5.7.1@… at MAIL, r450-4.2.0@… at RCPT,
// d554-5.6.0@… after the message. Some names are those of .ci/mailservers.
const { readFileSync, renameSync, writeFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const { join } = require("node:path");

const { SMTPServer } = createRequire(process.env.TELEMED_NODE_MODULES + "/")("smtp-server");
const config = JSON.parse(process.argv[2]);
const key = readFileSync(config.key);
const cert = readFileSync(config.cert);

const known = {
  nobody: [550, "Error: no such user <nobody@example.org>"],
  gone: [550, "5.1.1 nobody of that name"],
  full: [452, "4.2.2 mailbox full"],
  grey: [450, "4.7.1 greylisted"],
  limit: [550, "5.7.1 sender has exceeded the hourly sending limit"],
};

function refusal(code, text) {
  return Object.assign(new Error(text), { responseCode: Number(code) });
}

function asked(stage, address) {
  const match = new RegExp(`^${stage}(\\d{3})-(\\d\\.\\d+\\.\\d+)@`).exec(address);
  return match && refusal(match[1], `${match[2]} as asked of <${address}>`);
}

function rightUser(auth) {
  return auth.username === "care" && (auth.method === "XOAUTH2" ? auth.accessToken === "token-1" : auth.password === "letmein");
}

let count = 0;
function keep(name, session, raw) {
  if (config.box) {
    const file = `${Date.now()}.${process.pid}_${++count}.mail`;
    writeFileSync(join(config.box, "tmp", file), raw);
    renameSync(join(config.box, "tmp", file), join(config.box, "new", file));
    return;
  }
  const { mailFrom, rcptTo } = session.envelope;
  console.log(
    JSON.stringify({
      server: name,
      from: mailFrom.address,
      params: mailFrom.args || {},
      to: rcptTo.map((to) => to.address),
      login: session.user || "",
      secure: session.secure,
      raw: raw.toString("base64"),
    }),
  );
}

function start({ name, port, options }) {
  const server = new SMTPServer({
    key,
    cert,
    name: "mail.test",
    disableReverseLookup: true,
    authOptional: (options.disabledCommands || []).includes("AUTH"),
    ...options,
    onAuth: (auth, session, done) => done(null, rightUser(auth) ? { user: `${auth.method} ${auth.username}` } : {}),
    onMailFrom: (from, session, done) => done(asked("s", from.address)),
    onRcptTo(to, session, done) {
      const [local, domain] = to.address.split("@");
      if (domain !== "example.org") return done(refusal(550, "5.7.1 relaying denied"));
      done(known[local] ? refusal(...known[local]) : asked("r", to.address));
    },
    onData(stream, session, done) {
      const chunks = [];
      stream.on("data", (chunk) => chunks.push(chunk));
      stream.on("end", () => {
        const no = session.envelope.rcptTo.map((to) => asked("d", to.address)).find(Boolean);
        if (!no && !stream.sizeExceeded) keep(name, session, Buffer.concat(chunks));
        done(no);
      });
    },
  });
  server.on("error", () => {}); // a client that broke off
  return new Promise((ready) => server.listen(port, "127.0.0.1", () => ready([name, server.server.address().port])));
}

Promise.all(config.servers.map(start)).then((ports) => console.log(JSON.stringify({ ready: Object.fromEntries(ports) })));
