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

    const lost = once(socket, "disconnect"), id = socket.id;
    report("connected");
    const [reason] = await lost;
    socket.connect(); // by itself, a page that was sent away stays away
    await once(socket, "connect");
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
    const refused = io(url, { ...options, forceNew: true, extraHeaders: { cookie: "user=mallory" } });
    const [error] = await once(refused, "connect_error");
    report("authentication", { message: error.message, retries: refused.active });
  },

  // All that a page may do beside joining, one after the other.
  async surface() {
    const page = (namespace, more) => io(url + namespace, { ...options, ...more });

    // refused in words, then let in with another token
    const socket = page("/", { auth: { token: "wrong" }, autoConnect: false });
    socket.on("greeting", (...args) => report("greeting", { args }));
    socket.on("question", (a, b, answer) => answer(b, a, Buffer.from([7, 8])));
    socket.on("picture", (picture, name) => report("picture", { bytes: [...picture], name }));
    socket.on("news", (...args) => report("news", { data: args }));
    socket.connect();
    const [error] = await once(socket, "connect_error");
    report("refused", { message: error.message, data: error.data, retries: socket.active });
    socket.auth = { token: "right" };
    socket.connect();
    await once(socket, "connect");
    report("connected");

    report("several", { answer: await new Promise((resolve) => socket.emit("swap", 1, "two", { x: 3 }, (...answers) => resolve(answers))) });
    const echoed = await new Promise((resolve) => socket.emit("swap", Buffer.from([1, 2, 3]), { deep: Buffer.from([4]) }, (...answers) => resolve(answers)));
    report("binary", { bytes: [...echoed[1]], deep: echoed[0].deep });
    report("asked", { answer: await socket.emitWithAck("ask-me") });

    // a second namespace on the same engine, which the first one survives
    const staff = page("/staff", { auth: { token: "right" } });
    staff.on("news", (...args) => report("staff news", { data: args }));
    staff.connect(); // the manager was told not to by itself
    await once(staff, "connect");
    report("staff", { same: staff.io.engine === socket.io.engine, id: staff.id !== socket.id, answer: await staff.emitWithAck("who") });
    await once(socket, "all-said");
    staff.disconnect();
    report("left", { answer: await socket.emitWithAck("swap", "still here"), connected: socket.connected });

    // what was kept while there was no connection comes in one POST
    socket.disconnect();
    for (let n = 0; n < 300; n++) socket.emit("count", n);
    socket.connect();
    await once(socket, "connect");
    const counted = await socket.emitWithAck("counted");
    if (counted !== 300) throw new Error("counted " + JSON.stringify(counted));
    report("counted");

    // sent away, it stays away
    const lost = once(socket, "disconnect");
    report("ready");
    const [reason] = await lost;
    report("kicked", { reason, retries: socket.active });
    socket.connect();
    await once(socket, "connect");
    const again = once(socket, "disconnect");
    socket.emit("kick-me");
    const [reason2] = await again;
    report("sent away", { reason: reason2, retries: socket.active });
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
