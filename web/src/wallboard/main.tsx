import { effect, signal } from "@preact/signals";
import { render } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { clock, percent, span, t, word } from "../shared/i18n";
import { Icon, Logo, PRESENCE_ICON, ROLE_ICON } from "../shared/icons";
import { Live } from "../shared/live";
import { Gate, knock, leave, me, sendOut } from "../shared/login";
import { LanguageSelect } from "../shared/parts";
import { Acts, acting, customerName, Did } from "./acts";
import { Charts } from "./charts";
import type { AgentNow, Now, QueueNow, WaitingNow, WorkNow } from "./now";

const tv = new URLSearchParams(location.search).get("tv") === "1";
const board = signal<Now | null>(null);

const live = new Live("/v1/live/ws", {
  frame: (frame) => {
    if (frame.type === "live") {
      const got = frame as unknown as Partial<Now>;
      board.value = { server_now: got.server_now ?? 0, queues: got.queues ?? [], agents: got.agents ?? [], waiting: got.waiting ?? [] };
    }
  },
  refused: sendOut,
});

effect(() => {
  if (me.value) live.start();
  else live.stop();
});
effect(() => {
  document.title = `${t("app.wallboard")} · Naru`;
});

const queueName = (id: string): string => board.value?.queues.find((queue) => queue.id === id)?.name ?? id;

const isBelow = (queue: QueueNow): boolean =>
  typeof queue.service_level === "number" && queue.service_level < (queue.service_level_target ?? 0.8);

function Number_({ label, value, big, test }: { label: string; value: string | number; big?: boolean; test?: string }) {
  return (
    <div class={big ? "number big" : "number"}>
      <dt>{label}</dt>
      <dd data-test={test}>{value}</dd>
    </div>
  );
}

function Tile({ queue }: { queue: QueueNow }) {
  const level = queue.service_level ?? null;
  const target = queue.service_level_target ?? 0.8;
  const below = isBelow(queue);
  const verdict = level === null ? "board.no-level" : below ? "board.missed" : "board.met";
  return (
    <article class={`tile ${below ? "below" : ""}`} aria-label={queue.name ?? queue.id} data-test="queue-tile" data-queue={queue.id}>
      <h2>{queue.name ?? queue.id}</h2>
      <dl class="tile-main">
        <Number_ big label={t("board.waiting")} value={queue.waiting ?? 0} test="queue-waiting" />
        <Number_ big label={t("board.longest")} value={queue.longest_wait_s ? span(queue.longest_wait_s) : "–"} />
      </dl>
      <div class="level">
        <div class="level-words">
          <span>
            {t("board.level")} <strong data-test="queue-level">{level === null ? "–" : percent(level)}</strong>
          </span>
          <span class={`verdict ${level === null ? "none" : below ? "bad" : ""}`}>
            {level !== null && <Icon name={below ? "warn" : "check"} size={18} />} {t(verdict)} ({t("board.target", { p: percent(target) })})
          </span>
        </div>
        <div class="level-bar" aria-hidden="true">
          <span style={{ width: `${(level ?? 0) * 100}%` }} />
          <i style={{ left: `${target * 100}%` }} />
        </div>
      </div>
      <dl class="tile-rest">
        <Number_ label={t("board.active")} value={queue.active ?? 0} />
        <Number_ label={t("board.arrived")} value={queue.arrived_today ?? 0} />
        <Number_ label={t("board.answered")} value={queue.answered_today ?? 0} />
        <Number_ label={t("board.abandoned")} value={queue.abandoned_today ?? 0} />
        <Number_ label={t("board.asa")} value={queue.asa_s == null ? "–" : span(queue.asa_s)} />
      </dl>
    </article>
  );
}

const PRESENCES = ["available", "away", "draining", "unresponsive", "offline"];

