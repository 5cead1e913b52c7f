import { signal } from "@preact/signals";
import { useEffect, useState } from "preact/hooks";
import { get, post } from "../shared/api";
import { failText } from "../shared/failed";
import { locale, span, t, word } from "../shared/i18n";
import { Icon, PRESENCE_ICON } from "../shared/icons";
import { Dialog } from "../shared/parts";
import type { ContactView, Kind, MessageView } from "../shared/views";
import { MessageList } from "./messages";
import { wish } from "./softphone";
import { act, agent, awaitContact, commands, fetchMessages, kindKey, nameOf, now, tell } from "./store";

type Open =
  | { what: "transfer" | "consult" | "why" | "complete"; contact: ContactView }
  | { what: "new" | "keys" }
  | { what: "past"; conversation: string; chat: boolean };

export const dialog = signal<Open | null>(null);
const close = (): void => {
  dialog.value = null;
};

export function Dialogs() {
  const open = dialog.value;
  switch (open?.what) {
    case "transfer":
      return <Transfer contact={open.contact} />;
    case "consult":
      return <Consult contact={open.contact} />;
    case "why":
      return <Why contact={open.contact} />;
    case "complete":
      return (
        <Dialog title={t("do.complete")} test="complete-dialog" onClose={close}>
          <WrapForm contact={open.contact} done={close} />
        </Dialog>
      );
    case "new":
      return <NewContact />;
    case "keys":
      return <Keys />;
    case "past":
      return <Past conversation={open.conversation} chat={open.chat} />;
    default:
      return null;
  }
}

/** Asks when shown, and again every so often where it says how often; what was got stays when asking again fails. */
function useGot<T>(path: string, everyMs = 0): { got: T | null; failed: string } {
  const [state, set] = useState<{ got: T | null; failed: string }>({ got: null, failed: "" });
  useEffect(() => {
    let gone = false;
    const ask = (): void =>
      void get<T>(path).then(
        (got) => gone || set({ got, failed: "" }),
        (error: unknown) => gone || set(({ got }) => ({ got, failed: failText(error) })),
      );
    ask();
    const timer = everyMs ? setInterval(ask, everyMs) : 0;
    return () => {
      gone = true;
      clearInterval(timer);
    };
  }, [path, everyMs]);
  return state;
}

const Loading = ({ failed }: { failed: string }) =>
  failed ? (
    <p class="error" role="alert">
      {failed}
    </p>
  ) : (
    <p role="status">{t("loading")}</p>
  );

// -- transfer

interface AgentTarget {
  id: string;
  name?: string;
  presence?: string;
  reason?: string | null;
  connected?: boolean;
}

interface Targets {
  queues: { id: string; name?: string; waiting?: number }[];
  agents: AgentTarget[];
}

const LIVE_MS = 2_000;

/** People to choose one from, with their state as it is. */
function Agents(props: { agents: AgentTarget[]; chosen: string | undefined; onlyThere?: boolean; choose: (id: string) => void }) {
  const { agents, chosen, onlyThere = false, choose } = props;
  return (
    <fieldset>
      <legend>{t("transfer.agents")}</legend>
      {agents.map((other) => {
        const presence = other.presence ?? "offline";
        return (
          <label key={other.id} class="inline target">
            <input
              type="radio"
              name="to"
              data-test={`target-agent-${other.id}`}
              data-presence={presence}
              checked={chosen === other.id}
              disabled={onlyThere && !isThere(other)}
              onChange={() => choose(other.id)}
            />
            <span>{other.name ?? other.id}</span>
            <span class="soft small">
              <Icon name={PRESENCE_ICON[presence] ?? "user"} size={14} /> {word("status", presence)}
              {other.reason && ` (${word("reason", other.reason)})`}
              {presence !== "offline" && other.connected === false && ` · ${t("board.disconnected")}`}
            </span>
          </label>
        );
      })}
    </fieldset>
  );
}

const isThere = (other: AgentTarget): boolean => other.presence !== "offline" && other.connected !== false;
const FIRST = ["available", "away", "draining", "unresponsive", "offline"];

