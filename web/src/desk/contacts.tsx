import { span, t } from "../shared/i18n";
import { Icon, ROLE_ICON } from "../shared/icons";
import type { ContactView } from "../shared/views";
import { contacts, kindKey, nameOf, now, open, selected, unread } from "./store";

const ORDER = { voice: 0, chat: 1, sms: 2, social: 3, email: 4, task: 5 } as const;

export const statusText = (contact: ContactView): string =>
  contact.status === "parked" && contact.parked_for === "interrupted"
    ? t("contact.parked-interrupted")
    : t(`contact.${contact.status}`);

const timeOf = (contact: ContactView): string =>
  contact.status === "wrapping" && contact.wrap_until !== null
    ? `−${span(contact.wrap_until - now.value)}`
    : span(now.value - contact.since);

export function Contacts() {
  const list = [...contacts.value].sort((a, b) => ORDER[a.kind] - ORDER[b.kind] || a.enqueued_at - b.enqueued_at);
  return (
    <section aria-label={t("contacts")} class="contacts">
      <h2 class="column-head">
        {t("contacts")} <span class="count">{list.length}</span>
      </h2>
      {list.length === 0 && <p class="soft empty">{t("contacts.none")}</p>}
      <ul data-test="contacts">
        {list.map((contact) => {
          const fresh = contact.id === selected.value ? 0 : unread(contact);
          return (
            <li key={contact.id}>
              <button
                type="button"
                class="contact"
                aria-current={contact.id === selected.value}
                data-test={`contact-${contact.id}`}
                data-status={contact.status}
                data-kind={contact.kind}
                data-role={contact.role}
                onClick={() => open(contact.id)}
              >
                <span class={`kind kind-${contact.kind}`}>
                  <Icon name={contact.kind} />
                  <span class="sr">{t(kindKey(contact.kind))}</span>
                </span>
                <span class="contact-words">
                  <span class="contact-name">{nameOf(contact.customer)}</span>
                  <span class="soft small">{contact.queue}</span>
                </span>
                <span class="contact-state">
                  <span class={`badge state-${contact.status}`}>{statusText(contact)}</span>
                  <span class="soft small time">{timeOf(contact)}</span>
                </span>
                {contact.role !== "owner" && (
                  <span class={`role small role-${contact.role}`}>
                    <Icon name={ROLE_ICON[contact.role]} size={14} /> {t(`role.${contact.role}`)}
                  </span>
                )}
                {fresh > 0 && <span class="unread">{t("contact.unread", { n: fresh })}</span>}
                {contact.nudged && (
                  <span class="nudged small">
                    <Icon name="warn" size={14} /> {t("contact.nudged")}
                  </span>
                )}
              </button>
            </li>
          );
        })}
      </ul>
    </section>
  );
}
