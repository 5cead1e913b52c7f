// What the server sends (src/agents/frames.py, docs/protocol.md). Fields equal to their default are absent on the
// wire, so everything passes through one of the functions below before a page sees it.

export type Kind = "voice" | "chat" | "sms" | "email" | "social" | "task";
export type Presence = "available" | "away" | "offline" | "draining" | "unresponsive";
export type ContactStatus = "queued" | "scheduled" | "offered" | "active" | "held" | "parked" | "wrapping";
export type SendStatus = "pending" | "sent" | "delivered" | "read" | "failed" | "uncertain";

export interface Customer {
  id: string;
  address: string;
  name: string | null;
}

/** The customer is not on the line: rung at this number, not before `at`, after `tries` that nobody answered, and
 * `customer_first` before the agent's own phone. */
export interface Callback {
  number: string;
  tries: number;
  at: number | null;
  customer_first: boolean;
}

export interface OfferView {
  id: string;
  contact: string;
  conversation: string;
  kind: Kind;
  channel: string;
  brand: string;
  queue: string;
  customer: Customer;
  made_at: number;
  expires_at: number;
  waiting_since: number;
  answer: "desk" | "phone";
  language: string | null;
  attributes: Record<string, string>;
  direction: "inbound" | "outbound";
  callback: Callback | null;
  campaign: string | null;
}

/** What somebody is in a contact: whose it is, or whom its owner asks, or lets speak, or a supervisor who monitors. */
export type Role = "owner" | "consulted" | "joined" | "monitoring";
/** Whom somebody who monitors is heard by: nobody, the owner, everybody. */
export type Manner = "listen" | "whisper" | "barge";

/** `manner` is there of who is monitoring. */
export interface Participant {
  agent: string;
  role: Role;
  since: number;
  on_line: boolean;
  manner?: Manner;
}

/** In writing a whisper is a private note, which needs no manner of its own. */
export const mannersIn = (kind: Kind): Manner[] => (kind === "voice" ? ["listen", "whisper", "barge"] : ["listen", "barge"]);

/** The word for somebody's part: of who monitors, how. */
export const partOf = (guest: Participant): "role.consulted" | "role.joined" | "role.monitoring" | "role.whisper" | "role.barge" =>
  guest.manner === "whisper" || guest.manner === "barge" ? `role.${guest.manner}` : `role.${guest.role as "joined"}`;

export const ofAgent = (participants: Participant[] | undefined, agent: string | undefined): Participant | undefined =>
  participants?.find((guest) => guest.agent === agent);

/** What may be answered now, where a channel sets limits. */
export interface ReplyPolicy {
  allowed: boolean;
  reason: string | null;
  until: number | null;
  max_length: number | null;
  style: "append" | "one_shot" | "overwrite";
  public: boolean;
}

export interface ContactView {
  id: string;
  conversation: string;
  status: ContactStatus;
  kind: Kind;
  channel: string;
  brand: string;
  queue: string;
  customer: Customer;
  since: number;
  enqueued_at: number;
  direction: "inbound" | "outbound";
  language: string | null;
  agent: string | null;
  accepted_at: number | null;
  wrap_until: number | null;
  parked_for: string | null;
  nudged: boolean;
  messages: number;
  dispositions: string[];
  attributes: Record<string, string>;
  role: Role;
  participants: Participant[];
  reply: ReplyPolicy | null;
  replies: number;
  callback: Callback | null;
  campaign: string | null;
  /** What the campaign has to be said. */
  script: string;
}

export interface AgentView {
  id: string;
  name: string;
  presence: Presence;
  since: number;
  reason: string | null;
  planned: string | null;
  connected: boolean;
  units: number;
  used_units: number;
  open: Record<string, string | null>;
  /** The supervisor who gave this presence, if one did. */
  by: string | null;
}

export interface PartView {
  text: string | null;
  html: string | null;
  file: string | null;
  name: string | null;
  media_type: string | null;
  size_bytes: number | null;
  pending: boolean;
}

export interface MessageView {
  id: string;
  conversation: string;
  contact: string;
  number: number;
  author: string;
  at: number;
  agent: string | null;
  private: boolean;
  subject: string | null;
  parts: PartView[];
  status: SendStatus | null;
  detail: string | null;
  revised: string | null;
}

export interface Me {
  workspace: string;
  agent: string;
  name: string;
  role: string;
  csrf?: string;
}

type Raw<T> = Partial<T>;

const customer = (raw: Raw<Customer> | undefined): Customer => ({
  id: raw?.id ?? "",
  address: raw?.address ?? "",
  name: raw?.name ?? null,
});

const callback = (raw: Raw<Callback> | undefined): Callback | null =>
  raw
    ? { number: raw.number ?? "", tries: raw.tries ?? 0, at: raw.at ?? null, customer_first: raw.customer_first ?? false }
    : null;

