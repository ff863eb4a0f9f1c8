// The password server of the Postfix in .ci/mailservers, by Dovecot's protocol for
// authentication clients (https://doc.dovecot.org/main/developers/design/auth_protocol.html). It knows one account.
// Usage: node mail-auth.mjs PORT USER PASSWORD
import { createServer } from "node:net";
import { createInterface } from "node:readline";

const [port, user, password] = process.argv.slice(2);
const good = Buffer.from(`\0${user}\0${password}`).toString("base64");
createServer((socket) => {
  socket.on("error", () => {});
  socket.write(`VERSION\t1\t1\nMECH\tPLAIN\tplaintext\nSPID\t${process.pid}\nCUID\t1\nCOOKIE\t00\nDONE\n`);
  createInterface(socket).on("line", (line) => {
    const [command, id, , ...params] = line.split("\t");
    if (command !== "AUTH") return;
    const right = params.includes(`resp=${good}`);
    socket.write(right ? `OK\t${id}\tuser=${user}\n` : `FAIL\t${id}\tuser=${user}\n`);
  });
}).listen(Number(port), "127.0.0.1");