/** One contact in somebody's hands, or one in which somebody takes part: an icon, and for supervisors what can be done. */
function Work({ contact, at }: { contact: WorkNow; at: number }) {
  const status = contact.role ? word("role", contact.role) : word("contact", contact.status);
  const words = t("board.work", { kind: word("kind", contact.kind), customer: contact.customer ?? "", status });
  const about = {
    class: `work state-${contact.role ?? contact.status}`,
    title: `${words} · ${queueName(contact.queue)} · ${span(at - contact.since)}`,
    "data-test": `work-${contact.id}`,
    "data-role": contact.role ?? undefined,
  };
  const icons = (
    <>
      <Icon name={contact.kind} size={18} />
      {contact.role && <Icon name={ROLE_ICON[contact.role]} size={14} />}
      {!contact.role && (contact.participants ?? []).length > 0 && <Icon name="people" size={14} />}
      <span class="sr">{words}</span>
    </>
  );
  if (tv || contact.role) return <span {...about}>{icons}</span>;
  return (
    <button type="button" {...about} onClick={() => (acting.value = { what: "work", contact })}>
      {icons}
    </button>
  );
}

function People({ agents, at }: { agents: AgentNow[]; at: number }) {
  const shown = tv ? agents.filter((agent) => agent.presence !== "offline") : agents;
  return (
    <section class="people" aria-labelledby="people">
      <h2 id="people">{t("board.agents")}</h2>
      <p class="summary">
        {PRESENCES.map((presence) => {
          const count = agents.filter((agent) => (agent.presence ?? "offline") === presence).length;
          return count ? (
            <span key={presence} class={`is-${presence}`} data-test={`count-${presence}`}>
              <Icon name={PRESENCE_ICON[presence] ?? "user"} /> {word("status", presence)} <strong>{count}</strong>
            </span>
          ) : null;
        })}
      </p>
      {shown.length === 0 && <p class="soft">{t("board.no-agents")}</p>}
      <ul tabIndex={0}>
        {[...shown]
          .sort(
            (a, b) =>
              PRESENCES.indexOf(a.presence ?? "offline") - PRESENCES.indexOf(b.presence ?? "offline") ||
              (a.name ?? a.id).localeCompare(b.name ?? b.id),
          )
          .map((agent) => {
            const presence = agent.presence ?? "offline";
            return (
              <li key={agent.id} class={`person is-${presence}`} data-test={`agent-${agent.id}`} data-presence={presence}>
                <Icon name={PRESENCE_ICON[presence] ?? "user"} />
                <span class="person-name">
                  <strong>{agent.name ?? agent.id}</strong>
                  <span class="soft">
                    {word("status", presence)}
                    {agent.reason && ` (${word("reason", agent.reason)})`}
                    {agent.since ? ` ${span(at - agent.since)}` : ""}
                    {presence !== "offline" && agent.connected === false && ` · ${t("board.disconnected")}`}
                  </span>
                </span>
                <span class="person-work">
                  {[...(agent.contacts ?? []), ...(agent.attends ?? [])].map((contact) => (
                    <Work key={contact.id} contact={contact} at={at} />
                  ))}
                </span>
                <span class="person-units">
                  {agent.used_units ?? 0}/{agent.units ?? 100}
                </span>
                {!tv && (
                  <button
                    type="button"
                    class="icon-button"
                    aria-label={`${t("board.state")}: ${agent.name ?? agent.id}`}
                    title={t("board.state")}
                    data-test="change-state"
                    onClick={() => (acting.value = { what: "state", agent })}
                  >
                    <Icon name="edit" size={18} />
                  </button>
                )}
              </li>
            );
          })}
      </ul>
    </section>
  );
}

