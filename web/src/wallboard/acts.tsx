// What a supervisor does from the board: move, hurry, listen, whisper, barge in, take over, change somebody's state. Over REST.

import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useState } from "preact/hooks";
import { post } from "../shared/api";
import { failText } from "../shared/failed";
import { t, word } from "../shared/i18n";
import { Icon, MANNER_ICON, PRESENCE_ICON } from "../shared/icons";
import { me } from "../shared/login";
import { Dialog } from "../shared/parts";
import { mannersIn, ofAgent } from "../shared/views";
import type { AgentNow, QueueNow, WaitingNow, WorkNow } from "./now";

type Acting =
  | { what: "move" | "priority" | "take-over"; contact: WaitingNow | WorkNow }
  | { what: "work"; contact: WorkNow }
  | { what: "state"; agent: AgentNow };

export const acting = signal<Acting | null>(null);
/** What was done last; `atDesk`: the contact is now on the supervisor's own desk. */
const did = signal<{ text: string; atDesk: boolean } | null>(null);

const close = (): void => {
  acting.value = null;
};

export const customerName = (customer: WaitingNow["customer"]): string =>
  typeof customer === "string" ? customer : (customer?.name ?? customer?.address ?? "");

const contactPath = (contact: { id: string }, what: string): string =>
  `/v1/contacts/${encodeURIComponent(contact.id)}/${what}`;

/** Asks, says so when it is done, and stays open with the reason when it is refused. */
function useAct(): { busy: boolean; wrong: string; act: (what: string, path: string, body: unknown, atDesk?: boolean) => Promise<void> } {
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  const act = async (what: string, path: string, body: unknown, atDesk = false): Promise<void> => {
    setBusy(true);
    setWrong("");
    try {
      await post(path, body);
      did.value = { text: t("board.done", { what }), atDesk };
      close();
    } catch (error) {
      setWrong(failText(error));
      setBusy(false);
    }
  };
  return { busy, wrong, act };
}

const Wrong = ({ text }: { text: string }) =>
  text ? (
    <p class="error" role="alert" data-test="act-error">
      {text}
    </p>
  ) : null;

function Form(props: { title: string; test: string; submit: string; busy: boolean; wrong: string; go: (form: FormData) => void; children?: ComponentChildren }) {
  return (
    <Dialog title={props.title} test={props.test} onClose={close}>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          props.go(new FormData(event.currentTarget));
        }}
      >
        {props.children}
        <Wrong text={props.wrong} />
        <div class="buttons">
          <button type="button" onClick={close}>
            {t("cancel")}
          </button>
          <button class="primary" disabled={props.busy} data-test="act-submit">
            {props.submit}
          </button>
        </div>
      </form>
    </Dialog>
  );
}

const titled = (what: string, contact: WaitingNow | WorkNow): string => `${what}: ${customerName(contact.customer)}`;

function Move({ contact, queues }: { contact: WaitingNow | WorkNow; queues: QueueNow[] }) {
  const { busy, wrong, act } = useAct();
  const what = t("board.move");
  return (
    <Form
      title={titled(what, contact)}
      test="move-dialog"
      submit={what}
      busy={busy}
      wrong={wrong}
      go={(form) => void act(what, contactPath(contact, "move"), { queue: form.get("queue") })}
    >
      <label>
        {t("board.move.to")}
        <select name="queue" data-test="move-queue">
          {queues
            .filter((queue) => queue.id !== contact.queue)
            .map((queue) => (
              <option key={queue.id} value={queue.id}>
                {queue.name ?? queue.id} ({t("transfer.waiting", { n: queue.waiting ?? 0 })})
              </option>
            ))}
        </select>
      </label>
    </Form>
  );
}

function Priority({ contact }: { contact: WaitingNow | WorkNow }) {
  const { busy, wrong, act } = useAct();
  const what = t("board.priority");
  const tier = "tier" in contact ? Math.max(1, contact.tier ?? 5) : 5;
  const head = "head_start_s" in contact ? (contact.head_start_s ?? 0) / 60 : 0;
  return (
    <Form
      title={titled(what, contact)}
      test="priority-dialog"
      submit={what}
      busy={busy}
      wrong={wrong}
      go={(form) =>
        void act(what, contactPath(contact, "reprioritise"), {
          tier: Number(form.get("tier")),
          head_start_s: Number(form.get("head")) * 60,
        })
      }
    >
      <p class="soft">{t("board.priority.lead")}</p>
      <label>
        {t("board.priority.tier")}
        <select name="tier" defaultValue={String(tier)} data-test="priority-tier">
          {[1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => (
            <option key={n} value={n} selected={n === tier}>
              {n}
            </option>
          ))}
        </select>
      </label>
      <label>
        {t("board.priority.head")}
        <input name="head" type="number" min={0} max={10_000} step="any" required defaultValue={String(head)} data-test="priority-head" />
      </label>
    </Form>
  );
}

function TakeOver({ contact }: { contact: WaitingNow | WorkNow }) {
  const { busy, wrong, act } = useAct();
  const what = t("board.take-over");
  return (
    <Form
      title={titled(what, contact)}
      test="take-over-dialog"
      submit={what}
      busy={busy}
      wrong={wrong}
      go={() => void act(what, contactPath(contact, "take-over"), undefined, true)}
    >
      <p>{t("board.take-over.sure")}</p>
    </Form>
  );
}

