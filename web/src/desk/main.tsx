import { render } from "preact";
import { useEffect, useState } from "preact/hooks";
import { t, word } from "../shared/i18n";
import { Icon, type IconName } from "../shared/icons";
import { Gate, knock } from "../shared/login";
import type { ContactView } from "../shared/views";
import { Composer } from "./composer";
import { Company } from "./company";
import { Contacts, statusText } from "./contacts";
import { Customer } from "./customer";
import { Dialogs, dialog, WrapForm } from "./dialogs";
import { MessageList } from "./messages";
import { Offers } from "./offers";
import "./ring";
import { canAccept, take } from "./softphone";
import { PhoneWarning, Softphone } from "./softphone-panel";
import { act, agent, agentName, commands, current, earlier, kindKey, messages, nameOf, offers, step, toast, unsent } from "./store";
import { TopBar } from "./topbar";

interface Action {
  name: string;
  icon: IconName;
  in: ContactView["status"][];
  danger?: boolean;
}

const ACTIONS: Action[] = [
  { name: "hold", icon: "pause", in: ["active"] },
  { name: "resume", icon: "play", in: ["held", "parked"] },
  { name: "park", icon: "park", in: ["active", "held"] },
  { name: "consult", icon: "question", in: ["active", "held"] },
  { name: "transfer", icon: "transfer", in: ["active", "held", "parked"] },
  { name: "wrap-up", icon: "clock", in: ["active", "held", "parked"] },
  { name: "complete", icon: "check", in: ["active", "held", "parked"] },
];

function Actions({ contact }: { contact: ContactView }) {
  const busy = (name: string): boolean =>
    commands.open.value.some((command) => command.do === name && command.args.contact === contact.id);
  const run = (name: string): void => {
    if (name === "transfer" || name === "complete" || name === "consult") dialog.value = { what: name, contact };
    else act(name, contact.id);
  };
  if (contact.role !== "owner") {
    return (
      <div class="actions">
        <button type="button" data-test="leave" disabled={busy("leave")} onClick={() => run("leave")}>
          <Icon name="logout" size={18} /> {t("do.leave")}
        </button>
      </div>
    );
  }
  // A call cannot be parked; and the customer is not let in to hear somebody who was asked in confidence: join all, then.
  const asked = contact.participants.some((guest) => guest.role === "consulted");
  const notNow = contact.kind === "voice" ? (asked ? ["park", "resume"] : ["park"]) : [];
  return (
    <div class="actions" role="toolbar" aria-label={t("conversation")}>
      {ACTIONS.filter((action) => action.in.includes(contact.status) && !notNow.includes(action.name)).map((action) => (
        <button
          key={action.name}
          type="button"
          data-test={action.name}
          disabled={busy(action.name)}
          onClick={() => run(action.name)}
        >
          <Icon name={action.icon} size={18} /> {t(`do.${action.name}` as "do.hold")}
        </button>
      ))}
    </div>
  );
}

function Conversation({ contact }: { contact: ContactView }) {
  return (
    <main class="conversation" data-test="conversation" data-contact={contact.id} data-role={contact.role}>
      <header class="conversation-head">
        <span class={`kind kind-${contact.kind}`}>
          <Icon name={contact.kind} />
        </span>
        <span class="conversation-name">
          <h1>{nameOf(contact.customer)}</h1>
          <span class="soft small">
            {t(kindKey(contact.kind))} · {contact.queue}
          </span>
        </span>
        <span class={`badge state-${contact.status}`} data-test="contact-status" data-status={contact.status}>
          {statusText(contact)}
        </span>
        <Actions contact={contact} />
      </header>
      <Company contact={contact} />
      <MessageList
        key={contact.id}
        list={messages.value[contact.conversation] ?? []}
        chat={contact.kind === "chat"}
        unsent={unsent.value}
        onEarlier={() => void earlier(contact.conversation)}
      />
      {contact.status === "wrapping" && <WrapForm key={`wrap-${contact.id}`} contact={contact} />}
      <Composer key={`composer-${contact.id}`} contact={contact} />
    </main>
  );
}

function Toast() {
  const now = toast.value;
  useEffect(() => {
    if (now === null) return;
    const timer = setTimeout(() => {
      if (toast.peek() === now) toast.value = null;
    }, 8_000);
    return () => clearTimeout(timer);
  }, [now]);
  return (
    <div class="toast-place" role="status" aria-live="polite">
      {now && (
        <div class={`toast ${now.bad ? "bad" : ""}`} data-test="toast">
          <span>{now.text}</span>
          <button type="button" class="icon-button" aria-label={t("close")} onClick={() => (toast.value = null)}>
            <Icon name="x" size={16} />
          </button>
        </div>
      )}
    </div>
  );
}

function shortcuts(event: KeyboardEvent): void {
  if (!event.altKey || event.ctrlKey || event.metaKey || event.shiftKey || document.querySelector("dialog[open]")) return;
  switch (event.code) {
    case "KeyA": {
      const offer = offers.value.find(canAccept);
      if (offer) take(offer);
      break;
    }
    case "ArrowUp":
      step(-1);
      break;
    case "ArrowDown":
      step(1);
      break;
    case "KeyC":
      document.querySelector<HTMLElement>("[data-test=composer]")?.focus();
      break;
    case "KeyK":
      dialog.value = { what: "keys" };
      break;
    default:
      return;
  }
  event.preventDefault();
}

/** Somebody else has changed this agent's state: says who, until it changes again or is put away. */
function Forced() {
  const who = agent.value;
  const [read, setRead] = useState(0);
  if (who === null || who.by === null || who.by === who.id || read === who.since) return null;
  const status = word("status", who.presence) + (who.reason ? ` (${word("reason", who.reason)})` : "");
  return (
    <div class="missed" role="alert" data-test="forced" data-by={who.by}>
      <Icon name="warn" /> {t("status.forced", { by: agentName(who.by), status })}
      <button type="button" data-test="forced-read" onClick={() => setRead(who.since)}>
        {t("status.understood")}
      </button>
    </div>
  );
}

function Desk() {
  useEffect(() => {
    addEventListener("keydown", shortcuts);
    return () => removeEventListener("keydown", shortcuts);
  }, []);
  const contact = current.value;
  return (
    <div class="desk" data-test="desk">
      <TopBar />
      {agent.value?.presence === "unresponsive" && (
        <div class="missed" role="alert" data-test="missed">
          <Icon name="warn" /> {t("status.missed")}
          <button type="button" class="primary" data-test="back" onClick={() => commands.give("status", { presence: "available" })}>
            {t("status.back")}
          </button>
        </div>
      )}
      <Forced />
      <PhoneWarning />
      <div class="columns">
        <nav class="left" aria-label={t("contacts")}>
          <Softphone />
          <Offers />
          <Contacts />
        </nav>
        {contact ? (
          <>
            <Conversation contact={contact} />
            <Customer contact={contact} />
          </>
        ) : (
          <main class="nothing">
            <Icon name="chat" size={48} />
            <p>{t("conversation.none")}</p>
          </main>
        )}
      </div>
      <Dialogs />
      <Toast />
    </div>
  );
}

const place = document.getElementById("app");
if (place) {
  render(
    <Gate>
      <Desk />
    </Gate>,
    place,
  );
}
void knock();
