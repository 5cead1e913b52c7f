import { useEffect, useState } from "preact/hooks";
import { span, t } from "../shared/i18n";
import { Icon } from "../shared/icons";
import { detailsOf, type OfferView } from "../shared/views";
import { call, canAccept, take, state, wished } from "./softphone";
import { commands, kindKey, live, nameOf, now, offers } from "./store";

const ROUND = 2 * Math.PI * 20;

/** How much is left until the server's `expires_at`, on the server's clock. */
function Ring({ offer }: { offer: OfferView }) {
  const [left, setLeft] = useState(offer.expires_at - live.now());
  useEffect(() => {
    const timer = setInterval(() => setLeft(offer.expires_at - live.now()), 200);
    return () => clearInterval(timer);
  }, [offer.expires_at]);
  const whole = Math.max(1, offer.expires_at - offer.made_at);
  const part = Math.min(1, Math.max(0, left / whole));
  const seconds = Math.max(0, Math.ceil(left));
  return (
    <span class={`ring ${left < 5 ? "late" : ""}`} role="timer" aria-label={t("offer.left", { s: seconds })}>
      <svg width="48" height="48" viewBox="0 0 48 48" aria-hidden="true">
        <circle cx="24" cy="24" r="20" class="ring-back" />
        <circle
          cx="24"
          cy="24"
          r="20"
          class="ring-left"
          stroke-dasharray={`${(ROUND * part).toFixed(1)} ${ROUND.toFixed(1)}`}
          transform="rotate(-90 24 24)"
        />
      </svg>
      <b>{seconds}</b>
    </span>
  );
}

function Offer({ offer }: { offer: OfferView }) {
  const asked = commands.open.value.some(
    (command) => (command.do === "accept" || command.do === "decline") && command.args.offer === offer.id,
  );
  const taken = wished.value.includes(offer.contact) && !call.value?.failed;
  const over = now.value > offer.expires_at + 1;
  // Of a campaign that shows its people first: nobody has been called yet.
  const preview = offer.campaign !== null && offer.kind === "voice" && offer.answer === "desk";
  const details = detailsOf(offer);
  const label = t("offer.new", { kind: t(kindKey(offer.kind)), customer: nameOf(offer.customer) });
  return (
    <div
      class="offer"
      role="alertdialog"
      aria-label={label}
      data-test="offer"
      data-offer={offer.id}
      data-contact={offer.contact}
      data-kind={offer.kind}
    >
      <div class="offer-main">
        <Ring offer={offer} />
        <div class="offer-words">
          <strong>{nameOf(offer.customer)}</strong>
          <span class="offer-line">
            <Icon name={offer.kind} size={16} /> {t(kindKey(offer.kind))} · {offer.queue}
          </span>
          <span class="soft">
            {offer.campaign !== null
              ? t("offer.campaign", { campaign: offer.campaign })
              : offer.direction === "outbound"
                ? t("offer.outbound")
                : t("offer.waited", { time: span(now.value - offer.waiting_since) })}
            {offer.language && ` · ${offer.language}`}
          </span>
          {offer.callback && (
            <span class="small" data-test="offer-callback">
              <Icon name="voice" size={16} /> {" "}
              {t(offer.callback.customer_first ? "offer.callback-first" : "offer.callback", { number: offer.callback.number })}
              {offer.callback.tries > 0 && ` · ${t("offer.callback-tries", { n: offer.callback.tries })}`}
            </span>
          )}
        </div>
      </div>
      {details.length > 0 && (
        <p class="soft small">
          {details.map(([name, value]) => `${name}: ${value}`).join(" · ")}
        </p>
      )}
      {over ? (
        <p class="soft">{t("offer.expired")}</p>
      ) : (
        <>
          {preview && (
            <p class="small" data-test="offer-preview">
              <Icon name="voice" size={16} /> {offer.customer.address} · {t("offer.preview")}
            </p>
          )}
          {!canAccept(offer) && (
            <p class="phone-rings" data-test="offer-phone">
              <Icon name="voice" size={18} /> {t(state.value === "taken" ? "offer.phone-elsewhere" : "offer.phone")}
            </p>
          )}
          <div class="offer-buttons">
            {canAccept(offer) && (
              <button
                type="button"
                class="primary"
                data-test="offer-accept"
                disabled={asked || taken}
                onClick={() => take(offer)}
              >
                <Icon name={preview ? "voice" : "check"} size={18} /> {t(preview ? "offer.dial" : "offer.accept")}
              </button>
            )}
            <button
              type="button"
              data-test="offer-decline"
              disabled={asked}
              onClick={() => commands.give("decline", { offer: offer.id })}
            >
              {t("offer.decline")}
            </button>
          </div>
        </>
      )}
    </div>
  );
}

export function Offers() {
  const first = offers.value[0];
  return (
    <section aria-label={t("offers")} class="offers" data-test="offers">
      <p class="sr" role="alert">
        {first && t("offer.new", { kind: t(kindKey(first.kind)), customer: nameOf(first.customer) })}
      </p>
      {offers.value.length > 0 && (
        <>
          <h2 class="column-head">{t("offers")}</h2>
          <ul>
            {offers.value.map((offer) => (
              <li key={offer.id}>
                <Offer offer={offer} />
              </li>
            ))}
          </ul>
        </>
      )}
    </section>
  );
}
