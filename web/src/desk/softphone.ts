// The agent's own phone as the desk has it: who may register it, whether it is ready, and which click answers what. An
// offer's Accept answers the call that rings for it, whichever of the two comes first; what the agent has asked for already
// (an offer accepted before its phone rings, an own call, listening in) is answered without another click.

import { computed, effect, signal } from "@preact/signals";
import { get, Problem } from "../shared/api";
import { Backoff } from "../shared/backoff";
import { t } from "../shared/i18n";
import { me } from "../shared/login";
import type { OfferView } from "../shared/views";
import type { Call, Line, Mic, Phone, Registration } from "./phone";
import { accept, contacts, offers, tell } from "./store";

/** `tab`: another tab of this browser has the phone; `exchange` and `secret`: what the administrator has yet to set up. */
export type State = Line | "none" | "tab" | "exchange" | "secret";

export const state = signal<State>("none");
export const mic = signal<Mic | null>(null);
export const call = signal<Call | null>(null);
export const needsClick = signal(false);
export const phone = signal<Phone | null>(null);

/** Nothing but this is good enough to be rung. */
export const ready = computed(() => state.value === "registered" && mic.value === "ok");

interface Told {
  registration?: Registration | null;
  missing?: "exchange" | "secret" | null;
}

const REFUSED_MS = 15_000;

// -- whose phone, and in which tab

let ending: AbortController | null = null;
let tabs: BroadcastChannel | null = null;
let owner = "";

effect(() => {
  const who = me.value;
  const name = who ? `${who.workspace}/${who.agent}` : "";
  if (name === owner) return;
  owner = name;
  end();
  if (name) queueMicrotask(() => void begin(name));
});

function end(): void {
  ending?.abort();
  ending = null;
  tabs?.close();
  tabs = null;
  hangAway();
  state.value = "none";
  mic.value = null;
}

function hangAway(): void {
  phone.peek()?.stop();
  phone.value = null;
}

/** Until it ends: learn whether there is a phone, and hold it in one tab alone. */
async function begin(name: string): Promise<void> {
  const until = (ending = new AbortController()).signal;
  const told = await learn(until);
  if (told === null || until.aborted) return;
  tabs = new BroadcastChannel(`naru.phone.${name}`);
  tabs.onmessage = ({ data }: MessageEvent<{ answer: string }>) => wish(data.answer);
  if (!("locks" in navigator)) return hold(told, until);
  const lock = `naru.phone.${name}`;
  const isOurs = await navigator.locks.request(lock, { ifAvailable: true }, async (got) => {
    if (got) await hold(told, until);
    return got !== null;
  });
  if (isOurs || until.aborted) return;
  state.value = "tab";
  await navigator.locks.request(lock, { signal: until }, async () => hold(await learn(until), until)).catch(() => {});
}

/** What the server says of this agent's phone; null when there is none to be had. */
async function learn(until: AbortSignal): Promise<Told | null> {
  const backoff = new Backoff();
  while (!until.aborted) {
    try {
      const told = await get<Told>("/v1/agents/me/softphone");
      return told.registration || told.missing ? told : null;
    } catch (error) {
      if (error instanceof Problem && error.status >= 400 && error.status < 500) return null;
    }
    await later(backoff.next(), until);
  }
  return null;
}

const later = (ms: number, until: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    until.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });

/** The phone of this tab, until `until`; anew after a while when the exchange does not know it: the password may be new. */
async function hold(told: Told | null, until: AbortSignal): Promise<void> {
  while (told !== null && !until.aborted) {
    if (told.registration) {
      state.value = "connecting";
      const { Phone } = await import("./phone");
      if (until.aborted) return;
      await registered(new Phone(told.registration, heard), until);
    } else state.value = told.missing ?? "none";
    await later(REFUSED_MS, until);
    if (!until.aborted) told = await learn(until);
  }
}

/** Resolves when the phone is refused, or no longer wanted. */
function registered(made: Phone, until: AbortSignal): Promise<void> {
  phone.value = made;
  return new Promise((resolve) => {
    const stop = effect(() => {
      if (state.value !== "refused" || call.value !== null) return;
      queueMicrotask(() => {
        stop();
        if (phone.value === made) hangAway();
        resolve();
      });
    });
    until.addEventListener("abort", () => (stop(), resolve()), { once: true });
  });
}

const heard = {
  line: (now: Line): void => {
    state.value = now;
  },
  call: (now: Call | null): void => {
    if (now === null && call.value?.contact) forget(call.value.contact);
    call.value = now;
  },
  mic: (now: Mic): void => {
    mic.value = now;
  },
  broken: (): void => tell(t("phone.broken"), true),
  silent: (is: boolean): void => {
    needsClick.value = is;
  },
};

// -- which click answers what

/** Contacts whose call is to be answered as soon as it rings: a click has accepted their offer, or begun them. */
export const wished = signal<string[]>([]);

export function wish(contact: string): void {
  if (!wished.value.includes(contact)) wished.value = [...wished.value, contact];
}

function forget(contact: string): void {
  wished.value = wished.value.filter((other) => other !== contact);
}

/** Whether Accept takes an offer here: at the desk, or by the phone that this browser has. */
export const canAccept = (offer: OfferView): boolean =>
  offer.answer === "desk" || state.value === "registered" || state.value === "tab";

export function take(offer: OfferView): void {
  if (offer.answer === "desk") accept(offer);
  else {
    wish(offer.contact);
    if (state.value === "tab") tabs?.postMessage({ answer: offer.contact });
  }
}

/** A campaign's person who has answered waits for nobody's click, and has been told to this agent by keeping him free. */
const waitsForUs = (contact: string): boolean =>
  offers.value.some((offer) => offer.contact === contact && offer.campaign !== null && offer.answer === "phone");

const isAskedFor = (contact: string): boolean =>
  wished.value.includes(contact) ||
  waitsForUs(contact) ||
  contacts.value.some(({ id, role }) => id === contact && (role === "owner" || role === "monitoring"));

effect(() => {
  const rings = call.value;
  if (rings?.state === "ringing" && !rings.failed && rings.contact && isAskedFor(rings.contact)) {
    queueMicrotask(() => void phone.value?.answer());
  }
});

// A wish lives as long as its offer, and then as long as its call.
let offered: string[] = [];
effect(() => {
  const open = offers.value.map((offer) => offer.contact);
  const gone = offered.filter((contact) => !open.includes(contact) && call.peek()?.contact !== contact);
  offered = open;
  queueMicrotask(() => gone.forEach(forget));
});

// An end that the phone is not told of: an exchange says it to the connection on which the call came, which may have broken
// since. The engine knows better; the phone's own news come first where there are any.
const UNTOLD_MS = 3_000;
const inHand = (contact: string): boolean =>
  contacts.value.some(({ id, status }) => id === contact && (status === "active" || status === "held"));

let talking: string | null = null;
effect(() => {
  const contact = call.value?.contact ?? null;
  if (contact === null || inHand(contact)) talking = contact;
  else if (talking === contact) setTimeout(() => endUntold(contact), UNTOLD_MS);
});

function endUntold(contact: string): void {
  if (call.peek()?.contact === contact && !inHand(contact)) phone.peek()?.hangUp();
}

// -- the page goes

addEventListener("beforeunload", (event) => {
  if (call.value && call.value.state !== "ringing") event.preventDefault();
});
addEventListener("pagehide", () => hangAway());
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload(); // its phone has been put down
});
