// What went wrong, in the reader's words: by the problem's code if we know it, else as the server said it.

import { Problem } from "./api";
import { t, word } from "./i18n";

export function failText(error: unknown): string {
  if (!(error instanceof Problem)) return t("failed", { why: String(error) });
  const code = error.status === 0 ? "unreachable" : error.code;
  const known = word("code", code);
  return t("failed", { why: known !== code ? known : error.detail || error.title || code });
}
