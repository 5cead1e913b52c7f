import { useState } from "preact/hooks";
import { span, t, word } from "../shared/i18n";
import { Icon, Logo, PRESENCE_ICON } from "../shared/icons";
import { leave, me } from "../shared/login";
import { LanguageSelect } from "../shared/parts";
import { dialog } from "./dialogs";
import { muted, setMuted } from "./ring";
import { agent, commands, contacts, live, now } from "./store";

const REASONS = ["break", "lunch", "meeting", "training", "other"];

function Status() {
  const who = agent.value;
  const [after, setAfter] = useState(false);
  const presence = who?.presence ?? "offline";
  const value = presence === "away" && who?.reason ? `away:${who.reason}` : presence;
  const reasons = presence === "away" && who?.reason && !REASONS.includes(who.reason) ? [who.reason, ...REASONS] : REASONS;
  const pending = commands.open.value.findLast((command) => command.do === "status" && command.args.when !== "after");
  const shown = pending
    ? [pending.args.presence, pending.args.reason].filter(Boolean).join(":")
    : value;

  const change = (next: string): void => {
    const [wanted, reason] = next.split(":");
    commands.give("status", {
      presence: wanted,
      ...(reason ? { reason } : {}),
      ...(after && contacts.value.length ? { when: "after" } : {}),
    });
    setAfter(false);
  };

  return (
    <div class={`status is-${presence}`} data-presence={presence}>
      <Icon name={PRESENCE_ICON[presence] ?? "user"} />
      <label class="sr" for="status">
        {t("status")}
      </label>
      <select
        id="status"
        data-test="status"
        value={shown}
        disabled={who === null}
        onChange={(event) => {
          change(event.currentTarget.value);
          event.currentTarget.value = shown; // the select shows what is, not what is asked for
        }}
      >
        {presence === "unresponsive" && (
          <option value="unresponsive" disabled>
            {t("status.unresponsive")}
          </option>
        )}
        <option value="available">{t("status.available")}</option>
        <option value="away">{t("status.away")}</option>
        {reasons.map((reason) => (
          <option key={reason} value={`away:${reason}`}>
            {t("status.away")}: {word("reason", reason)}
          </option>
        ))}
        <option value="draining">{t("status.draining")}</option>
        <option value="offline">{t("status.offline")}</option>
      </select>
      {who && <span class="soft time">{span(now.value - who.since)}</span>}
      {contacts.value.length > 0 && (
        <label class="inline small">
          <input
            type="checkbox"
            checked={after}
            data-test="status-after"
            onChange={(event) => setAfter(event.currentTarget.checked)}
          />
          {t("status.after")}
        </label>
      )}
      {who?.planned && (
        <span class="badge" data-test="status-planned">
          {t("status.planned", { status: word("status", who.planned) })}
        </span>
      )}
    </div>
  );
}

function Connection() {
  const state = live.state.value;
  const waiting = commands.open.value.filter((command) => !command.refused && now.value - command.at - live.offset.value > 2);
  return (
    <span
      class={`connection ${state}`}
      role="status"
      data-test="connection"
      data-state={state === "online" ? "online" : "offline"}
      data-phase={state}
    >
      <Icon name={state === "online" ? "online" : "offline"} size={18} />
      <span>{t(`connection.${state}`)}</span>
      {waiting.length > 0 && <span>· {t("connection.waiting", { n: waiting.length })}</span>}
    </span>
  );
}

function Capacity() {
  const who = agent.value;
  if (who === null) return null;
  const words = t("capacity.used", { used: who.used_units, units: who.units });
  return (
    <span class="capacity" title={words} data-test="capacity">
      <span class="sr">{t("capacity")}</span>
      <meter min={0} max={Math.max(1, who.units)} value={who.used_units} aria-label={t("capacity")} />
      <span>
        {who.used_units} / {who.units}
      </span>
    </span>
  );
}

export function TopBar() {
  return (
    <header class="topbar">
      <span class="brand">
        <Logo />
        <span>
          <strong>{me.value?.name}</strong>
          <span class="soft small">{me.value?.workspace}</span>
        </span>
      </span>
      <Status />
      <Capacity />
      <Connection />
      <span class="tools">
        <button type="button" data-test="new-contact" onClick={() => (dialog.value = { what: "new" })}>
          <Icon name="plus" size={18} /> {t("do.new")}
        </button>
        <button
          type="button"
          class="icon-button"
          aria-pressed={!muted.value}
          aria-label={t(muted.value ? "sound.off" : "sound.on")}
          title={t(muted.value ? "sound.off" : "sound.on")}
          data-test="mute"
          onClick={() => setMuted(!muted.value)}
        >
          <Icon name={muted.value ? "mute" : "bell"} />
        </button>
        <button
          type="button"
          class="icon-button"
          aria-label={t("keys.title")}
          title={t("keys.title")}
          data-test="keys"
          onClick={() => (dialog.value = { what: "keys" })}
        >
          <Icon name="keyboard" />
        </button>
        <LanguageSelect />
        <button
          type="button"
          class="icon-button"
          aria-label={t("logout")}
          title={t("logout")}
          data-test="logout"
          onClick={() => {
            commands.forget();
            void leave();
          }}
        >
          <Icon name="logout" />
        </button>
      </span>
    </header>
  );
}
