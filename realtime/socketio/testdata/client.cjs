// Connects an unmodified socket.io-client and reports each step as a line of
// JSON. The Go test that started it reads the lines, and answers some of them
// by a broadcast.
//
//	node client.cjs <scenario> <url> [transport,transport] [room,room]
//
// TELEMED_NODE_MODULES is the node_modules folder that holds socket.io-client.
"use strict";
const { createRequire } = require("node:module");
const path = require("node:path");
const { io } = createRequire(path.join(process.env.TELEMED_NODE_MODULES, "x.js"))("socket.io-client");

const [scenario, url, transports, rooms] = process.argv.slice(2);
const report = (step, detail = {}) => process.stdout.write(JSON.stringify({ step, ...detail }) + "\n");
const options = { reconnectionDelay: 20, reconnectionDelayMax: 40, timeout: 10000 };
if (transports) options.transports = transports.split(",");

const once = (emitter, name) => new Promise((resolve) => emitter.once(name, (...args) => resolve(args)));

const scenarios = {
  // A whole visit: join, be refused, hear events in order while the transport
  // changes, carry a long message both ways, lose the connection and come back.
  async visit() {
    const socket = io(url, options);
    const numbers = [];
    socket.on("number", (n) => numbers.push(n));
    const appointments = [];
    socket.on("new-appointment", (appointment) => appointments.push(appointment));
    const heard = async (list, length) => { while (list.length < length) await new Promise((r) => setTimeout(r, 5)); };

    await once(socket, "connect");
    const engine = socket.io.engine;
    const changed = engine.transport.name === "polling" && !(options.transports && options.transports.length === 1)
      ? once(engine, "upgrade") : Promise.resolve();
    report("joined", { answer: await socket.emitWithAck("join-clinic", "7") });
    await heard(numbers, 300);
    report("numbers", { ordered: numbers.every((n, i) => n === i), count: numbers.length });
    await changed;
    report("transport", { name: engine.transport.name });

    report("refused", { answer: await socket.emitWithAck("join-clinic", "9") });
    const left = await socket.emitWithAck("leave-clinic", "7");
    report("left", { answer: left, again: await socket.emitWithAck("join-clinic", "7") });

    report("waiting");
    await heard(appointments, 1);
    report("appointment", { data: appointments[0] });
    report("echo", { data: await socket.emitWithAck("echo", appointments[0]) });

    const lost = once(socket, "disconnect"), back = once(socket, "connect"), id = socket.id;
    report("connected");
    const [reason] = await lost;
    await back;
    report("reconnected", { reason, answer: await socket.emitWithAck("join-clinic", "7"), fresh: socket.id !== id });
    await heard(appointments, 2);
    report("again", { data: appointments[1], numbers: numbers.length });
    socket.disconnect();
    report("bye");
  },

  // Nothing is said while the transport changes.
  async quiet() {
    const socket = io(url, options);
    await once(socket, "connect");
    if (socket.io.engine.transport.name === "polling") await once(socket.io.engine, "upgrade");
    report("joined", { answer: await socket.emitWithAck("join-clinic", "7") });
    socket.disconnect();
  },

  // What the server must refuse, as this client sees it.
  async refusals() {
    const fail = async (name, socket) => {
      const [error] = await once(socket, "connect_error");
      socket.disconnect();
      report(name, { message: error.message, code: error.context && error.context.status });
    };
    await fail("namespace", io(url + "/admin", options));
    await fail("origin", io(url, { ...options, forceNew: true, reconnection: false, extraHeaders: { origin: "https://evil.example" } }));
    await fail("authentication", io(url, { ...options, forceNew: true, reconnection: false, extraHeaders: { cookie: "user=mallory" } }));

    const socket = io(url, { ...options, forceNew: true, reconnection: false });
    await once(socket, "connect");
    socket.emit("picture", Buffer.from([1, 2, 3]));
    const [reason] = await once(socket, "disconnect");
    report("binary", { reason });
  },

  // The server goes and another one takes its place. What the page does is in its "connect" handler.
  async restart() {
    const socket = io(url, options);
    const appointments = [];
    socket.on("new-appointment", (appointment) => appointments.push(appointment));
    socket.on("connect", async () => {
      report("joined", { answer: await socket.emitWithAck("join-clinic", "7") });
    });
    await once(socket, "disconnect");
    await once(socket, "new-appointment");
    report("appointments", { data: appointments });
    socket.disconnect();
  },

  // A page that joins its rooms once, and not when it comes back. It tells each event.
  async recover() {
    const socket = io(url, { ...options, randomizationFactor: 0, timeout: 2000 });
    socket.on("number", (...args) => report("number", { n: args[0], args: args.length }));
    socket.on("disconnect", () => report("lost"));
    socket.on("bye", () => { report("bye"); socket.disconnect(); });
    let first = true;
    socket.on("connect", async () => {
      report("connected", { recovered: socket.recovered });
      const names = first && rooms ? rooms.split(",") : [];
      first = false;
      for (const room of names) report("joined", { answer: await socket.emitWithAck("join-clinic", room) });
    });
    await once(socket, "bye");
  },

  // A client that only listens, until the server goes.
  async shutdown() {
    const socket = io(url, { ...options, reconnection: false });
    await once(socket, "connect");
    report("connected");
    const [reason] = await once(socket, "disconnect");
    report("gone", { reason });
  },
};

scenarios[scenario]().catch((error) => {
  console.error(error);
  process.exit(1);
});
