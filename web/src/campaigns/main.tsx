import { effect } from "@preact/signals";
import { render } from "preact";
import { useState } from "preact/hooks";
import { failText } from "../shared/failed";
import { clock, moment, t, word } from "../shared/i18n";
import { Icon, Logo } from "../shared/icons";
import { Gate, knock, leave, me } from "../shared/login";
import { LanguageSelect } from "../shared/parts";
import { Charts } from "./charts";
import { Ledger } from "./ledger";
import { Lists } from "./lists";
import { Pacing } from "./pacing";
import { Progress } from "./progress";
import { RefusedPeople } from "./refused";
import { askedAt, type Campaign, campaigns, choose, chosen, type Now, nows, online, RINGING, samples, setRunning, start, status, stop } from "./state";

effect(() => {
  if (me.value) void start();
  else stop();
});
effect(() => {
  document.title = `${t("app.campaigns")} · Naru`;
});

/** Running, resting and why, or stopped. */
export function stateText(now: Now | undefined): string {
  if (now === undefined || now.reason === "never-started") return t("camp.never-started");
  if (!now.running) return t("camp.stopped");
  if (!now.rests) return t("camp.running");
  const why = word("code", now.reason);
  return now.rests_until ? t("camp.rests-until", { why, time: moment(now.rests_until) }) : t("camp.rests", { why });
}

const look = (now: Now | undefined): string => (now?.running ? (now.rests ? "rests" : "runs") : "stopped");

/** Start or stop, and what came of it when it is refused. */
function Switch({ campaign, now }: { campaign: Campaign; now: Now | undefined }) {
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  const running = now?.running ?? false;
  const go = async (): Promise<void> => {
    setBusy(true);
    setWrong("");
    try {
      await setRunning(campaign.id, !running);
    } catch (error) {
      setWrong(failText(error));
    }
    setBusy(false);
  };
  const what = t(running ? "camp.stop" : "camp.start");
  return (
    <>
      <button
        type="button"
        class={running ? "" : "primary"}
        disabled={busy}
        aria-label={`${what}: ${campaign.name}`}
        data-test={running ? "campaign-stop" : "campaign-start"}
        onClick={() => void go()}
      >
        <Icon name={running ? "pause" : "play"} size={18} /> {what}
      </button>
      {wrong && (
        <p class="error" role="alert" data-test="switch-error">
          {wrong}
        </p>
      )}
    </>
  );
}

function Row({ campaign }: { campaign: Campaign }) {
  const now = nows.value[campaign.id];
  return (
    <li
      class={`campaign is-${look(now)}`}
      data-test={`campaign-${campaign.id}`}
      data-state={look(now)}
      aria-current={campaign.id === chosen.value}
    >
      <button type="button" class="campaign-name" data-test="campaign-choose" onClick={() => choose(campaign.id)}>
        <strong>{campaign.name}</strong>
        <span class="soft">{word("camp.mode", campaign.mode)}</span>
        <span class="campaign-state">{stateText(now)}</span>
      </button>
      <Switch campaign={campaign} now={now} />
    </li>
  );
}

function Chosen({ campaign }: { campaign: Campaign }) {
  const now = status.value;
  const rings = RINGING.includes(campaign.mode);
  return (
    <div class="chosen" data-test="campaign" data-campaign={campaign.id}>
      <header class="chosen-head">
        <h2>{campaign.name}</h2>
        <span class="soft">
          {word("camp.mode", campaign.mode)} · {campaign.channel} · {campaign.queue}
        </span>
        <span class={`badge is-${look(nows.value[campaign.id])}`} role="status" data-test="campaign-state">
          {stateText(nows.value[campaign.id])}
        </span>
      </header>
      {now === null ? (
        <p class="soft">{t("loading")}</p>
      ) : (
        <>
          <div class="pair">
            <Progress campaign={campaign} now={now} />
            <Pacing campaign={campaign} now={now} />
          </div>
          <Charts key={campaign.id} samples={samples.value[campaign.id] ?? []} rings={rings} />
          <Lists campaign={campaign} />
          <Ledger campaign={campaign} />
        </>
      )}
    </div>
  );
}

function Page() {
  const all = campaigns.value;
  const campaign = all?.find(({ id }) => id === chosen.value);
  const state = online.value ? "online" : "offline";
  return (
    <div class="board" data-test="campaigns">
      <header>
        <Logo />
        <h1>{t("app.campaigns")}</h1>
        <span class="soft">{me.value?.workspace}</span>
        {askedAt.value > 0 && (
          <span class="clock time">{online.value ? clock(askedAt.value) : t("board.stale", { time: clock(askedAt.value) })}</span>
        )}
        <span class={`connection ${state}`} role="status" data-test="connection" data-state={state}>
          <Icon name={state} /> {t(`connection.${state}`)}
        </span>
        <span class="tools">
          <a href="/wallboard" data-test="to-wallboard">
            {t("app.wallboard")}
          </a>
          <LanguageSelect />
          <button type="button" class="icon-button" aria-label={t("logout")} title={t("logout")} data-test="logout" onClick={() => void leave()}>
            <Icon name="logout" />
          </button>
        </span>
      </header>
      {all === null ? (
        <p class="soft">{t("loading")}</p>
      ) : (
        <main class="campaigns">
          <nav class="panel" aria-label={t("app.campaigns")}>
            {all.length === 0 ? (
              <p class="soft">{t("camp.none")}</p>
            ) : (
              <ul>
                {all.map((each) => (
                  <Row key={each.id} campaign={each} />
                ))}
              </ul>
            )}
          </nav>
          {campaign && <Chosen key={campaign.id} campaign={campaign} />}
          <RefusedPeople />
        </main>
      )}
    </div>
  );
}

const place = document.getElementById("app");
if (place) {
  render(
    <Gate>
      <Page />
    </Gate>,
    place,
  );
}
void knock();