export const offerView = (raw: Raw<OfferView>): OfferView => ({
  id: raw.id ?? "",
  contact: raw.contact ?? "",
  conversation: raw.conversation ?? "",
  kind: raw.kind ?? "chat",
  channel: raw.channel ?? "",
  brand: raw.brand ?? "",
  queue: raw.queue ?? "",
  customer: customer(raw.customer as Raw<Customer> | undefined),
  made_at: raw.made_at ?? 0,
  expires_at: raw.expires_at ?? 0,
  waiting_since: raw.waiting_since ?? 0,
  answer: raw.answer ?? "desk",
  language: raw.language ?? null,
  attributes: raw.attributes ?? {},
  direction: raw.direction ?? "inbound",
  callback: callback(raw.callback as Raw<Callback> | undefined),
  campaign: raw.campaign ?? null,
});

const replyPolicy = (raw: Raw<ReplyPolicy>): ReplyPolicy => ({
  allowed: raw.allowed ?? true,
  reason: raw.reason ?? null,
  until: raw.until ?? null,
  max_length: raw.max_length ?? null,
  style: raw.style ?? "append",
  public: raw.public ?? false,
});

/** Why nothing can be answered now, as a code; null when it can. */
export const whyClosed = (contact: ContactView, now: number): string | null => {
  const reply = contact.reply;
  if (reply === null) return null;
  if (!reply.allowed) return reply.reason ?? "reply-not-allowed";
  if (reply.until !== null && now > reply.until) return "reply-window-closed";
  return reply.style === "one_shot" && contact.replies > 0 ? "already-answered" : null;
};

export const contactView = (raw: Raw<ContactView>): ContactView => ({
  id: raw.id ?? "",
  conversation: raw.conversation ?? "",
  status: raw.status ?? "active",
  kind: raw.kind ?? "chat",
  channel: raw.channel ?? "",
  brand: raw.brand ?? "",
  queue: raw.queue ?? "",
  customer: customer(raw.customer as Raw<Customer> | undefined),
  since: raw.since ?? 0,
  enqueued_at: raw.enqueued_at ?? 0,
  direction: raw.direction ?? "inbound",
  language: raw.language ?? null,
  agent: raw.agent ?? null,
  accepted_at: raw.accepted_at ?? null,
  wrap_until: raw.wrap_until ?? null,
  parked_for: raw.parked_for ?? null,
  nudged: raw.nudged ?? false,
  messages: raw.messages ?? 0,
  dispositions: raw.dispositions ?? [],
  attributes: raw.attributes ?? {},
  role: raw.role ?? "owner",
  participants: raw.participants ?? [],
  reply: raw.reply ? replyPolicy(raw.reply as Raw<ReplyPolicy>) : null,
  replies: raw.replies ?? 0,
  callback: callback(raw.callback as Raw<Callback> | undefined),
  campaign: raw.campaign ?? null,
  script: raw.script ?? "",
});

/** What is known of a customer, without what the contact's own fields say. */
export const detailsOf = (it: OfferView | ContactView): [string, string][] =>
  Object.entries(it.attributes).filter(([name]) => name !== "campaign" || it.campaign === null);

export const agentView = (raw: Raw<AgentView>): AgentView => ({
  id: raw.id ?? "",
  name: raw.name ?? raw.id ?? "",
  presence: raw.presence ?? "offline",
  since: raw.since ?? 0,
  reason: raw.reason ?? null,
  planned: raw.planned ?? null,
  connected: raw.connected ?? false,
  units: raw.units ?? 100,
  used_units: raw.used_units ?? 0,
  open: raw.open ?? {},
  by: raw.by ?? null,
});

export const partView = (raw: Raw<PartView>): PartView => ({
  text: raw.text ?? null,
  html: raw.html ?? null,
  file: raw.file ?? null,
  name: raw.name ?? null,
  media_type: raw.media_type ?? null,
  size_bytes: raw.size_bytes ?? null,
  pending: raw.pending ?? false,
});

export const messageView = (raw: Raw<MessageView>): MessageView => ({
  id: raw.id ?? "",
  conversation: raw.conversation ?? "",
  contact: raw.contact ?? "",
  number: raw.number ?? 0,
  author: raw.author ?? "system",
  at: raw.at ?? 0,
  agent: raw.agent ?? null,
  private: raw.private ?? false,
  subject: raw.subject ?? null,
  parts: ((raw.parts ?? []) as Raw<PartView>[]).map(partView),
  status: raw.status ?? null,
  detail: raw.detail ?? null,
  revised: raw.revised ?? null,
});

/** Receipts come late, twice and out of order: the higher rank stands. */
const RANK: Record<SendStatus, number> = { pending: 0, uncertain: 1, sent: 2, delivered: 3, read: 4, failed: 5 };

export const laterStatus = (a: SendStatus | null, b: SendStatus | null): SendStatus | null =>
  a === null ? b : b === null ? a : RANK[b] > RANK[a] ? b : a;
