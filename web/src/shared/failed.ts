// What went wrong, in the reader's words: by the problem's code if we know it, else as the server said it.

import { Problem } from "./api";
import { t, word } from "./i18n";

/** As a problem these mean something else than as what became of a contact. */
const OUTCOMES = ["invalid", "refused"];

export function failText(error: unknown): string {
  if (!(error instanceof Problem)) return t("failed", { why: String(error) });
  const code = error.status === 0 ? "unreachable" : error.code;
  const known = OUTCOMES.includes(code) ? code : word("code", code);
  return t("failed", { why: known !== code ? known : error.detail || error.title || code });
}
