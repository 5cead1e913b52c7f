// The newest attempts, as the ledger has them; the whole of it as a file.

import { exactMoment, span, t, word } from "../shared/i18n";
import { Icon } from "../shared/icons";
import { type Attempt, attempts, type Campaign, pathOf } from "./state";

const outcomeOf = (row: Attempt): string =>
  row.outcome === null
    ? t(row.answered_at !== null ? "camp.talking" : "camp.open")
    : row.outcome === "dropped" && row.disposition
      ? `${word("code", "dropped")} (${word("code", row.disposition)})`
      : word("code", row.outcome);

function Row({ row, named }: { row: Attempt; named: boolean }) {
  const talked = row.answered_at !== null && row.ended_at !== null ? span(row.ended_at - row.answered_at) : "";
  return (
    <tr data-test="ledger-row" data-outcome={row.outcome ?? "open"}>
      <td class="time">
        {exactMoment(row.reserved_at)}
      </td>
      <td class="time">{row.value}</td>
      <td>{outcomeOf(row)}</td>
      <td>{row.outcome === "dropped" ? "" : (row.disposition ?? "")}</td>
      <td class="time">{talked}</td>
      {named && <td>{row.agent ?? ""}</td>}
      <td>{row.rules}</td>
      <td class="time">{row.local_time.slice(11, 16)}</td>
    </tr>
  );
}

export function Ledger({ campaign }: { campaign: Campaign }) {
  // Where a line rings before an agent has it, the ledger names none.
  const named = attempts.value.some(({ agent }) => agent !== null);
  return (
    <section class="panel" aria-labelledby="ledger">
      <h3 id="ledger">
        {t("camp.ledger")}
        <a
          class="with-icon"
          href={`${pathOf(campaign.id, "attempts")}?format=csv`}
          download={`${campaign.id}-attempts.csv`}
          data-test="ledger-csv"
        >
          <Icon name="file" size={18} /> {t("camp.csv")}
        </a>
      </h3>
      {attempts.value.length === 0 ? (
        <p class="soft">{t("camp.no-attempts")}</p>
      ) : (
        <div class="scroll" tabIndex={0} role="group" aria-labelledby="ledger">
          <table data-test="ledger">
            <thead>
              <tr>
                <th scope="col">{t("board.time")}</th>
                <th scope="col">{t("camp.number")}</th>
                <th scope="col">{t("camp.outcome")}</th>
                <th scope="col">{t("camp.disposition")}</th>
                <th scope="col">{t("camp.talked")}</th>
                {named && <th scope="col">{t("camp.agent")}</th>}
                <th scope="col">{t("camp.rules")}</th>
                <th scope="col">{t("camp.local-time")}</th>
              </tr>
            </thead>
            <tbody>
              {attempts.value.map((row) => (
                <Row key={row.id} row={row} named={named} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  );
}