function Waiting({ waiting, at }: { waiting: WaitingNow[]; at: number }) {
  return (
    <section class="waiting" aria-labelledby="waiting">
      <h2 id="waiting">{t("board.waiting")}</h2>
      {waiting.length === 0 ? (
        <p class="soft calm">
          <Icon name="check" /> {t("board.nobody")}
        </p>
      ) : (
        <div class="scroll" tabIndex={0} role="group" aria-labelledby="waiting">
          <table data-test="waiting">
            <thead>
              <tr>
                <th scope="col">{t("board.position")}</th>
                <th scope="col">{t("board.customer")}</th>
                <th scope="col">{t("board.queue")}</th>
                <th scope="col">{t("board.since")}</th>
                {!tv && <th scope="col">{t("board.actions")}</th>}
              </tr>
            </thead>
            <tbody>
              {waiting.map((contact) => (
                <tr key={contact.id} data-test="waiting-row" data-contact={contact.id}>
                  <td>{contact.position ?? ""}</td>
                  <td>
                    <span class="with-icon">
                      <Icon name={contact.kind} size={18} />
                      <span class="sr">{word("kind", contact.kind)}</span>
                      {customerName(contact.customer)}
                      {contact.language && <span class="soft">{contact.language}</span>}
                      {contact.callback && <span class="soft">{t("board.callback")}</span>}
                    </span>
                  </td>
                  <td>{queueName(contact.queue)}</td>
                  <td class="time">{span(at - contact.since)}</td>
                  {!tv && (
                    <td>
                      <span class="row-actions">
                        {(["move", "priority", "take-over"] as const).map((what) => (
                          <button
                            key={what}
                            type="button"
                            data-test={what}
                            aria-label={`${t(`board.${what}`)}: ${customerName(contact.customer)}`}
                            onClick={() => (acting.value = { what, contact })}
                          >
                            {t(`board.${what}`)}
                          </button>
                        ))}
                      </span>
                    </td>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}

/** Says only what has become worse, once. */
function Breaches({ queues }: { queues: QueueNow[] }) {
  const before = useRef(new Set<string>());
  const place = useRef<HTMLParagraphElement>(null);
  const now = queues.filter(isBelow).map((queue) => queue.id);
  useEffect(() => {
    const fresh = now.filter((id) => !before.current.has(id));
    before.current = new Set(now);
    if (fresh.length && place.current) {
      place.current.textContent = fresh.map((id) => t("board.breach", { queue: queueName(id) })).join(". ");
    }
  }, [now.join()]);
  return <p class="sr" role="status" ref={place} />;
}

function Board() {
  const now = board.value;
  const state = live.state.value;
  return (
    <div class={tv ? "board tv" : "board"} data-test="wallboard">
      <header>
        <Logo />
        <h1>{t("app.wallboard")}</h1>
        <span class="soft">{me.value?.workspace}</span>
        {now && (
          <span class="clock time">{state === "online" ? clock(now.server_now) : t("board.stale", { time: clock(now.server_now) })}</span>
        )}
        <span
          class={`connection ${state}`}
          role="status"
          data-test="connection"
          data-state={state === "online" ? "online" : "offline"}
        >
          <Icon name={state === "online" ? "online" : "offline"} /> {t(`connection.${state}`)}
        </span>
        {!tv && (
          <span class="tools">
            <a href="/campaigns" data-test="to-campaigns">
              {t("app.campaigns")}
            </a>
            <a href="?tv=1" data-test="tv">
              {t("board.tv")}
            </a>
            <LanguageSelect />
            <button type="button" class="icon-button" aria-label={t("logout")} title={t("logout")} data-test="logout" onClick={() => void leave()}>
              <Icon name="logout" />
            </button>
          </span>
        )}
      </header>
      {now === null ? (
        <p class="soft">{t("loading")}</p>
      ) : (
        <main>
          <Breaches queues={now.queues} />
          <section class="tiles" aria-label={t("board.queues")}>
            {now.queues.map((queue) => (
              <Tile key={queue.id} queue={queue} />
            ))}
          </section>
          <div class="middle">
            <People agents={now.agents} at={now.server_now} />
            <Waiting waiting={now.waiting} at={now.server_now} />
          </div>
          <Charts tv={tv} now={() => live.now()} />
        </main>
      )}
      <Acts queues={now?.queues ?? []} agents={now?.agents ?? []} />
      <Did />
    </div>
  );
}

const place = document.getElementById("app");
if (place) {
  render(
    <Gate>
      <Board />
    </Gate>,
    place,
  );
}
void knock();
