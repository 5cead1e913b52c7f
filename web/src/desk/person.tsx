// Who else a customer is: those whom colleagues have said to be the same person, and those who may be. One click says
// so, one takes it back. Nothing is rewritten on the server, so a mistake costs nothing.

import { useState } from "preact/hooks";
import { post } from "../shared/api";
import { failText } from "../shared/failed";
import { t } from "../shared/i18n";
import { Icon } from "../shared/icons";
import { tell } from "./store";

interface Known {
  id: string;
  name: string | null;
  identities: { scope: string; kind: string; value: string }[];
}

export interface Person {
  customers: Known[];
  maybe_same: Known[];
}

const called = ({ name, identities }: Known): string =>
  [name, ...new Set(identities.map(({ value }) => value))].filter(Boolean).join(" · ") || t("customer");
const cameBy = ({ identities }: Known): string => [...new Set(identities.map(({ scope }) => scope))].join(", ");

export function SamePerson({ id, person, changed }: { id: string; person: Person; changed: () => void }) {
  const [busy, setBusy] = useState(false);
  const others = person.customers.filter((other) => other.id !== id);
  if (others.length === 0 && person.maybe_same.length === 0) return null;

  const say = async (other: string, what: "merge" | "split", body: object, done: string): Promise<void> => {
    setBusy(true);
    try {
      await post(`/v1/customers/${encodeURIComponent(other)}/${what}`, body);
      tell(done);
      changed();
    } catch (error) {
      tell(failText(error), true);
    } finally {
      setBusy(false);
    }
  };
  const row = (other: Known, icon: "check" | "x", what: string, act: () => void, test: string) => (
    <li key={other.id}>
      <span>
        <span>{called(other)}</span>
        <span class="soft small">{cameBy(other)}</span>
      </span>
      <button type="button" disabled={busy} data-test={test} aria-label={`${what}: ${called(other)}`} onClick={act}>
        <Icon name={icon} size={16} /> {what}
      </button>
    </li>
  );
  return (
    <section data-test="person">
      <h3>
        <Icon name="people" size={16} /> {t("person")}
      </h3>
      <ul class="person">
        {others.map((other) =>
          row(other, "x", t("person.split"), () => void say(other.id, "split", {}, t("person.was-split")), "person-split"),
        )}
        {person.maybe_same.map((other) =>
          row(
            other,
            "check",
            t("person.merge"),
            () => void say(other.id, "merge", { into: id }, t("person.was-merged")),
            "person-merge",
          ),
        )}
      </ul>
    </section>
  );
}
