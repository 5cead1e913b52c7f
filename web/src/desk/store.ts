// The desk's one store. It is written by frames, by fetched messages, and by nothing else.

import { computed, effect, signal } from "@preact/signals";
import { get, Problem } from "../shared/api";
import { type Key, t, word } from "../shared/i18n";
import { session } from "../shared/keep";
import { Live, type Frame } from "../shared/live";
import { me, sendOut } from "../shared/login";
import {
  type AgentView,
  agentView,
  type ContactView,
  contactView,
  laterStatus,
  type MessageView,
  messageView,
  partView,
  type OfferView,
  offerView,
  type SendStatus,
} from "../shared/views";
import { type Answer, Commands } from "./commands";

export const agent = signal<AgentView | null>(null);
export const offers = signal<OfferView[]>([]);
export const contacts = signal<ContactView[]>([]);
export const selected = signal<string | null>(null);
export const messages = signal<Record<string, MessageView[]>>({});
export const seen = signal<Record<string, number>>({});
export const toast = signal<{ text: string; bad: boolean; n: number } | null>(null);
/** Ticks once a second, on the server's clock. */
export const now = signal(0);

export const live = new Live("/v1/agents/ws", {
  frame: take,
  ready: () => commands.repeat(),
  refused: (status) => {
    silence();
    sendOut(status);
  },
});
export const commands = new Commands((frame) => live.send(frame));
export const current = computed(() => contacts.value.find((contact) => contact.id === selected.value) ?? null);

setInterval(() => {
  now.value = live.now();
}, 1000);
now.value = live.now();

let toasts = 0;
export function tell(text: string, bad = false): void {
  toast.value = { text, bad, n: ++toasts };
}

// -- who is here

let owner = "";

effect(() => {
  const who = me.value;
  if (who === null) {
    live.stop();
    silence();
    return;
  }
  const name = `${who.workspace}/${who.agent}`;
  if (owner !== name) reset(name);
  live.start();
});

/** Nobody is here to answer: no offer rings, and coming back begins with a whole view. */
function silence(): void {
  live.cursor = null;
  offers.value = [];
}

function reset(name: string): void {
  owner = name;
  live.cursor = null;
  agent.value = null;
  offers.value = [];
  contacts.value = [];
  messages.value = {};
  selected.value = null;
  seen.value = session.json(`naru.seen.${name}`, {});
  commands.belongTo(name);
}

// -- frames

function take(frame: Frame): void {
  switch (frame.type) {
    case "view":
      agent.value = agentView(frame.agent as object);
      offers.value = ((frame.offers ?? []) as object[]).map(offerView);
      contacts.value = ((frame.contacts ?? []) as object[]).map(contactView);
      for (const contact of contacts.value) noteUnread(contact);
      choose();
      break;
    case "offer": {
      const offer = offerView(frame.offer as object);
      offers.value = put(offers.value, offer);
      contacts.value = contacts.value.filter((contact) => contact.id !== offer.contact);
      break;
    }
    case "offer_ended":
      endOffer(String(frame.offer), String(frame.outcome), frame.reason as string | undefined);
      break;
    case "contact": {
      const contact = contactView(frame.contact as object);
      const isNew = !contacts.value.some((other) => other.id === contact.id);
      contacts.value = put(contacts.value, contact);
      offers.value = offers.value.filter((offer) => offer.contact !== contact.id);
      noteUnread(contact);
      if (isNew) choose();
      break;
    }
    case "contact_gone": {
      const id = String(frame.contact);
      const gone = contacts.value.find((contact) => contact.id === id);
      contacts.value = contacts.value.filter((contact) => contact.id !== id);
      offers.value = offers.value.filter((offer) => offer.contact !== id);
      if (gone && !mine.delete(id)) {
        const reason = String(frame.reason);
        const why = gone.role !== "owner" && reason.startsWith("agent-") ? t("code.owner-left") : word("code", reason);
        const by = frame.by && frame.by !== me.value?.agent ? ` (${agentName(String(frame.by))})` : "";
        tell(t("contact.gone", { customer: nameOf(gone.customer), why: why + by }));
      }
      if (selected.value === id) {
        selected.value = null;
        choose();
      }
      break;
    }
    case "message":
      addMessages([messageView(frame.message as object)]);
      break;
    case "message_revised":
      revise(String(frame.conversation), String(frame.message), String(frame.change), (frame.parts ?? []) as object[]);
      break;
    case "message_status":
      setStatus(String(frame.conversation), String(frame.message), frame.status as SendStatus, frame.detail as string);
      break;
    case "agent":
      agent.value = agentView(frame.agent as object);
      break;
    case "answer":
      answered({
        id: String(frame.id),
        status: Number(frame.status),
        code: String(frame.code),
        contact: (frame.contact as string | undefined) ?? null,
      });
      break;
  }
}

