"""Which language a text is in: by script where that decides, else py3langid limited to the brand's languages.

Measured on 19 short customer texts: 17 right at 44 us (research, Ecosystem). Under three letters nothing is claimed.
"""

import functools
import unicodedata
from typing import Any

SCRIPTS = {"HANGUL": "ko", "HIRAGANA": "ja", "KATAKANA": "ja", "THAI": "th", "CYRILLIC": "ru", "ARABIC": "ar"}
LEAST_LETTERS = 3


def detect(text: str, languages: tuple[str, ...]) -> str | None:
    """The language, among those of the brand; None when it cannot be told or is not among them."""
    letters = [char for char in text[:2000] if char.isalpha()]
    if len(letters) < LEAST_LETTERS:
        return None
    counts: dict[str, int] = {}
    han = 0
    for char in letters:
        script = unicodedata.name(char, "").partition(" ")[0]
        if script in SCRIPTS:
            counts[SCRIPTS[script]] = counts.get(SCRIPTS[script], 0) + 1
        elif script == "CJK":
            han += 1
    if counts:
        best = max(counts, key=lambda language: counts[language])
        if counts[best] * 4 >= len(letters):
            return best if best in languages else None
    if han * 2 >= len(letters):
        return next((language for language in ("zh", "ja") if language in languages), None)
    return _by_words(text, languages)


def _by_words(text: str, languages: tuple[str, ...]) -> str | None:
    known = tuple(sorted(set(languages) - set(SCRIPTS.values()) - {"zh"}))
    if not known:
        return None
    if len(known) == 1:
        return known[0]
    found: str = _identifier(known).classify(text)[0]
    return found


@functools.lru_cache(maxsize=64)
def _identifier(languages: tuple[str, ...]) -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    identifier = LanguageIdentifier.from_pickled_model(MODEL_FILE)
    identifier.set_languages([language for language in languages if language in identifier.nb_classes])
    return identifier
