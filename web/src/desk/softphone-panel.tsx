// The softphone as it is seen: whether it is ready and what to do when it is not, the call it holds, keys and devices.

import { useEffect, useState } from "preact/hooks";
import { type Key, span, t } from "../shared/i18n";
import { Icon } from "../shared/icons";
import type { Call, Phone } from "./phone";
import { call, mic, needsClick, phone, ready, type State, state, wished } from "./softphone";
import { contacts, live, nameOf, now, offers } from "./store";

const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];

const stateKey = (now: State): Key => `phone.${now}` as Key;

/** What keeps this phone from being rung; a phone in another tab is no trouble. */
function trouble(): Key | null {
  const now = state.value;
  if (now === "none" || now === "tab" || now === "connecting") return null;
  if (now !== "registered") return `phone.help-${now}` as Key;
  const heard = mic.value;
  return heard === null || heard === "ok" ? null : (`phone.mic-${heard}` as Key);
}

/** Seen before going available, for else calls would come to a phone that cannot be rung. */
export function PhoneWarning() {
  const why = trouble();
  if (why === null) return null;
  return (
    <div class="missed" role="alert" data-test="phone-warning" data-why={why}>
      <Icon name="warn" /> {t("phone.not-ready")} {t(why)}
      {state.value === "registered" && (
        <button type="button" data-test="phone-check" onClick={() => void phone.value?.check()}>
          {t("retry")}
        </button>
      )}
    </div>
  );
}

/** Whose call it is: the contact's customer where the desk knows the contact, else what the exchange shows. */
function nameOfCall(holding: Call): string {
  const contact = [...contacts.value, ...offers.value.map((offer) => ({ ...offer, id: offer.contact }))].find(
    (other) => other.id === holding.contact,
  );
  return contact ? nameOf(contact.customer) : holding.from;
}

function Holding({ holding, by }: { holding: Call; by: Phone }) {
  const [keys, setKeys] = useState(false);
  const isUp = holding.state === "up";
  const isOffered = offers.value.some((offer) => offer.contact === holding.contact);
  return (
    <div class="phone-call" data-test="phone-call" data-state={holding.state} data-contact={holding.contact ?? ""}>
      <p>
        <strong>{nameOfCall(holding)}</strong>
        <span class="soft small time">
          {isUp ? span(now.value - live.offset.value - holding.since / 1000) : t(holding.state === "ringing" ? "phone.rings" : "phone.answering")}
        </span>
      </p>
      <div class="phone-buttons">
        {holding.state === "ringing" && !isOffered && (
          <button type="button" class="primary" data-test="phone-answer" onClick={() => void by.answer()}>
            <Icon name="voice" size={18} /> {t("phone.answer")}
          </button>
        )}
        {isUp && (
          <>
            <button type="button" aria-pressed={holding.muted} data-test="phone-mute" onClick={() => by.mute(!holding.muted)}>
              <Icon name={holding.muted ? "microphone-off" : "microphone"} size={18} />
              {t(holding.muted ? "phone.unmute" : "phone.mute")}
            </button>
            <button type="button" aria-expanded={keys} data-test="phone-keys" onClick={() => setKeys(!keys)}>
              <Icon name="keys" size={18} /> {t("phone.keys")}
            </button>
          </>
        )}
        {(isUp || !isOffered) && (
          <button type="button" class="danger" data-test="phone-hang-up" onClick={() => by.hangUp()}>
            <Icon name="x" size={18} /> {t(isUp ? "phone.hang-up" : "phone.reject")}
          </button>
        )}
      </div>
      {isUp && keys && (
        <div class="phone-keys" role="group" aria-label={t("phone.keys")}>
          {KEYS.map((key) => (
            <button type="button" key={key} data-test={`phone-key-${key}`} onClick={() => by.tone(key)}>
              {key}
            </button>
          ))}
        </div>
      )}
      {needsClick.value && (
        <button type="button" class="primary" data-test="phone-listen" onClick={() => void by.play()}>
          <Icon name="ear" size={18} /> {t("phone.listen")}
        </button>
      )}
    </div>
  );
}

type Devices = Awaited<ReturnType<Phone["devices"]>>;

function Choice(props: { label: string; test: string; of: MediaDeviceInfo[]; value: string; choose: (id: string) => void }) {
  return (
    <label>
      {props.label}
      <select data-test={props.test} value={props.value} onChange={(event) => props.choose(event.currentTarget.value)}>
        <option value="">{t("phone.default")}</option>
        {props.of.map((each, n) => (
          <option key={each.deviceId} value={each.deviceId}>
            {each.label || `${props.label} ${n + 1}`}
          </option>
        ))}
      </select>
    </label>
  );
}

function Devices({ by }: { by: Phone }) {
  const [found, setFound] = useState<Devices>({ input: [], output: [] });
  const heard = mic.value;
  useEffect(() => {
    const look = (): void => void by.devices().then(setFound);
    look();
    navigator.mediaDevices?.addEventListener("devicechange", look);
    return () => navigator.mediaDevices?.removeEventListener("devicechange", look);
  }, [by, heard]);
  return (
    <details class="phone-devices" data-test="phone-devices">
      <summary>{t("phone.devices")}</summary>
      <Choice label={t("phone.input")} test="phone-input" of={found.input} value={by.input} choose={(id) => void by.speakInto(id)} />
      {found.output.length > 0 && (
        <Choice label={t("phone.output")} test="phone-output" of={found.output} value={by.output} choose={(id) => void by.listenBy(id)} />
      )}
    </details>
  );
}

export function Softphone() {
  if (state.value === "none") return null;
  const by = phone.value;
  return (
    <section
      class={`softphone ${ready.value ? "is-ready" : ""}`}
      aria-label={t("phone")}
      data-test="softphone"
      data-state={state.value}
      data-mic={mic.value ?? ""}
    >
      <p class="softphone-head" role="status">
        <Icon name="voice" size={18} /> <span>{t(ready.value ? "phone.ready" : stateKey(state.value))}</span>
      </p>
      {state.value === "tab" && wished.value.length > 0 && <p class="soft small">{t("phone.tab-answers")}</p>}
      {by && call.value && <Holding holding={call.value} by={by} />}
      {by && <Devices by={by} />}
    </section>
  );
}
