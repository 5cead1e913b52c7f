// Who else is in the open contact, and what its owner can do with them.

import { t } from "../shared/i18n";
import { Icon, MANNER_ICON, ROLE_ICON } from "../shared/icons";
import { me } from "../shared/login";
import { type ContactView, mannersIn, ofAgent, type Participant, partOf } from "../shared/views";
import { act, agentName, commands } from "./store";

function Person({ contact, guest }: { contact: ContactView; guest: Participant }) {
  const own = contact.role === "owner";
  const isMe = guest.agent === me.value?.agent;
  const name = agentName(guest.agent);
  const busy = (command: string): boolean =>
    commands.open.value.some(
      (open) => open.do === command && open.args.contact === contact.id && open.args.agent === guest.agent,
    );
  return (
    <li
      class="person"
      data-test={`participant-${guest.agent}`}
      data-role={guest.role}
      data-manner={guest.manner}
      data-on-line={guest.on_line}
    >
      <Icon name={guest.manner ? MANNER_ICON[guest.manner] : ROLE_ICON[guest.role]} size={16} />
      <strong>{isMe ? t("company.me", { name }) : name}</strong>
      <span class={`role role-${guest.role}`}>{t(partOf(guest))}</span>
      {!guest.on_line && <span class="soft small">{t("company.rings")}</span>}
      {own && guest.role !== "monitoring" && (
        <>
          <button
            type="button"
            data-test="hand-over"
            aria-label={`${t("do.hand-over")}: ${name}`}
            disabled={!guest.on_line || busy("transfer")}
            onClick={() => act("transfer", contact.id, { agent: guest.agent })}
          >
            <Icon name="hand" size={16} /> {t("do.hand-over")}
          </button>
          <button
            type="button"
            data-test="send-away"
            aria-label={`${t("do.send-away")}: ${name}`}
            disabled={busy("leave")}
            onClick={() => act("leave", contact.id, { agent: guest.agent })}
          >
            <Icon name="x" size={16} /> {t("do.send-away")}
          </button>
        </>
      )}
    </li>
  );
}

/** How a supervisor who is in it is heard: the same as on the wallboard. */
function Manners({ contact, mine }: { contact: ContactView; mine: Participant }) {
  const busy = commands.open.value.some((open) => open.do === "monitor" && open.args.contact === contact.id);
  return (
    <div class="manners" role="group" aria-label={t("manner")}>
      {mannersIn(contact.kind).map((manner) => (
        <button
          key={manner}
          type="button"
          data-test={`manner-${manner}`}
          aria-pressed={mine.manner === manner}
          disabled={busy || mine.manner === manner}
          onClick={() => act("monitor", contact.id, { manner })}
        >
          <Icon name={MANNER_ICON[manner]} size={16} /> {t(`manner.${manner}`)}
        </button>
      ))}
    </div>
  );
}

/** What whoever takes part is told of it. */
function noteFor(contact: ContactView, mine: Participant | undefined): string {
  if (mine?.manner === "whisper") return t("company.whisper");
  return t(mine?.manner === "barge" ? "company.joined" : (`company.${contact.role}` as "company.joined"));
}

export function Company({ contact }: { contact: ContactView }) {
  if (contact.participants.length === 0) return null;
  const own = contact.role === "owner";
  const mine = ofAgent(contact.participants, me.value?.agent);
  const asked = contact.participants.some((guest) => guest.role === "consulted");
  const joining = commands.open.value.some((open) => open.do === "conference" && open.args.contact === contact.id);
  return (
    <section class={`company ${own ? "" : "as-guest"}`} aria-label={t("company")} data-test="company">
      {!own && (
        <p class="company-note" role="status" data-test="role-note">
          <Icon name={mine?.manner ? MANNER_ICON[mine.manner] : ROLE_ICON[contact.role]} size={18} /> {noteFor(contact, mine)}
        </p>
      )}
      <ul>
        {!own && contact.agent && (
          <li class="person" data-test={`participant-${contact.agent}`} data-role="owner">
            <Icon name="user" size={16} />
            <strong>{agentName(contact.agent)}</strong>
            <span class="role">{t("role.owner")}</span>
          </li>
        )}
        {contact.participants.map((guest) => (
          <Person key={guest.agent} contact={contact} guest={guest} />
        ))}
      </ul>
      {mine?.role === "monitoring" && <Manners contact={contact} mine={mine} />}
      {own && asked && (
        <button type="button" class="primary" data-test="conference" disabled={joining} onClick={() => act("conference", contact.id)}>
          <Icon name="people" size={18} /> {t("do.conference")}
        </button>
      )}
    </section>
  );
}
