import { useEffect, useState } from "preact/hooks";
import { get } from "../shared/api";
import { moment, span, t, word } from "../shared/i18n";
import { Icon } from "../shared/icons";
import { type ContactView, detailsOf, type Kind } from "../shared/views";
import { dialog } from "./dialogs";
import { type Person, SamePerson } from "./person";
import { kindKey, nameOf } from "./store";

interface Past {
  contact: string;
  conversation: string;
  channel: string;
  kind: Kind;
  queue?: string;
  started_at: number;
  ended_at?: number | null;
  outcome?: string | null;
  disposition?: string | null;
  agent?: string | null;
}

export function Customer({ contact }: { contact: ContactView }) {
  const [past, setPast] = useState<Past[] | null>(null);
  const [person, setPerson] = useState<Person | null>(null);
  const [said, setSaid] = useState(0);
  useEffect(() => {
    setPast(null);
    setPerson(null);
  }, [contact.customer.id]);
  useEffect(() => {
    let gone = false;
    const path = `/v1/customers/${encodeURIComponent(contact.customer.id)}`;
    get<{ items: Past[] }>(`${path}/history`).then(
      ({ items }) => gone || setPast(items),
      () => gone || setPast([]),
    );
    get<Person>(path).then(
      (found) => gone || setPerson(found),
      () => gone || setPerson(null),
    );
    return () => {
      gone = true;
    };
  }, [contact.customer.id, said]);

  const facts: [string, string | null][] = [
    [t("customer.address"), contact.customer.name ? contact.customer.address : null],
    [t("customer.language"), contact.language],
    [t("customer.channel"), `${t(kindKey(contact.kind))} · ${contact.channel}`],
    [t("customer.queue"), contact.queue],
    [t("customer.brand"), contact.brand],
    [t("customer.campaign"), contact.campaign],
    [t("customer.direction"), t(`customer.${contact.direction}`)],
    [t("customer.waited"), contact.accepted_at === null ? null : span(contact.accepted_at - contact.enqueued_at)],
    [t("customer.callback"), contact.callback && contact.callback.number],
    ...detailsOf(contact),
  ];
  const before = (past ?? []).filter((other) => other.contact !== contact.id);
  return (
    <aside class="customer" aria-label={t("customer")} data-test="customer">
      <div class="customer-head">
        <span class="avatar">
          <Icon name="user" size={26} />
        </span>
        <h2>{nameOf(contact.customer)}</h2>
      </div>
      {contact.role === "owner" && (
        <button type="button" class="why-button" data-test="why" onClick={() => (dialog.value = { what: "why", contact })}>
          <Icon name="help" size={18} /> {t("do.why")}
        </button>
      )}
      {contact.script && (
        <details class="script" open data-test="script">
          <summary>{t("script")}</summary>
          <div class="script-words" tabIndex={0}>
            {contact.script}
          </div>
        </details>
      )}
      <dl class="facts">
        {facts
          .filter(([, value]) => value)
          .map(([name, value]) => (
            <div key={name}>
              <dt>{name}</dt>
              <dd>{value}</dd>
            </div>
          ))}
      </dl>
      {person && <SamePerson id={contact.customer.id} person={person} changed={() => setSaid(said + 1)} />}
      <h3>
        <Icon name="history" size={16} /> {t("history")}
      </h3>
      {past === null ? (
        <p class="soft">{t("loading")}</p>
      ) : before.length === 0 ? (
        <p class="soft">{t("history.none")}</p>
      ) : (
        <ul class="history" data-test="history">
          {before.map((other) => (
            <li key={other.contact}>
              <button
                type="button"
                title={t("history.open")}
                data-test="history-item"
                onClick={() => (dialog.value = { what: "past", conversation: other.conversation, chat: other.kind === "chat" })}
              >
                <Icon name={other.kind} size={18} />
                <span>
                  <span>{moment(other.started_at)}</span>
                  <span class="soft small">
                    {[other.queue, other.disposition ?? (other.outcome && word("code", other.outcome)), other.agent]
                      .filter(Boolean)
                      .join(" · ")}
                  </span>
                </span>
              </button>
            </li>
          ))}
        </ul>
      )}
    </aside>
  );
}
