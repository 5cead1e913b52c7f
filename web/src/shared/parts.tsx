// Small pieces that more than one page uses.

import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { LOCALES, type Locale, locale, setLocale, t } from "./i18n";
import { Icon } from "./icons";

/** A native modal dialog: focus is kept inside and given back, Escape closes. */
export function Dialog(props: { title: string; test: string; onClose: () => void; children: ComponentChildren }) {
  const ref = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    const dialog = ref.current;
    if (dialog && !dialog.open) dialog.showModal();
    return () => dialog?.close();
  }, []);
  return (
    <dialog ref={ref} data-test={props.test} aria-label={props.title} onClose={() => ref.current?.isConnected && props.onClose()}>
      <div class="dialog-head">
        <h2>{props.title}</h2>
        <button type="button" class="icon-button" aria-label={t("close")} data-test="dialog-close" onClick={props.onClose}>
          <Icon name="x" />
        </button>
      </div>
      {props.children}
    </dialog>
  );
}

export function LanguageSelect() {
  return (
    <label class="language">
      <Icon name="globe" size={18} />
      <span class="sr">{t("language")}</span>
      <select
        data-test="language"
        value={locale.value}
        onChange={(event) => setLocale(event.currentTarget.value as Locale)}
      >
        {Object.entries(LOCALES).map(([code, name]) => (
          <option key={code} value={code}>
            {name}
          </option>
        ))}
      </select>
    </label>
  );
}
