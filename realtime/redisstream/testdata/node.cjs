// A Socket.IO server of Node with @socket.io/redis-streams-adapter, and two clients of it:
// "desk" in clinic-7, clinic-8 and user-7, "other" in clinic-9.
//   node node.cjs SOCKET
// Reads a command as JSON in each line, and prints what the clients get, likewise.
// TELEMED_NODE_MODULES is where the packages are. Binary is {"hex": "00ff"} both ways.
const { createRequire } = require("node:module");
const { createServer } = require("node:http");
const { createInterface } = require("node:readline");
const path = require("node:path");
const need = createRequire(path.join(process.env.TELEMED_NODE_MODULES, "x.cjs"));
const { Server } = need("socket.io");
const { io: connect } = need("socket.io-client");
const { createClient } = need("redis");
const { createAdapter } = need("@socket.io/redis-streams-adapter");

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const out = (v) => {
  if (Buffer.isBuffer(v) || v instanceof Uint8Array || v instanceof ArrayBuffer) return { hex: Buffer.from(v).toString("hex") };
  if (Array.isArray(v)) return v.map(out);
  if (v && typeof v === "object") return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, out(x)]));
  return v;
};
const into = (v) => {
  if (Array.isArray(v)) return v.map(into);
  if (v && typeof v === "object") {
    if (typeof v.hex === "string") return Buffer.from(v.hex, "hex");
    return Object.fromEntries(Object.entries(v).map(([k, x]) => [k, into(x)]));
  }
  return v;
};

async function main() {
  const redis = createClient({ socket: { path: process.argv[2] } });
  redis.on("error", () => {});
  await redis.connect();
  const web = createServer();
  const io = new Server(web, { adapter: createAdapter(redis, {}) });
  io.on("connection", (socket) => {
    for (const room of socket.handshake.auth.rooms) socket.join(room);
    socket.emit("joined");
  });
  await new Promise((done) => web.listen(0, "127.0.0.1", done));
  const url = `http://127.0.0.1:${web.address().port}`;
  for (const [who, rooms] of [["desk", ["clinic-7", "clinic-8", "user-7"]], ["other", ["clinic-9"]]]) {
    const client = connect(url, { transports: ["websocket"], auth: { rooms } });
    client.onAny((name, ...args) => name === "joined" || say({ who, name, args: out(args) }));
    client.on("disconnect", (reason) => say({ who, name: "disconnect", args: [reason] }));
    await new Promise((done) => client.once("joined", done));
  }
  createInterface({ input: process.stdin }).on("line", (line) => {
    const command = JSON.parse(line);
    let to = io;
    for (const room of command.rooms ?? []) to = to.to(room);
    for (const room of command.except ?? []) to = to.except(room);
    if (command.volatile) to = to.volatile;
    switch (command.do) {
      case "emit": return to.emit(...into(command.args));
      case "kick": return to.disconnectSockets(true);
      case "join": return to.socketsJoin(command.moved);
      case "leave": return to.socketsLeave(command.moved);
    }
  }).on("close", () => process.exit(0));
  say({ who: "server", name: "ready", args: [] });
}
main();
