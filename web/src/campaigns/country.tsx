// A country's two letters, with those offered by name that there are rules for.

import { signal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { get } from "../shared/api";
import { locale, t } from "../shared/i18n";

const known = signal<string[]>([]);
const UNION = "EU";

async function ask(): Promise<void> {
  const { items } = await get<{ items: { country: string }[] }>("/v1/dialing-rules");
  known.value = items.map(({ country }) => country).filter((country) => country.length === 2 && country !== UNION);
}

export function Country({ test }: { test: string }) {
  useEffect(() => {
    if (known.value.length === 0) ask().catch(() => {});
  }, []);
  const names = new Intl.DisplayNames(locale.value, { type: "region" });
  return (
    <label>
      {t("camp.country")}
      <input
        name="country"
        list={`${test}-known`}
        maxLength={2}
        pattern="[A-Za-z]{2}"
        placeholder={t("camp.country.own")}
        autocomplete="off"
        data-test={test}
      />
      <datalist id={`${test}-known`}>
        {known.value.map((country) => (
          <option key={country} value={country}>
            {names.of(country)}
          </option>
        ))}
      </datalist>
    </label>
  );
}