function Consult({ contact }: { contact: ContactView }) {
  const { got, failed } = useGot<Targets>("/v1/targets", LIVE_MS);
  const [find, setFind] = useState("");
  const [to, setTo] = useState("");
  const inIt = new Set([agent.value?.id, ...contact.participants.map((guest) => guest.agent)]);
  const rank = (other: AgentTarget): number => FIRST.indexOf(other.presence ?? "offline") + (isThere(other) ? 0 : 9);
  const agents = (got?.agents ?? [])
    .filter((other) => !inIt.has(other.id) && (other.name ?? other.id).toLowerCase().includes(find.trim().toLowerCase()))
    .sort((a, b) => rank(a) - rank(b));
  const chosen = agents.find((other) => other.id === to && isThere(other));
  return (
    <Dialog title={`${t("consult.title")}: ${nameOf(contact.customer)}`} test="consult-dialog" onClose={close}>
      {got === null ? (
        <Loading failed={failed} />
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (!chosen) return;
            act("consult", contact.id, { agent: chosen.id });
            close();
          }}
        >
          <p class="soft">{t(contact.kind === "voice" ? "consult.call" : "consult.lead")}</p>
          <label>
            {t("transfer.search")}
            <input type="search" value={find} onInput={(event) => setFind(event.currentTarget.value)} data-test="consult-search" />
          </label>
          <div class="targets">
            {agents.length === 0 ? (
              <p class="soft">{t("consult.none")}</p>
            ) : (
              <Agents agents={agents} chosen={chosen?.id} onlyThere choose={setTo} />
            )}
          </div>
          <div class="buttons">
            <button type="button" onClick={close}>
              {t("cancel")}
            </button>
            <button class="primary" disabled={!chosen} data-test="consult-submit">
              <Icon name="question" size={18} /> {t("do.consult")}
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

function Transfer({ contact }: { contact: ContactView }) {
  const { got, failed } = useGot<Targets>("/v1/targets", LIVE_MS);
  const [find, setFind] = useState("");
  const [to, setTo] = useState<{ queue?: string; agent?: string } | null>(null);
  const fits = (name: string): boolean => name.toLowerCase().includes(find.trim().toLowerCase());
  const queues = (got?.queues ?? []).filter((queue) => fits(queue.name ?? queue.id));
  const agents = (got?.agents ?? []).filter((agent) => fits(agent.name ?? agent.id));
  return (
    <Dialog title={`${t("transfer.title")}: ${nameOf(contact.customer)}`} test="transfer-dialog" onClose={close}>
      {got === null ? (
        <Loading failed={failed} />
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            if (to === null) return;
            const note = String(new FormData(event.currentTarget).get("note") ?? "").trim();
            act("transfer", contact.id, { ...to, ...(note ? { note } : {}) });
            close();
          }}
        >
          <label>
            {t("transfer.search")}
            <input type="search" value={find} onInput={(event) => setFind(event.currentTarget.value)} data-test="transfer-search" />
          </label>
          <div class="targets">
            {queues.length + agents.length === 0 && <p class="soft">{t("transfer.none")}</p>}
            {queues.length > 0 && (
              <fieldset>
                <legend>{t("transfer.queues")}</legend>
                {queues.map((queue) => (
                  <label key={queue.id} class="inline target">
                    <input
                      type="radio"
                      name="to"
                      data-test={`target-queue-${queue.id}`}
                      checked={to?.queue === queue.id}
                      onChange={() => setTo({ queue: queue.id })}
                    />
                    <span>{queue.name ?? queue.id}</span>
                    <span class="soft small">{t("transfer.waiting", { n: queue.waiting ?? 0 })}</span>
                  </label>
                ))}
              </fieldset>
            )}
            {agents.length > 0 && <Agents agents={agents} chosen={to?.agent} choose={(id) => setTo({ agent: id })} />}
          </div>
          <label>
            {t("transfer.note")}
            <textarea name="note" rows={2} data-test="transfer-note" />
          </label>
          <div class="buttons">
            <button type="button" onClick={close}>
              {t("cancel")}
            </button>
            <button class="primary" disabled={to === null} data-test="transfer-submit">
              <Icon name="transfer" size={18} /> {t("transfer.submit")}
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

// -- wrap-up

export function WrapForm({ contact, done }: { contact: ContactView; done?: () => void }) {
  const left = contact.wrap_until === null ? null : contact.wrap_until - now.value;
  const busy = commands.open.value.some((command) => command.do === "complete" && command.args.contact === contact.id);
  return (
    <form
      class="wrap-form"
      data-test="complete-form"
      onSubmit={(event) => {
        event.preventDefault();
        const form = new FormData(event.currentTarget);
        const disposition = String(form.get("disposition") ?? "");
        const note = String(form.get("note") ?? "").trim();
        act("complete", contact.id, { ...(disposition ? { disposition } : {}), ...(note ? { note } : {}) });
        done?.();
      }}
    >
      {contact.status === "wrapping" && (
        <div class="wrap-head">
          <strong>{t("wrap.title")}</strong>
          {left !== null && (
            <span class={left < 10 ? "error" : "soft"} role="timer" data-test="wrap-left">
              <Icon name="clock" size={16} /> {left > 0 ? t("wrap.left", { time: span(left) }) : t("wrap.over")}
            </span>
          )}
          <span class="wrap-extend">
            {[60, 300].map((seconds) => (
              <button
                key={seconds}
                type="button"
                data-test={`extend-${seconds}`}
                onClick={() => act("extend-wrap-up", contact.id, { seconds })}
              >
                {t("wrap.extend", { s: seconds })}
              </button>
            ))}
          </span>
        </div>
      )}
      {contact.dispositions.length > 0 && (
        <label>
          {t("wrap.disposition")}
          <select name="disposition" data-test="disposition">
            <option value="">{t("wrap.choose")}</option>
            {contact.dispositions.map((name) => (
              <option key={name} value={name}>
                {name}
              </option>
            ))}
          </select>
        </label>
      )}
      <label>
        {t("wrap.note")}
        <textarea name="note" rows={2} data-test="complete-note" />
      </label>
      <div class="buttons">
        <button class="primary" disabled={busy} data-test="complete-confirm">
          <Icon name="check" size={18} /> {t("wrap.submit")}
        </button>
      </div>
    </form>
  );
}

// -- why

function Why({ contact }: { contact: ContactView }) {
  const { got, failed } = useGot<{ text?: string[] }>(
    `/v1/contacts/${encodeURIComponent(contact.id)}/why?lang=${locale.value}`,
  );
  return (
    <Dialog title={t("why.title")} test="why-dialog" onClose={close}>
      {got === null ? (
        <Loading failed={failed} />
      ) : got.text?.length ? (
        <ol class="why" data-test="why-lines">
          {got.text.map((line, i) => (
            <li key={i}>{line}</li>
          ))}
        </ol>
      ) : (
        <p>{t("why.none")}</p>
      )}
    </Dialog>
  );
}

// -- one's own contact

interface Channel {
  id: string;
  name?: string;
  kind: Kind;
  brand?: string;
}

function NewContact() {
  const { got, failed } = useGot<{ items?: Channel[] } | Channel[]>("/v1/channels");
  const all = got === null ? [] : Array.isArray(got) ? got : (got.items ?? []);
  const channels = all.filter((channel) => channel.kind !== "chat" && channel.kind !== "task");
  const [id, setId] = useState("");
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  const channel = channels.find((other) => other.id === id) ?? channels[0];

  const start = async (form: FormData): Promise<void> => {
    if (!channel) return;
    const field = (name: string): string => String(form.get(name) ?? "").trim();
    setBusy(true);
    try {
      if (channel.kind === "voice" && field("at")) {
        await post("/v1/callbacks", {
          channel: channel.id,
          number: field("to"),
          at_local: field("at"),
          ...(field("timezone") ? { timezone: field("timezone") } : {}),
          ...(agent.value ? { agent: agent.value.id } : {}),
        });
        close();
        return;
      }
      const made = await post<{ contact?: string; id?: string } | undefined>("/v1/contacts", {
        channel: channel.id,
        to: field("to"),
        ...(field("subject") ? { subject: field("subject") } : {}),
        ...(field("text") ? { text: field("text") } : {}),
      });
      const contact = made?.contact ?? made?.id;
      if (contact) awaitContact(contact);
      if (contact && channel.kind === "voice") wish(contact);
      close();
    } catch (error) {
      setWrong(failText(error));
      setBusy(false);
    }
  };

  return (
    <Dialog title={t("new.title")} test="new-dialog" onClose={close}>
      {got === null ? (
        <Loading failed={failed} />
      ) : channel === undefined ? (
        <p>{t("new.none")}</p>
      ) : (
        <form
          onSubmit={(event) => {
            event.preventDefault();
            void start(new FormData(event.currentTarget));
          }}
        >
          <label>
            {t("new.channel")}
            <select value={channel.id} data-test="new-channel" onChange={(event) => setId(event.currentTarget.value)}>
              {channels.map((other) => (
                <option key={other.id} value={other.id}>
                  {t(kindKey(other.kind))} · {other.name ?? other.id}
                </option>
              ))}
            </select>
          </label>
          <label>
            {t(channel.kind === "email" ? "new.to-email" : channel.kind === "social" ? "new.to" : "new.to-voice")}
            <input
              name="to"
              required
              autocomplete="off"
              data-test="new-to"
              inputMode={channel.kind === "email" ? "email" : channel.kind === "social" ? "text" : "tel"}
            />
          </label>
          {channel.kind === "voice" && (
            <label>
              {t("new.at")}
              <input name="at" type="datetime-local" data-test="new-at" />
              <input
                name="timezone"
                list="zones"
                aria-label={t("new.timezone")}
                placeholder={t("new.timezone")}
                autocomplete="off"
                data-test="new-timezone"
              />
              <datalist id="zones">
                {Intl.supportedValuesOf("timeZone").map((zone) => (
                  <option value={zone} />
                ))}
              </datalist>
            </label>
          )}
          {channel.kind === "email" && (
            <label>
              {t("new.subject")}
              <input name="subject" required data-test="new-subject" />
            </label>
          )}
          {channel.kind !== "voice" && (
            <label>
              {t("new.text")}
              <textarea name="text" rows={5} required data-test="new-text" />
            </label>
          )}
          {wrong && (
            <p class="error" role="alert" data-test="new-wrong">
              {wrong}
            </p>
          )}
          <div class="buttons">
            <button type="button" onClick={close}>
              {t("cancel")}
            </button>
            <button class="primary" disabled={busy} data-test="new-submit">
              <Icon name={channel.kind} size={18} /> {t(channel.kind === "voice" ? "new.call" : "new.submit")}
            </button>
          </div>
        </form>
      )}
    </Dialog>
  );
}

// -- an earlier conversation

function Past({ conversation, chat }: { conversation: string; chat: boolean }) {
  const [list, setList] = useState<MessageView[] | null>(null);
  useEffect(() => {
    let gone = false;
    const all = async (): Promise<void> => {
      const found: MessageView[] = [];
      for (;;) {
        const items = await fetchMessages(conversation, found.at(-1)?.number ?? 0);
        found.push(...items);
        if (items.length === 0 || found.length >= 500) break;
      }
      if (!gone) setList(found);
    };
    all().catch((error: unknown) => {
      tell(failText(error), true);
      close();
    });
    return () => {
      gone = true;
    };
  }, [conversation]);
  return (
    <Dialog title={t("conversation")} test="past-dialog" onClose={close}>
      {list === null ? <Loading failed="" /> : <MessageList list={list} chat={chat} />}
    </Dialog>
  );
}

// -- keyboard

function Keys() {
  const keys = [
    ["Alt+A", t("keys.accept")],
    ["Alt+↑ / Alt+↓", t("keys.contacts")],
    ["Alt+C", t("keys.composer")],
    ["Alt+K", t("keys.help")],
  ];
  return (
    <Dialog title={t("keys.title")} test="keys-dialog" onClose={close}>
      <dl class="keys">
        {keys.map(([key, what]) => (
          <div key={key}>
            <dt>
              <kbd>{key}</kbd>
            </dt>
            <dd>{what}</dd>
          </div>
        ))}
      </dl>
    </Dialog>
  );
}
