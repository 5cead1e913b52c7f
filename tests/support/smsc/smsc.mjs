// A real SMSC (npm's `smpp`) on loopback. Its one argument is JSON: {port, password, window, ids, receipts}. It takes
// orders from stdin and tells on stdout what happens, each a line of JSON, before whoever is connected can know of it.
//
// `ids`: "as_is", or "hex" (responses tell the id in hexadecimal, receipts in decimal with zeros before).
// `receipts`: "early" (before the submit's response), "late" (when ordered), "tlv" (at once, in TLVs only).

import { createInterface } from "node:readline";
import smpp from "smpp";

const told = JSON.parse(process.argv[2]);
const tell = (event, more) => process.stdout.write(JSON.stringify({ event, ...more }) + "\n");
const DATES = "submit date:2611260411 done date:2611260411";
const faults = { throttle: 0, drop_submit: 0, drop_deliver: 0, hold: 0 };
let number = told.first ?? 1;
let bound = null;
const queue = new Map(); // what is to be delivered, until it is acknowledged
let sent = new Set();

const inResponse = (id) => (told.ids === "hex" ? id.toString(16) : `m-${id}`);
const inReceipt = (id) => (told.ids === "hex" ? String(id).padStart(10, "0") : `m-${id}`);

function receipt(id, from, to, state = "DELIVRD") {
  const pdu = { source_addr: to, destination_addr: from, esm_class: 4, source_addr_ton: 1 };
  if (told.receipts === "tlv") {
    const message_state = state === "DELIVRD" ? 2 : 5;
    return { ...pdu, esm_class: 0, short_message: "", receipted_message_id: inReceipt(id), message_state };
  }
  const text = `id:${inReceipt(id)} sub:001 dlvrd:001 ${DATES} stat:${state} err:000 text:`;
  return { ...pdu, data_coding: 0, short_message: Buffer.from(text, "latin1") };
}

function deliver() {
  for (const [key, pdu] of queue) {
    if (bound === null || sent.size >= told.window) return;
    if (sent.has(key)) continue;
    sent.add(key);
    const session = bound;
    session.deliver_sm({ ...pdu }, (answer) => {
      if (session !== bound) return;
      sent.delete(key);
      if (answer.command_status === 0 && faults.drop_deliver > 0 && --faults.drop_deliver === 0) {
        tell("unheard", { key });
        session.destroy(); // as if the line had gone down before this answer came
        bound = null;
        return;
      }
      tell("answered", { key, status: answer.command_status });
      if (answer.command_status === 0) queue.delete(key);
      setImmediate(deliver);
    });
  }
}

function put(key, pdu) {
  queue.set(key, pdu);
  deliver();
}

function submit(session, pdu) {
  if (faults.throttle > 0) {
    faults.throttle -= 1;
    tell("throttled", { to: pdu.destination_addr });
    session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
    return;
  }
  const id = number++;
  const said = pdu.message_payload ?? pdu.short_message;
  tell("submit", {
    id,
    from: pdu.source_addr,
    to: pdu.destination_addr,
    text: Buffer.isBuffer(said.message) ? said.message.toString("hex") : said.message,
    udh: said.udh?.map((each) => each.toString("hex")),
    coding: pdu.data_coding,
    payload: pdu.message_payload !== undefined,
    wants: pdu.registered_delivery,
  });
  if (faults.drop_submit > 0 && --faults.drop_submit === 0) {
    tell("unanswered", { id });
    session.destroy();
    return;
  }
  if (told.receipts === "early") put(`r-${id}`, receipt(id, pdu.source_addr, pdu.destination_addr));
  if (faults.hold > 0) {
    faults.hold -= 1;
    tell("held", { id });
    return;
  }
  session.send(pdu.response({ message_id: inResponse(id) }));
  if (told.receipts === "tlv") put(`r-${id}`, receipt(id, pdu.source_addr, pdu.destination_addr));
}

const server = smpp.createServer({}, (session) => {
  session.on("error", () => {});
  session.on("close", () => {
    if (session === bound) bound = null;
    sent = new Set();
    tell("closed", {});
  });
  session.on("bind_transceiver", (pdu) => {
    const good = pdu.password === told.password;
    tell("bind", { system_id: pdu.system_id, good });
    session.send(pdu.response(good ? { system_id: "smsc" } : { command_status: smpp.ESME_RINVPASWD }));
    if (!good) return;
    bound = session;
    sent = new Set();
    deliver();
  });
  session.on("enquire_link", (pdu) => {
    session.send(pdu.response());
    tell("enquired", {});
  });
  session.on("unbind", (pdu) => session.send(pdu.response(), () => session.close()));
  session.on("submit_sm", (pdu) => submit(session, pdu));
});

const orders = {
  deliver: ({ key, pdu, hex }) => put(key, hex === undefined ? pdu : { ...pdu, short_message: Buffer.from(hex, "hex") }),
  receipt: ({ id, from, to, state }) => put(`r-${id}`, receipt(id, from, to, state)),
  fault: ({ what, count }) => (faults[what] = count),
  drop: () => bound?.destroy(),
  ask: () => bound?.enquire_link({}, () => tell("alive", {})),
};
createInterface({ input: process.stdin }).on("line", (line) => {
  const order = JSON.parse(line);
  orders[order.do](order);
});
process.stdin.on("end", () => process.exit(0));
server.listen(told.port, "127.0.0.1", () => tell("ready", {}));
