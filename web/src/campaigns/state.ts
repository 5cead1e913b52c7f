// What the page knows of the campaigns, asked for again and again while it is open (src/naru/campaigns/routes.py).

import { signal } from "@preact/signals";
import { del, get, Problem, post } from "../shared/api";
import { Backoff } from "../shared/backoff";
import { sendOut } from "../shared/login";

export type Mode = "preview" | "progressive" | "power" | "predictive" | "direct";
/** Modes in which a line rings before an agent has it. */
export const RINGING: Mode[] = ["progressive", "power", "predictive"];

export interface Campaign {
  id: string;
  name: string;
  channel: string;
  queue: string;
  mode: Mode;
  goal: number | null;
}

/** What equals its default is absent. */
const campaign = (raw: Partial<Campaign> & { id: string }): Campaign => ({
  id: raw.id,
  name: raw.name ?? raw.id,
  channel: raw.channel ?? "",
  queue: raw.queue ?? "",
  mode: raw.mode ?? "preview",
  goal: raw.goal ?? null,
});

/** A campaign at this moment; one that was never started has no more than the first four. */
export interface Now {
  campaign: string;
  mode: Mode;
  running: boolean;
  reason: string;
  rests?: boolean;
  rests_until?: number | null;
  lines?: { ringing: number; asked: number; may_ring: number; limited_by: string; wanted: number; spare: number | null };
  agents?: { kept: number; busy: number; soon_free: number };
  answers?: { live: number; abandoned: number; share: number | null; ceiling: number; window_days: number };
  measured?: { lines: number; answer_rate: number; answer_s: number; talk_s: number; wrap_up_s: number; margin: number };
}

export interface People {
  state: string;
  outcome: string | null;
  people: number;
}

export interface Status extends Now {
  people: People[];
  attempts: Record<string, number>;
}

export interface List {
  id: string;
  name: string;
  made_by: string;
  made_at: number;
  state: "running" | "done" | "refused";
  rows: number;
  taken: number;
  twice: number;
  bad: number;
  faults: string[];
}

export interface Attempt {
  id: string;
  value: string;
  agent: string | null;
  reserved_at: number;
  dialled_at: number | null;
  answered_at: number | null;
  ended_at: number | null;
  answered_by: string | null;
  outcome: string | null;
  disposition: string | null;
  rules: string;
  local_time: string;
}

export interface Sample {
  at: number;
  rate: number | null;
  share: number | null;
  ceiling: number | null;
  occupancy: number | null;
}

const EVERY_MS = 2_000;
/** So much of its time the server may spend on us at most: of long lists it is asked less often. */
const SHARE_OF_TIME = 4;
const CONFIG_EVERY = 15;
const MOST_SAMPLES = 5_400;
const NEWEST = 50;

export const campaigns = signal<Campaign[] | null>(null);
export const nows = signal<Record<string, Now>>({});
export const chosen = signal<string | null>(new URLSearchParams(location.search).get("campaign"));
export const status = signal<Status | null>(null);
export const lists = signal<List[]>([]);
export const attempts = signal<Attempt[]>([]);
export const samples = signal<Record<string, Sample[]>>({});
export const online = signal(true);
export const askedAt = signal(0);

export const pathOf = (id: string, what: string): string => `/v1/campaigns/${encodeURIComponent(id)}/${what}`;

export function choose(id: string): void {
  chosen.value = id;
  status.value = null;
  lists.value = [];
  attempts.value = [];
  const query = new URLSearchParams(location.search);
  query.set("campaign", id);
  history.replaceState(null, "", `${location.pathname}?${query}`);
  hurry();
}

const sample = (now: Now, at: number): Sample => {
  const { kept, busy } = now.agents ?? { kept: 0, busy: 0 };
  return {
    at,
    rate: now.measured?.lines ? now.measured.answer_rate : null,
    share: now.answers?.share ?? null,
    ceiling: now.answers?.ceiling ?? null,
    occupancy: kept + busy ? busy / (kept + busy) : null,
  };
};

