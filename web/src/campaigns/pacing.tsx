// How many lines may ring now and what holds them back, in words; what was measured, by which it is reckoned.

import type { ComponentChildren } from "preact";
import { count, percent, t, word } from "../shared/i18n";
import { Icon } from "../shared/icons";
import { type Campaign, RINGING, type Status } from "./state";

function Figure({ label, test, big, children }: { label: string; test?: string; big?: boolean; children: ComponentChildren }) {
  return (
    <div class={big ? "number big" : "number"}>
      <dt>{label}</dt>
      <dd data-test={test}>{children}</dd>
    </div>
  );
}

const seconds = (n: number): string => t("camp.seconds", { n: count(n) });

export function Pacing({ campaign, now }: { campaign: Campaign; now: Status }) {
  const { lines, agents, answers, measured } = now;
  if (!lines || !agents || !answers || !measured) {
    return (
      <section class="panel">
        <h3>{t("camp.pacing")}</h3>
        <p class="soft">{t("camp.pacing.none")}</p>
      </section>
    );
  }
  const rings = RINGING.includes(campaign.mode);
  const over = answers.share !== null && answers.share > answers.ceiling;
  const working = now.running && !now.rests;
  return (
    <section class="panel" data-test="pacing">
      <h3>{t("camp.pacing")}</h3>
      {rings && (
        <dl class="figures">
          <Figure big label={t("camp.ringing")} test="lines-ringing">
            {count(lines.ringing)}
          </Figure>
          <Figure big label={t("camp.may-ring")} test="lines-may-ring">
            {count(lines.may_ring)}
          </Figure>
          <Figure big label={t("camp.abandoned")} test="share">
            <span class={over ? "bad" : ""}>{answers.share === null ? "–" : percent(answers.share, 1)}</span>
          </Figure>
        </dl>
      )}
      {rings && working && (
        <p class="because" data-test="limited" data-by={lines.limited_by}>
          <Icon name="help" size={18} />
          <span>
            {t("camp.limited", { by: word("camp.limited", lines.limited_by) })}{" "}
            <span class="soft">
              {t("camp.reckoned", { mode: word("camp.mode", campaign.mode), wanted: count(lines.wanted) })}{" "}
              {lines.spare !== null && t("camp.spare", { n: count(lines.spare) })}
            </span>
          </span>
        </p>
      )}
      <dl class="figures">
        <Figure label={t("camp.kept")} test="agents-kept">
          {count(agents.kept)}
        </Figure>
        <Figure label={t("camp.busy")} test="agents-busy">
          {count(agents.busy)}
        </Figure>
        {campaign.mode === "predictive" && (
          <Figure label={t("camp.soon-free")} test="agents-soon-free">
            {count(agents.soon_free)}
          </Figure>
        )}
        <Figure label={t("camp.live")} test="answers-live">
          {count(answers.live)}
        </Figure>
        {rings && (
          <Figure label={t("camp.abandoned-count")} test="answers-abandoned">
            {count(answers.abandoned)}
          </Figure>
        )}
        {rings && measured.lines > 0 && (
          <>
            <Figure label={t("camp.answer-rate")}>{percent(measured.answer_rate)}</Figure>
            <Figure label={t("camp.answer-s")}>{seconds(measured.answer_s)}</Figure>
          </>
        )}
        {measured.lines > 0 && <Figure label={t("camp.talk-s")}>{seconds(measured.talk_s)}</Figure>}
        {measured.lines > 0 && <Figure label={t("camp.wrap-s")}>{seconds(measured.wrap_up_s)}</Figure>}
      </dl>
      {rings && (
        <p class="soft">
          {answers.ceiling < 1
            ? t("camp.ceiling-words", { p: percent(answers.ceiling, 1), days: answers.window_days })
            : t("camp.no-ceiling")}
        </p>
      )}
    </section>
  );
}