/** A contact in somebody's hands, or offered to somebody: what can be done with it now. */
function Work({ contact }: { contact: WorkNow }) {
  const { busy, wrong, act } = useAct();
  const offered = contact.status === "offered";
  const mine = ofAgent(contact.participants, me.value?.agent);
  const next = (what: "move" | "priority" | "take-over") => (
    <button type="button" data-test={what} onClick={() => (acting.value = { what, contact })}>
      {t(`board.${what}`)}
    </button>
  );
  const status = word("contact", contact.status);
  return (
    <Dialog
      title={t("board.work", { kind: word("kind", contact.kind), customer: contact.customer ?? "", status })}
      test="work-dialog"
      onClose={close}
    >
      <Wrong text={wrong} />
      <div class="buttons">
        {offered ? (
          <>
            {next("move")}
            {next("priority")}
          </>
        ) : (
          (contact.status === "active" || contact.status === "held") && (
            <>
              {mannersIn(contact.kind).map((manner) => {
                const what = t(`manner.${manner}`);
                return (
                  <button
                    key={manner}
                    type="button"
                    data-test={manner === "listen" ? "monitor" : manner}
                    aria-pressed={mine ? mine.manner === manner : undefined}
                    disabled={busy || mine?.manner === manner}
                    onClick={() => void act(what, contactPath(contact, "monitor"), { manner }, true)}
                  >
                    <Icon name={MANNER_ICON[manner]} size={18} /> {what}
                  </button>
                );
              })}
              {mine && (
                <button
                  type="button"
                  data-test="stop"
                  disabled={busy}
                  onClick={() => void act(t("board.stop"), contactPath(contact, "leave"), undefined)}
                >
                  <Icon name="logout" size={18} /> {t("board.stop")}
                </button>
              )}
            </>
          )
        )}
        {contact.status !== "wrapping" && next("take-over")}
      </div>
    </Dialog>
  );
}

const GIVEN = ["available", "away", "draining", "offline"];
const REASONS = ["break", "lunch", "meeting", "training", "other"];

function State({ agent }: { agent: AgentNow }) {
  const { busy, wrong, act } = useAct();
  const [presence, setPresence] = useState(GIVEN.includes(agent.presence ?? "") ? (agent.presence ?? "away") : "available");
  const what = t("board.state");
  return (
    <Form
      title={`${what}: ${agent.name ?? agent.id}`}
      test="state-dialog"
      submit={what}
      busy={busy}
      wrong={wrong}
      go={(form) => {
        const reason = presence === "away" ? form.get("reason") : "";
        void act(what, `/v1/agents/${encodeURIComponent(agent.id)}/status`, { presence, ...(reason ? { reason } : {}) });
      }}
    >
      <fieldset>
        <legend>{t("status")}</legend>
        {GIVEN.map((name) => (
          <label key={name} class="inline target">
            <input
              type="radio"
              name="presence"
              data-test={`state-${name}`}
              checked={presence === name}
              onChange={() => setPresence(name)}
            />
            <Icon name={PRESENCE_ICON[name] ?? "user"} size={16} /> {word("status", name)}
          </label>
        ))}
      </fieldset>
      {presence === "away" && (
        <label>
          {t("board.state.reason")}
          <select name="reason" data-test="state-reason">
            <option value="">{t("board.state.none")}</option>
            {REASONS.map((name) => (
              <option key={name} value={name}>
                {word("reason", name)}
              </option>
            ))}
          </select>
        </label>
      )}
    </Form>
  );
}

/** The contact as it stands now, while its dialog is open. */
const newest = (contact: WorkNow, agents: AgentNow[]): WorkNow =>
  agents.flatMap((agent) => agent.contacts ?? []).find((each) => each.id === contact.id) ?? contact;

export function Acts({ queues, agents }: { queues: QueueNow[]; agents: AgentNow[] }) {
  const open = acting.value;
  switch (open?.what) {
    case "move":
      return <Move contact={open.contact} queues={queues} />;
    case "priority":
      return <Priority contact={open.contact} />;
    case "take-over":
      return <TakeOver contact={open.contact} />;
    case "work":
      return <Work contact={newest(open.contact, agents)} />;
    case "state":
      return <State agent={open.agent} />;
    default:
      return null;
  }
}

/** What was done last, said once, with the way to the desk when the contact is there now. */
export function Did() {
  const last = did.value;
  useEffect(() => {
    if (last === null) return;
    const timer = setTimeout(() => {
      if (did.peek() === last) did.value = null;
    }, 10_000);
    return () => clearTimeout(timer);
  }, [last]);
  return (
    <div class="did-place" role="status" aria-live="polite">
      {last && (
        <p class="did" data-test="did">
          {last.text}{" "}
          {last.atDesk && (
            <>
              {t("board.at-desk")}{" "}
              <a href="/desk" target="naru-desk" data-test="to-desk">
                {t("board.desk")}
              </a>
            </>
          )}
        </p>
      )}
    </div>
  );
}
