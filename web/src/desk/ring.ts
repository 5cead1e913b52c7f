// While an offer is open: the title flashes in every tab, and one tab (Web Locks) beeps, once somebody has touched it.

import { effect, signal } from "@preact/signals";
import { t } from "../shared/i18n";
import { local } from "../shared/keep";
import { call } from "./softphone";
import { kindKey, nameOf, offers } from "./store";

const STORED = "naru.mute";
export const muted = signal(local.get(STORED) === "1");
export function setMuted(next: boolean): void {
  muted.value = next;
  local.set(STORED, next ? "1" : null);
}
addEventListener("storage", (event) => {
  if (event.key === STORED) muted.value = event.newValue === "1";
});

const leader = signal(false);
let audio: AudioContext | null = null;

function unlock(): void {
  if (audio === null) {
    audio = new AudioContext();
    if ("locks" in navigator) {
      void navigator.locks.request("naru.ring", () => {
        leader.value = true;
        return new Promise<never>(() => {}); // held until this tab closes
      });
    } else leader.value = true;
  }
  if (audio.state === "suspended") void audio.resume();
}
for (const gesture of ["pointerdown", "keydown"]) addEventListener(gesture, unlock, { capture: true });

function beep(): void {
  if (audio === null || audio.state !== "running") return;
  for (const [hertz, after] of [
    [660, 0],
    [880, 0.18],
  ] as const) {
    const tone = audio.createOscillator();
    const gain = audio.createGain();
    const at = audio.currentTime + after;
    tone.frequency.value = hertz;
    gain.gain.setValueAtTime(0.0001, at);
    gain.gain.exponentialRampToValueAtTime(0.12, at + 0.02);
    gain.gain.exponentialRampToValueAtTime(0.0001, at + 0.16);
    tone.connect(gain).connect(audio.destination);
    tone.start(at);
    tone.stop(at + 0.17);
  }
}

let beeping = 0;
effect(() => {
  const rings = call.value?.state === "ringing" || offers.value.some((offer) => offer.direction === "inbound");
  const ring = leader.value && !muted.value && rings;
  if (ring && !beeping) {
    beep();
    beeping = window.setInterval(beep, 2_000);
  } else if (!ring && beeping) {
    clearInterval(beeping);
    beeping = 0;
  }
});

let flashing = 0;
effect(() => {
  const offer = offers.value[0];
  const plain = `${t("app.desk")} · Naru`;
  const loud = offer ? `● ${t("offer.new", { kind: t(kindKey(offer.kind)), customer: nameOf(offer.customer) })}` : plain;
  clearInterval(flashing);
  flashing = 0;
  document.title = loud;
  if (!offer) return;
  let lit = true;
  flashing = window.setInterval(() => {
    lit = !lit;
    document.title = lit ? loud : plain;
  }, 1_000);
});
