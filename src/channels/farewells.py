"""What callers are told before the line is cut, and the messages that they may leave.

Spoken words are for providers that read text aloud; exchanges play sounds, those of every Asterisk unless the channel's
`sounds` name others. A channel's `words` replace ours: `{voicemail: {ko: …, en: …}}`.
"""

from collections.abc import Mapping
from typing import Any

from channels.base import Account, Item
from channels.menus import KEYS
from router.inputs import LeaveLine, ReceiveMessage
from router.model import Content, Elsewhere, Identity, Thread

LANGUAGES = ("ko", "en")
OFFERS = {
    "callback": {"ko": "전화를 받으시려면 {key}번을 누르세요.", "en": "To be called back, press {key}."},
    "voicemail": {"ko": "메시지를 남기시려면 {key}번을 누르세요.", "en": "To leave a message, press {key}."},
}
MAX_WORDS, MAX_SOUND = 500, 200
NAMES_KEYS = "keys"
"""The sound that names the keys: an exchange has none for that of its own."""
LONGEST_MESSAGE_S = 180
SILENCE_S = 8
"""So much silence ends a message."""
WORDS: dict[str, dict[str, str]] = {
    "closed": {
        "ko": "지금은 전화를 받을 수 없습니다. 나중에 다시 걸어 주세요.",
        "en": "We cannot take your call at the moment. Please call again later.",
    },
    "after_hours": {
        "ko": "지금은 운영 시간이 아닙니다. 운영 시간에 다시 걸어 주세요.",
        "en": "We are closed now. Please call again during our opening hours.",
    },
    "overflowed": {
        "ko": "지금은 전화가 많아 연결할 수 없습니다. 잠시 후 다시 걸어 주세요.",
        "en": "All our lines are busy. Please call again in a while.",
    },
    "callback": {
        "ko": "순서가 되면 이 번호로 전화드리겠습니다. 끊으셔도 됩니다.",
        "en": "We will call you back when it is your turn. You may hang up now.",
    },
    "nobody_free": {
        "ko": "전화드렸으나 지금은 상담원을 연결할 수 없어 통화를 마칩니다. 불편을 드려 죄송합니다.",
        "en": "We have called you, but nobody is free to speak to you now, and we end this call. We are sorry.",
    },
    "voicemail": {
        "ko": "삐 소리가 나면 메시지를 남겨 주세요.",
        "en": "Please leave a message after the tone.",
    },
}
SOUNDS: dict[str, str] = {
    "closed": "sound:vm-nobodyavail",
    "after_hours": "sound:vm-nobodyavail",
    "overflowed": "sound:vm-nobodyavail",
    "callback": "sound:vm-goodbye",
    "nobody_free": "sound:sorry",
    "voicemail": "sound:vm-intro",
}
"""Of Asterisk's core sounds."""


def fault(settings: Mapping[str, Any]) -> str | None:
    """What is wrong with `keys`, `words` and `sounds`, in words its owner can act on."""
    for name in ("keys", "words", "sounds"):
        if not isinstance(settings.get(name, {}), dict):
            return f"settings.{name}: a table"
    for key, what in settings.get("keys", {}).items():
        if str(key) not in KEYS or not isinstance(what, str) or what not in OFFERS:
            return f"settings.keys.{str(key)[:20]}: one of 0 to 9, '*' and '#', for {' or '.join(OFFERS)}"
    for name, texts in settings.get("words", {}).items():
        good = isinstance(texts, dict) and all(
            isinstance(text, str) and len(text) <= MAX_WORDS for text in texts.values()
        )
        if name not in WORDS or not good:
            return (
                f"settings.words.{str(name)[:20]}: {', '.join(WORDS)}, each by language, {MAX_WORDS} characters at most"
            )
    for name, sound_ in settings.get("sounds", {}).items():
        if name not in (*SOUNDS, NAMES_KEYS) or not isinstance(sound_, str) or len(sound_) > MAX_SOUND:
            return (
                f"settings.sounds.{str(name)[:20]}: {', '.join((*SOUNDS, NAMES_KEYS))}, each one sound of the exchange"
            )
    return None


def words(account: Account, farewell: str, language: str | None) -> tuple[str, str]:
    """(language, text): the caller's, else the channel's, else English. Empty for no known farewell."""
    own = account.settings.get("words")
    texts = dict(WORDS.get(farewell, {}))
    if isinstance(own, dict) and isinstance(own.get(farewell), dict):
        texts |= {key: str(text)[:MAX_WORDS] for key, text in own[farewell].items()}
    for wanted in (language, account.setting("language", "ko"), "en"):
        if wanted in texts:
            return wanted, texts[wanted]
    return "en", ""


def sound(account: Account, farewell: str) -> str:
    """A media address of the exchange."""
    own = account.settings.get("sounds")
    named = own.get(farewell) if isinstance(own, dict) else None
    return named[:MAX_SOUND] if isinstance(named, str) else SOUNDS.get(farewell, "")


def keys(account: Account) -> dict[str, str]:
    """What a waiting caller may press: `keys: {"1": callback, "2": voicemail}`."""
    named = account.settings.get("keys")
    pairs = named.items() if isinstance(named, dict) else ()
    return {str(key): what for key, what in pairs if str(key) in KEYS and isinstance(what, str) and what in OFFERS}


def offered(account: Account, language: str | None) -> tuple[str, str] | None:
    """(language, words) that name the keys; None where there are none."""
    chosen = keys(account)
    spoken = language if language in LANGUAGES else account.setting("language", "ko")
    spoken = spoken if spoken in LANGUAGES else "en"
    return (spoken, " ".join(OFFERS[what][spoken].format(key=key) for key, what in chosen.items())) if chosen else None


def pressed(account: Account, call: str, key: str, press: str) -> Item | None:
    """A waiting caller's key, when it means something. `press` names this one time: who was told no, because an agent's
    phone rang, may press again once it does not."""
    what = keys(account).get(key)
    if what is None:
        return None
    body = LeaveLine(channel=account.channel, call=call, to="callback" if what == "callback" else "voicemail")
    return Item(f"{call}:{what}:{press[:80]}", body)


def left(account: Account, call: str, caller: Identity, recording: str, ref: str, name: str, media_type: str) -> Item:
    """A message that a caller has left: a task, in a conversation of its own, with the recording to be fetched."""
    body = ReceiveMessage(
        channel=account.channel,
        thread=Thread(external=call, kind="voicemail"),
        identity=caller,
        dedupe_key=recording,
        attributes={"voicemail": "yes"},
    )
    content = Content(parts=(Elsewhere(ref=ref, name=name, media_type=media_type),))
    return Item(recording, body, content)
