// The campaign's lists of people: taking one in, how far that is, and what is wrong with which row.

import { useState } from "preact/hooks";
import { failText } from "../shared/failed";
import { count, moment, t } from "../shared/i18n";
import { Icon } from "../shared/icons";
import { me } from "../shared/login";
import { Country } from "./country";
import { type Campaign, importList, type List, lists } from "./state";

export const mayAdminister = (): boolean => ["owner", "admin"].includes(me.value?.role ?? "");

function Import({ campaign }: { campaign: Campaign }) {
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const given = new FormData(form);
    const file = given.get("file");
    if (!(file instanceof File)) return;
    setBusy(true);
    setWrong("");
    try {
      await importList(campaign.id, file, String(given.get("country") ?? "").toUpperCase(), given.get("skip") === "on");
      form.reset();
    } catch (error) {
      setWrong(failText(error));
    }
    setBusy(false);
  };
  return (
    <form class="line-form" data-test="import-form" onSubmit={(event) => void submit(event)}>
      <label>
        {t("camp.file")}
        <input name="file" type="file" required accept=".csv,.txt,.xlsx,.xlsm,text/csv" data-test="import-file" />
      </label>
      <Country test="import-country" />
      <label class="inline target">
        <input name="skip" type="checkbox" data-test="import-skip" /> {t("camp.skip")}
      </label>
      <button class="primary" disabled={busy} data-test="import-submit">
        <Icon name="in" size={18} /> {t(busy ? "camp.sending" : "camp.import")}
      </button>
      {wrong && (
        <p class="error" role="alert" data-test="import-error">
          {wrong}
        </p>
      )}
    </form>
  );
}

function Row({ list }: { list: List }) {
  return (
    <tr data-test="list-row" data-list={list.id} data-state={list.state}>
      <td>{list.name}</td>
      <td class={list.state === "refused" ? "bad" : ""} role={list.state === "running" ? "status" : undefined}>
        {t(`camp.list.${list.state}`)}
        {list.faults.length > 0 && (
          <details class="faults" open={list.state === "running" || list.state === "refused"}>
            <summary>{t("camp.faults", { n: count(Math.max(list.bad, list.faults.length)) })}</summary>
            <ol tabIndex={0} aria-label={list.name}>
              {list.faults.map((fault, i) => (
                <li key={i} data-test="list-fault">
                  {fault}
                </li>
              ))}
            </ol>
            {list.bad > list.faults.length && <p class="soft">{t("camp.faults-more", { n: count(list.bad - list.faults.length) })}</p>}
          </details>
        )}
      </td>
      <td class="figure">{count(list.rows)}</td>
      <td class="figure">{count(list.taken)}</td>
      <td class="figure">{count(list.twice)}</td>
      <td class="figure">{count(list.bad)}</td>
      <td>
        {moment(list.made_at)} <span class="soft">{list.made_by}</span>
      </td>
    </tr>
  );
}

export function Lists({ campaign }: { campaign: Campaign }) {
  return (
    <section class="panel" aria-labelledby="lists">
      <h3 id="lists">{t("camp.lists")}</h3>
      {mayAdminister() ? (
        <>
          <Import campaign={campaign} />
          <p class="soft small">{t("camp.columns")}</p>
        </>
      ) : (
        <p class="soft">{t("camp.admins-import")}</p>
      )}
      {lists.value.length > 0 && (
        <div class="scroll" tabIndex={0} role="group" aria-labelledby="lists">
          <table data-test="lists">
            <thead>
              <tr>
                <th scope="col">{t("camp.list")}</th>
                <th scope="col">{t("camp.list.state")}</th>
                <th scope="col">{t("camp.list.rows")}</th>
                <th scope="col">{t("camp.list.taken")}</th>
                <th scope="col">{t("camp.list.twice")}</th>
                <th scope="col">{t("camp.list.bad")}</th>
                <th scope="col">{t("camp.list.made")}</th>
              </tr>
            </thead>
            <tbody>
              {lists.value.map((list) => (
                <Row key={list.id} list={list} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
