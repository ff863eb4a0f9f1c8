// A password server of the Postfix in .ci/mailservers, by Dovecot's protocol for
// authentication clients (https://doc.dovecot.org/main/developers/design/auth_protocol.html). It knows one account.
// Usage: node mail-auth.mjs PORT USER PASSWORD TOKEN MECHANISM...
import { createHash, createHmac, pbkdf2Sync, randomBytes } from "node:crypto";
import { createServer } from "node:net";
import { createInterface } from "node:readline";

const [port, user, password, token, ...mechanisms] = process.argv.slice(2);

// Each mechanism is a generator: what it yields is a challenge, what comes back is the answer to it, and
// what it returns is whether the client is who it says.
const talks = {
  *PLAIN(first) {
    return first === `\0${user}\0${password}`;
  },
  *XOAUTH2(first) {
    if (first === `user=${user}\x01auth=Bearer ${token}\x01\x01`) return true;
    yield '{"status":"400","schemes":"Bearer"}';
    return false;
  },
  // RFC 5802 with SHA-256.
  *"SCRAM-SHA-256"(first) {
    const hmac = (key, text) => createHmac("sha256", key).update(text).digest();
    const bare = first.slice("n,,".length);
    const [, name, nonce] = /^n=([^,]*),r=(.*)$/.exec(bare) ?? [];
    const salt = randomBytes(16);
    const begin = `r=${nonce}${randomBytes(12).toString("hex")},s=${salt.toString("base64")},i=4096`;
    const last = yield begin;
    const salted = pbkdf2Sync(password, salt, 4096, 32, "sha256");
    const [without, proof] = last.split(",p=");
    const said = `${bare},${begin},${without}`;
    const key = hmac(salted, "Client Key");
    const signature = hmac(createHash("sha256").update(key).digest(), said);
    const right = Buffer.from(key.map((b, i) => b ^ signature[i])).toString("base64");
    if (name !== user || proof !== right || !without.startsWith(`c=biws,r=${nonce}`)) return false;
    yield `v=${hmac(hmac(salted, "Server Key"), said).toString("base64")}`;
    return true;
  },
};

createServer((socket) => {
  const open = new Map(); // by the number of the request
  const step = (id, answer) => {
    const { value, done } = open.get(id).next(Buffer.from(answer, "base64").toString());
    if (!done) return socket.write(`CONT\t${id}\t${Buffer.from(value).toString("base64")}\n`);
    open.delete(id);
    socket.write(value ? `OK\t${id}\tuser=${user}\n` : `FAIL\t${id}\tuser=${user}\n`);
  };
  socket.on("error", () => {});
  socket.write("VERSION\t1\t1\n");
  for (const name of mechanisms) socket.write(`MECH\t${name}${name === "PLAIN" ? "\tplaintext" : ""}\n`);
  socket.write(`SPID\t${process.pid}\nCUID\t1\nCOOKIE\t00\nDONE\n`);
  createInterface(socket).on("line", (line) => {
    const [command, id, mechanism, ...params] = line.split("\t");
    if (command === "CONT") return step(id, mechanism ?? "");
    if (command !== "AUTH") return;
    const first = params.find((param) => param.startsWith("resp="))?.slice("resp=".length) ?? "";
    // A generator takes its first words as an argument.
    open.set(id, talks[mechanism](Buffer.from(first, "base64").toString()));
    step(id, "");
  });
}).listen(Number(port), "127.0.0.1");