function put<T extends { id: string }>(list: T[], item: T): T[] {
  const at = list.findIndex((other) => other.id === item.id);
  return at < 0 ? [...list, item] : list.map((other, i) => (i === at ? item : other));
}

function endOffer(id: string, outcome: string, reason: string | undefined): void {
  const known = offers.value.some((offer) => offer.id === id);
  offers.value = offers.value.filter((offer) => offer.id !== id);
  if (!known) return;
  if (outcome === "timed_out") tell(t("offer.missed"), true);
  else if (outcome === "withdrawn") tell(t("offer.withdrawn", { why: word("code", reason ?? "moved") }));
}

/** Contacts that this tab itself hands away; their going needs no words. */
const mine = new Set<string>();
/** A contact that this tab has just accepted is opened as soon as it comes. */
let awaited: string | null = null;

function choose(): void {
  if (awaited !== null && contacts.value.some((contact) => contact.id === awaited)) {
    open(awaited);
    awaited = null;
  } else if (current.value === null) open(contacts.value[0]?.id ?? null);
}

function answered(answer: Answer): void {
  const command = commands.answer(answer);
  if (command === undefined || answer.status < 400) return;
  mine.delete(String(command.args.contact));
  if (command.do === "accept" || command.do === "decline") {
    awaited = null;
    if (answer.status === 404 || answer.code === "offer-gone") {
      offers.value = offers.value.filter((offer) => offer.id !== command.args.offer);
    }
  }
  if (command.do !== "message") tell(t("failed", { why: word("code", answer.code) }), true);
}

// -- what the agent does

export function accept(offer: OfferView): void {
  awaited = offer.contact;
  commands.give("accept", { offer: offer.id });
}

export function act(name: string, contact: string, args: Record<string, unknown> = {}): void {
  if (name === "transfer" || name === "complete" || (name === "leave" && !args.agent)) mine.add(contact);
  commands.give(name, { contact, ...args });
}

export function awaitContact(contact: string): void {
  awaited = contact;
  choose();
}

export function open(contact: string | null): void {
  selected.value = contact;
}

export function step(by: number): void {
  const list = contacts.value;
  const at = list.findIndex((contact) => contact.id === selected.value);
  const next = list[(at + by + list.length) % list.length];
  if (next) open(next.id);
}

// -- colleagues' names, asked for when one is not known

export const names = signal<Record<string, string>>({});
let askedAt = 0;

export function agentName(id: string): string {
  if (!(id in names.value) && Date.now() - askedAt > 10_000) {
    askedAt = Date.now();
    void learnNames();
  }
  return names.value[id] ?? id;
}

async function learnNames(): Promise<void> {
  try {
    const { agents } = await get<{ agents: { id: string; name?: string }[] }>("/v1/targets");
    names.value = Object.fromEntries(agents.map((other) => [other.id, other.name ?? other.id]));
  } catch {
    // the id says who it is, too
  }
}

export const nameOf = (customer: { name: string | null; address: string }): string =>
  customer.name || customer.address || t("customer");

// -- messages: one list per conversation, by number, each number once

const PAGE = 100;

function addMessages(items: MessageView[]): void {
  const all = { ...messages.value };
  for (const item of items) {
    const byNumber = new Map((all[item.conversation] ?? []).map((message) => [message.number, message]));
    const before = byNumber.get(item.number);
    const late = statuses.get(item.id);
    const status = laterStatus(laterStatus(before?.status ?? null, item.status), late?.status ?? null);
    byNumber.set(item.number, { ...item, status, detail: late?.detail ?? before?.detail ?? item.detail });
    all[item.conversation] = [...byNumber.values()].sort((a, b) => a.number - b.number);
  }
  messages.value = all;
}

const statuses = new Map<string, { status: SendStatus; detail: string | null }>();