function note(found: Now[]): void {
  const at = Date.now() / 1000;
  const kept = { ...samples.value };
  for (const now of found) {
    if (now.running || now.campaign === chosen.value) {
      kept[now.campaign] = [...(kept[now.campaign] ?? []).slice(1 - MOST_SAMPLES), sample(now, at)];
    }
  }
  samples.value = kept;
  nows.value = Object.fromEntries(found.map((now) => [now.campaign, now]));
  askedAt.value = at;
}

const takeLists = async (id: string): Promise<void> => {
  const { items } = await get<{ items: List[] }>(pathOf(id, "lists"));
  if (chosen.value === id) lists.value = items;
};

async function takeChosen(id: string): Promise<void> {
  const [now, rows] = await Promise.all([
    get<Status>(pathOf(id, "status")),
    get<{ items: Attempt[] }>(`${pathOf(id, "attempts")}?newest=true&limit=${NEWEST}`),
    takeLists(id),
  ]);
  if (chosen.value !== id) return;
  status.value = now;
  attempts.value = rows.items;
}

async function ask(round: number): Promise<void> {
  if (round % CONFIG_EVERY === 0) {
    campaigns.value = (await get<{ items: Campaign[] }>("/v1/campaigns")).items.map(campaign);
    const known = campaigns.value.some(({ id }) => id === chosen.value);
    if (!known) chosen.value = campaigns.value[0]?.id ?? null;
  }
  const id = chosen.value;
  const [{ items }] = await Promise.all([get<{ items: Now[] }>("/v1/campaign-status"), id === null ? null : takeChosen(id)]);
  note(items);
}

let run = 0;
let again = false;
let wake = (): void => {};
const backoff = new Backoff();

/** Ask at once, or once more when the answers are under way: something was done. */
export function hurry(): void {
  again = true;
  wake();
}

export function stop(): void {
  run++;
  wake();
}

export async function start(): Promise<void> {
  const mine = ++run;
  for (let round = 0; mine === run; round++) {
    const begun = performance.now();
    let rest = EVERY_MS;
    again = false;
    try {
      await ask(round);
      online.value = true;
      backoff.reset();
      rest = Math.max(EVERY_MS, SHARE_OF_TIME * (performance.now() - begun));
    } catch (error) {
      if (mine !== run) return;
      const refused = error instanceof Problem && (error.status === 401 || error.status === 403);
      if (refused) {
        sendOut(error.status);
        return;
      }
      online.value = false;
      rest = backoff.next();
      if (error instanceof Problem && error.status === 404) round = -1; // a campaign has gone: read the configuration anew
    }
    if (again) continue;
    await new Promise<void>((done) => {
      const timer = setTimeout(done, rest);
      wake = () => {
        clearTimeout(timer);
        done();
      };
    });
  }
}

export const setRunning = async (id: string, running: boolean): Promise<void> => {
  await post(pathOf(id, running ? "start" : "stop"));
  hurry();
};

/** The list's id; it is read on the server while we look. */
export async function importList(id: string, file: File, country: string, skipBad: boolean): Promise<string> {
  const body = new FormData();
  body.append("file", file, file.name);
  const query = new URLSearchParams({ skip_bad: String(skipBad), ...(country ? { country } : {}) });
  const { list } = await post<{ list: string }>(`${pathOf(id, "lists")}?${query}`, body);
  hurry();
  return list;
}

// -- those who want no calls

export interface Refused {
  value: string;
  scope: string;
  source: string;
  made_by: string;
  made_at: number;
}

export const refuse = (value: string, scope: string, country: string): Promise<unknown> =>
  post("/v1/do-not-call", { value, scope, ...(country ? { country } : {}) });
export const allow = ({ value, scope }: Refused): Promise<void> =>
  del(`/v1/do-not-call/${encodeURIComponent(value)}?${new URLSearchParams({ scope })}`);
export const refusedAfter = async (last: Refused | undefined, limit: number): Promise<Refused[]> => {
  const query = new URLSearchParams({ limit: String(limit), after: last?.value ?? "", after_scope: last?.scope ?? "" });
  return (await get<{ items: Refused[] }>(`/v1/do-not-call?${query}`)).items;
};
