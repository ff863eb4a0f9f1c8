// Connects a socket.io-client of any version since 3, and reports each step as a line of
// JSON. The page joins its room again with the position that it has, unless its client says
// that it is recovered.
//
//	node any.cjs <module> <url> <transport,transport> <the transport that it ends up with>
//
// TELEMED_NODE_MODULES is the node_modules folder that holds the module.
"use strict";
const { createRequire } = require("node:module");
const path = require("node:path");
const { io } = createRequire(path.join(process.env.TELEMED_NODE_MODULES, "x.js"))(process.argv[2]);

const [url, transports, ends] = process.argv.slice(3);
const report = (step, detail = {}) => process.stdout.write(JSON.stringify({ step, ...detail }) + "\n");
const socket = io(url, {
  reconnectionDelay: 20, reconnectionDelayMax: 40, timeout: 10000, withCredentials: true,
  ...(transports ? { transports: transports.split(",") } : {}),
});

let since;
socket.on("connect", () => {
  report("connected", { recovered: Boolean(socket.recovered) });
  if (socket.recovered) return;
  socket.emit("join-clinic", "7", { since }, (answer) => {
    since = answer.at;
    report("joined", { answer: { ok: answer.ok, gap: answer.gap } });
  });
});
socket.on("disconnect", () => report("lost"));
socket.on("n", (data, offset) => {
  since = offset;
  report("n", { data });
});
socket.on("bye", () => {
  const settled = setInterval(() => { // the upgrade may be under way
    if (socket.io.engine.transport.name !== ends) return;
    clearInterval(settled);
    report("bye");
    socket.off("disconnect");
    socket.disconnect();
  }, 5);
});