/** Edited, taken back by its author, or its files have come: these are its parts now. */
function revise(conversation: string, id: string, change: string, parts: object[]): void {
  const list = messages.value[conversation];
  if (!list?.some((message) => message.id === id)) return;
  messages.value = {
    ...messages.value,
    [conversation]: list.map((message) =>
      message.id === id
        ? { ...message, parts: parts.map(partView), revised: change === "copied" ? message.revised : change }
        : message,
    ),
  };
}

function setStatus(conversation: string, id: string, status: SendStatus, detail: string | undefined): void {
  const known = statuses.get(id);
  if (known && laterStatus(known.status, status) !== status) return;
  statuses.set(id, { status, detail: detail ?? null });
  const list = messages.value[conversation];
  if (!list?.some((message) => message.id === id)) return;
  messages.value = {
    ...messages.value,
    [conversation]: list.map((message) =>
      message.id === id
        ? { ...message, status: laterStatus(message.status, status), detail: detail ?? message.detail }
        : message,
    ),
  };
}

export async function fetchMessages(conversation: string, after: number, limit = PAGE): Promise<MessageView[]> {
  const path = `/v1/conversations/${encodeURIComponent(conversation)}/messages?after=${after}&limit=${limit}`;
  const { items } = await get<{ items: object[] }>(path);
  return items.map(messageView);
}

/** Numbers up to this one are not (yet) wanted; everything after it is. */
const bases = new Map<string, number>();

export async function earlier(conversation: string): Promise<void> {
  bases.set(conversation, Math.max(0, (bases.get(conversation) ?? 0) - PAGE));
  await fill(conversation);
}

/** The number after which something is missing, or null when the list runs from `base` to `last` without a gap. */
export function gapAfter(list: MessageView[], base: number, last: number): number | null {
  let have = base;
  for (const message of list) {
    if (message.number <= base) continue;
    if (message.number !== have + 1) return have;
    have = message.number;
  }
  return have < last ? have : null;
}

function missing(conversation: string): number | null {
  const last = contacts.value.find((other) => other.conversation === conversation)?.messages ?? 0;
  const base = bases.get(conversation) ?? Math.max(0, last - PAGE);
  bases.set(conversation, base);
  return gapAfter(messages.value[conversation] ?? [], base, last);
}

const filling = new Set<string>();

/** Fetch what is missing of a conversation. The store behind may lag the stream, so a few tries. */
async function fill(conversation: string): Promise<void> {
  if (filling.has(conversation)) return;
  filling.add(conversation);
  try {
    for (let tries = 0; tries < 8; ) {
      const after = missing(conversation);
      if (after === null) return;
      try {
        addMessages(await fetchMessages(conversation, after));
        if (missing(conversation) !== after) continue;
      } catch (error) {
        if (error instanceof Problem && error.status >= 400 && error.status < 500) return;
      }
      tries++;
      await new Promise((resolve) => setTimeout(resolve, 250 * 2 ** tries));
    }
  } finally {
    filling.delete(conversation);
  }
}

// The open conversation is complete and read, as long as somebody looks at it.
effect(() => {
  const contact = current.value;
  if (contact === null) return;
  const list = messages.value[contact.conversation] ?? [];
  if (missing(contact.conversation) !== null) void fill(contact.conversation);
  const last = Math.max(contact.messages, list.at(-1)?.number ?? 0);
  if ((seen.peek()[contact.conversation] ?? 0) < last) {
    seen.value = { ...seen.peek(), [contact.conversation]: last };
    session.set(`naru.seen.${owner}`, JSON.stringify(seen.peek()));
  }
});

function noteUnread(contact: ContactView): void {
  if (seen.value[contact.conversation] === undefined) {
    seen.value = { ...seen.value, [contact.conversation]: Math.max(0, contact.messages - 1) };
  }
}

export const unread = (contact: ContactView): number =>
  Math.max(0, contact.messages - (seen.value[contact.conversation] ?? 0));

/** Sent, but not yet seen on the stream: shown below the last message. */
export const unsent = computed(() => {
  const contact = current.value;
  if (contact === null) return [];
  const list = messages.value[contact.conversation] ?? [];
  return commands.open.value.filter(
    (command) =>
      command.do === "message" &&
      command.args.contact === contact.id &&
      !list.some(
        (message) =>
          message.id === command.id ||
          (!command.refused &&
            message.author === "agent" &&
            message.at > command.at + live.offset.value - 5 &&
            message.parts.some((part) => part.text === command.args.text)),
      ),
  );
});

export const kindKey = (kind: string): Key => `kind.${kind}` as Key;
