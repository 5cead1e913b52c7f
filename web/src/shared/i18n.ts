import { effect, signal } from "@preact/signals";
import { en, type Key } from "./en";
import { local } from "./keep";
import { ko } from "./ko";

export type Locale = "ko" | "en";
export const LOCALES: Record<Locale, string> = { ko: "한국어", en: "English" };
const CATALOGUES: Record<Locale, Record<Key, string>> = { ko, en };
const STORED = "naru.locale";

function first(): Locale {
  const stored = local.get(STORED);
  if (stored === "ko" || stored === "en") return stored;
  return navigator.language.toLowerCase().startsWith("ko") ? "ko" : "en";
}

export const locale = signal<Locale>(first());
effect(() => {
  document.documentElement.lang = locale.value;
});

export function setLocale(next: Locale): void {
  local.set(STORED, next);
  locale.value = next;
}

export type { Key };

export function t(key: Key, values: Record<string, string | number> = {}): string {
  return CATALOGUES[locale.value][key].replace(/\{(\w+)\}/g, (_, name: string) => String(values[name] ?? ""));
}

/** A word of the server's if we know it, else as it is. */
export function word(prefix: string, value: string): string {
  const key = `${prefix}.${value}`;
  return key in en ? t(key as Key) : value;
}

/** Seconds as people on the phone read them: 0:07, 12:30, 3:05:00. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n: number): string => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours}:${two(minutes)}:${two(whole % 60)}` : `${minutes}:${two(whole % 60)}`;
}

const format = (seconds: number, options: Intl.DateTimeFormatOptions): string =>
  new Intl.DateTimeFormat(locale.value, options).format(seconds * 1000);

export const clock = (seconds: number): string => format(seconds, { hour: "2-digit", minute: "2-digit" });
export const day = (seconds: number): string => format(seconds, { month: "short", day: "numeric", weekday: "short" });
export const moment = (seconds: number): string =>
  format(seconds, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit" });
/** To the second, for axes of a few minutes. */
export const exactClock = (seconds: number): string =>
  format(seconds, { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" });
export const exactMoment = (seconds: number): string =>
  format(seconds, { month: "short", day: "numeric", hour: "2-digit", minute: "2-digit", second: "2-digit" });
export const shortDay = (seconds: number): string => format(seconds, { month: "numeric", day: "numeric" });
/** 24 hours, short enough for an axis. */
export const shortClock = (seconds: number): string => format(seconds, { hour: "2-digit", minute: "2-digit", hourCycle: "h23" });
export const percent = (part: number, digits = 0): string =>
  new Intl.NumberFormat(locale.value, { style: "percent", maximumFractionDigits: digits }).format(part);
export const count = (n: number): string => new Intl.NumberFormat(locale.value, { maximumFractionDigits: 1 }).format(n);
export const bytes = (n: number): string =>
  n < 1024 ? `${n} B` : n < 1048576 ? `${(n / 1024).toFixed(0)} kB` : `${(n / 1048576).toFixed(1)} MB`;
