// Those who want no calls: on the list from the moment it is said, off it again by an administrator.

import { useEffect, useState } from "preact/hooks";
import { get } from "../shared/api";
import { failText } from "../shared/failed";
import { moment, t } from "../shared/i18n";
import { Icon } from "../shared/icons";
import { Country } from "./country";
import { mayAdminister } from "./lists";
import { allow, hurry, type Refused, refuse, refusedAfter } from "./state";

const PAGE = 100;

const scopeText = (scope: string, brands: Brand[]): string => {
  const [kind, id] = scope.split(":");
  if (kind === "brand") return t("camp.scope.brand", { brand: brands.find((brand) => brand.id === id)?.name ?? id ?? "" });
  return kind === "registry" ? t("camp.scope.registry", { country: id ?? "" }) : t("camp.scope.workspace");
};

interface Brand {
  id: string;
  name: string;
}

export function RefusedPeople() {
  const [rows, setRows] = useState<Refused[]>([]);
  const [more, setMore] = useState(false);
  const [brands, setBrands] = useState<Brand[]>([]);
  const [wrong, setWrong] = useState("");
  const [said, setSaid] = useState("");

  const load = async (from: Refused[]): Promise<void> => {
    const found = await refusedAfter(from.at(-1), PAGE);
    setRows([...from, ...found]);
    setMore(found.length === PAGE);
  };
  /** Tell it, and show what it came to. */
  const doing = async (what: () => Promise<unknown>, done: string): Promise<void> => {
    setWrong("");
    setSaid("");
    try {
      await what();
      setSaid(done);
      await load([]);
      hurry();
    } catch (error) {
      setWrong(failText(error));
    }
  };
  useEffect(() => {
    load([]).catch((error: unknown) => setWrong(failText(error)));
    get<{ items: Brand[] }>("/v1/brands").then(({ items }) => setBrands(items), () => {});
  }, []);

  const add = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget as HTMLFormElement;
    const given = new FormData(form);
    const field = (name: string): string => String(given.get(name) ?? "").trim();
    await doing(async () => {
      await refuse(field("value"), field("scope"), field("country").toUpperCase());
      form.reset();
    }, t("camp.refused.added"));
  };
  return (
    <section class="panel refused" aria-labelledby="refused">
      <h2 id="refused">{t("camp.refused")}</h2>
      <p class="soft">{t("camp.refused.lead")}</p>
      <form class="line-form" data-test="refused-form" onSubmit={(event) => void add(event)}>
        <label>
          {t("camp.refused.value")}
          <input name="value" required minLength={3} maxLength={320} autocomplete="off" data-test="refused-value" />
        </label>
        <Country test="refused-country" />
        <label>
          {t("camp.scope")}
          <select name="scope" data-test="refused-scope">
            <option value="workspace">{t("camp.scope.workspace")}</option>
            {brands.map((brand) => (
              <option key={brand.id} value={`brand:${brand.id}`}>
                {t("camp.scope.brand", { brand: brand.name })}
              </option>
            ))}
          </select>
        </label>
        <button class="primary" data-test="refused-submit">
          <Icon name="plus" size={18} /> {t("camp.refused.add")}
        </button>
      </form>
      {wrong && (
        <p class="error" role="alert" data-test="refused-error">
          {wrong}
        </p>
      )}
      <p class="sr" role="status">
        {said}
      </p>
      {rows.length === 0 ? (
        <p class="soft">{t("camp.refused.none")}</p>
      ) : (
        <div class="scroll" tabIndex={0} role="group" aria-labelledby="refused">
          <table>
            <thead>
              <tr>
                <th scope="col">{t("camp.refused.value")}</th>
                <th scope="col">{t("camp.scope")}</th>
                <th scope="col">{t("camp.refused.source")}</th>
                <th scope="col">{t("camp.refused.since")}</th>
                {mayAdminister() && <th scope="col">{t("board.actions")}</th>}
              </tr>
            </thead>
            <tbody>
              {rows.map((row) => (
                <tr key={`${row.scope} ${row.value}`} data-test="refused-row" data-value={row.value}>
                  <td class="time">{row.value}</td>
                  <td>{scopeText(row.scope, brands)}</td>
                  <td>{row.source}</td>
                  <td>
                    {moment(row.made_at)} <span class="soft">{row.made_by}</span>
                  </td>
                  {mayAdminister() && (
                    <td>
                      <button
                        type="button"
                        class="small-button"
                        aria-label={`${t("camp.refused.remove")}: ${row.value}`}
                        data-test="refused-remove"
                        onClick={() => void doing(() => allow(row), t("camp.refused.removed"))}
                      >
                        {t("camp.refused.remove")}
                      </button>
                    </td>
                  )}
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {more && (
        <button type="button" data-test="refused-more" onClick={() => void load(rows)}>
          {t("camp.more")}
        </button>
      )}
    </section>
  );
}
