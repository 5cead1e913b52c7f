"""When two comments of a live chat say the same: the same letters, or at least four fifths of their trigrams.

Compared is what is left without case, width (NFKC), repetition (ㅋㅋㅋㅋ, !!!!), punctuation, spaces and emoji. Digits
are neither collapsed nor near each other: `95` and `100`, or `10` and `1000`, ask for different things.
"""

import re
import unicodedata

LETTERS = 60
"""So many are compared; a chat's comment is shorter."""
NEAR = 0.8

_EMOTE = re.compile(r"\{:[^{}\s]{1,40}:\}|:[a-zA-Z0-9_-]{2,40}:")
_REPEATED = re.compile(r"(\D)\1+")
_DIGITS = re.compile(r"\d+")


class Said:
    """What a comment says, made ready for comparing."""

    __slots__ = ("digits", "grams", "letters")

    def __init__(self, text: str) -> None:
        self.letters = letters(text)
        self.digits = tuple(_DIGITS.findall(self.letters))
        starts = range(max(1, len(self.letters) - 2)) if self.letters else ()
        self.grams = frozenset(self.letters[at : at + 3] for at in starts)

    def is_near(self, other: "Said") -> bool:
        """Jaccard similarity of the trigrams, asked only where the numbers of them can reach it."""
        mine, others = len(self.grams), len(other.grams)
        if mine < NEAR * others or others < NEAR * mine or self.digits != other.digits:
            return False
        common = len(self.grams & other.grams)
        return 0 < common >= NEAR * (mine + others - common)


def letters(text: str) -> str:
    """The letters and digits of a text that are compared."""
    plain = unicodedata.normalize("NFKC", _EMOTE.sub(" ", text[: 10 * LETTERS])).casefold()
    kept = "".join(letter for letter in plain if unicodedata.category(letter)[0] in "LNM")
    return _REPEATED.sub(r"\1", kept)[:LETTERS]


ENDINGS = ("나요", "까요", "가요", "는지요", "은지요", "을까", "할까", "될까", "ですか", "ますか", "でしょうか")
OPENINGS = (
    *("who", "what", "when", "where", "which", "why", "how", "is", "are", "can", "could", "do", "does", "will", "any"),
    *("언제", "어디", "얼마", "어떻게", "어느", "무슨", "왜", "몇"),
)
_TAIL = re.compile(r"[\W_ㅋㅎㅠㅜ]+$")


def asks(text: str) -> bool:
    """Whether a text looks like a question: a question mark, or a word or ending that only questions have."""
    if "?" in text or "？" in text:
        return True
    plain = _TAIL.sub("", text.casefold()).strip()
    first = plain.split(maxsplit=1)[0] if plain else ""
    return plain.endswith(ENDINGS) or first in OPENINGS or first.startswith(("언제", "어디", "얼마", "어떻게"))
