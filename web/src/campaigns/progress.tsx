// How far a campaign has come: its people by where they are and what became of them, its attempts by how they ended.

import { count, percent, t, word } from "../shared/i18n";
import type { Campaign, People, Status } from "./state";

const STATES = ["done", "held", "ready", "staged"] as const;
type State = (typeof STATES)[number];
/** Ends by which somebody was spoken to. */
const REACHED = ["handled"];

const sum = (rows: People[]): number => rows.reduce((total, row) => total + row.people, 0);

function Bar({ parts, all }: { parts: [string, number, string][]; all: number }) {
  return (
    <div class="bar" role="img" aria-label={parts.map(([, n, words]) => `${words}: ${count(n)}`).join(", ")}>
      {parts.map(([kind, n]) => n > 0 && <span key={kind} class={`part-${kind}`} style={{ width: `${(n / Math.max(1, all)) * 100}%` }} />)}
    </div>
  );
}

function Rows({ rows, test }: { rows: [string, string, number][]; test: string }) {
  const most = Math.max(1, ...rows.map(([, , n]) => n));
  return (
    <ul class="counts" data-test={test}>
      {rows.map(([key, words, n]) => (
        <li key={key} data-test={`${test}-${key}`}>
          <span>{words}</span>
          <span class="count-bar" aria-hidden="true">
            <i style={{ width: `${(n / most) * 100}%` }} />
          </span>
          <strong class="time">{count(n)}</strong>
        </li>
      ))}
    </ul>
  );
}

export function Progress({ campaign, now }: { campaign: Campaign; now: Status }) {
  const inState = (state: State): People[] => now.people.filter((row) => row.state === state);
  const taken = now.people.filter((row) => row.state !== "staged");
  const all = sum(taken);
  const done = inState("done");
  const reached = sum(done.filter((row) => REACHED.includes(row.outcome ?? "")));
  const parts: [string, number, string][] = [
    ["reached", reached, t("camp.reached")],
    ["done", sum(done) - reached, t("camp.state.done")],
    ["held", sum(inState("held")), t("camp.state.held")],
    ["ready", sum(inState("ready")), t("camp.state.ready")],
  ];
  const people = STATES.flatMap((state) =>
    inState(state)
      .sort((a, b) => b.people - a.people)
      .map((row): [string, string, number] => {
        const outcome = row.outcome === null ? t(`camp.untried.${state === "ready" ? "ready" : "other"}`) : word("code", row.outcome);
        return [`${state}-${row.outcome ?? "none"}`, `${t(`camp.state.${state}`)}${outcome && ` · ${outcome}`}`, row.people];
      }),
  );
  const attempts = Object.entries(now.attempts)
    .sort(([, a], [, b]) => b - a)
    .map(([outcome, n]): [string, string, number] => [outcome, outcome === "open" ? t("camp.open") : word("code", outcome), n]);
  return (
    <section class="panel" aria-labelledby="progress">
      <h3 id="progress">
        {t("camp.progress")}{" "}
        <strong data-test="progress" data-done={sum(done)} data-all={all}>
          {all ? percent(sum(done) / all, 1) : "–"}
        </strong>{" "}
        <span class="soft">{t("camp.of-people", { done: count(sum(done)), all: count(all) })}</span>
        {campaign.goal !== null ? <span class="soft"> {t("camp.goal", { reached: count(reached), goal: count(campaign.goal) })}</span> : null}
      </h3>
      <Bar parts={parts} all={all} />
      <p class="keys">
        {parts.map(([kind, n, words]) => (
          <span key={kind} class={`swatch part-${kind}`}>
            {words} <strong>{count(n)}</strong>
          </span>
        ))}
      </p>
      <div class="pair">
        <div>
          <h4>{t("camp.people")}</h4>
          {people.length === 0 ? <p class="soft">{t("camp.no-people")}</p> : <Rows rows={people} test="people" />}
        </div>
        <div>
          <h4>{t("camp.attempts")}</h4>
          {attempts.length === 0 ? <p class="soft">{t("camp.no-attempts")}</p> : <Rows rows={attempts} test="attempts" />}
        </div>
      </div>
    </section>
  );
}
