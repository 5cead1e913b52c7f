"""What stands in the log, byte for byte: inputs, journal records, and the one rule by which a record counts.

JSON by msgspec; the tag `type` names an input, event or effect. A Python import path never reaches the wire.
"""

import hashlib
from typing import Literal

import msgspec

from router import effects, events, inputs
from router.model import Content, derive_id

SYSTEM = "naru"
"""The actor of what the house itself appends."""

Version = Literal[1]
"""Of journal records. A reader that meets another one stops: what it does not understand it must not skip."""


class Envelope(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """An input on its way: who wishes what of which pool. `content` is what was said, sealed; `at` is intake time."""

    id: str
    workspace: str
    pool: str
    actor: str
    at: float
    body: inputs.AnyInput
    hash: str
    content: bytes | None = None


def body_hash(body: inputs.Input, content: bytes) -> str:
    """Sixteen hex digits over what is wished and what was said: the same id must come with the same body."""
    return hashlib.sha256(msgspec.json.encode(body) + content).hexdigest()[:16]


class Reply(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """The answer to an input, in the record that decided it."""

    input: str
    hash: str
    status: int
    code: str
    contact: str | None = None


class Record(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="rec", tag_field="k"):
    """One decision: nonce and sequence of its owner, how far the input was read, log time, answers, events, effects."""

    n: str
    s: int
    i: int
    t: float
    workspace: str = ""
    pool: str = ""
    v: Version = 1
    re: tuple[Reply, ...] = ()
    ev: tuple[events.AnyEvent, ...] = ()
    fx: tuple[effects.AnyEffect, ...] = ()


class Open(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True, tag="open", tag_field="k"):
    """A claim on the shard, valid only if `prev` is the nonce in force: compare-and-set on the log itself."""

    n: str
    prev: str
    worker: str
    v: Version = 1
    code: str = ""


AnyRecord = Record | Open

encode = msgspec.json.encode
decode_record = msgspec.json.Decoder(AnyRecord).decode
decode_envelope = msgspec.json.Decoder(Envelope).decode
encode_content = msgspec.json.encode
decode_content = msgspec.json.Decoder(Content).decode


class JournalReader:
    """The validity rule, the same for every reader. Zombies' records and late duplicates are ignored and counted.

    An `open` counts if its `prev` is the nonce in force; a record counts if its nonce is in force and its number
    follows. (Durability.md: a plain nonce without `prev` is wrong, a late duplicate would revive a dead owner.)
    """

    def __init__(self, nonce: str = "", seq: int = -1, in_next: int = 0) -> None:
        self.nonce = nonce
        self.seq = seq
        self.in_next = in_next
        self.ignored = 0

    def accept(self, record: AnyRecord) -> bool:
        """Whether this record counts. Call it once per record, in log order."""
        if isinstance(record, Open):
            valid = record.prev == self.nonce and record.n != self.nonce
            if valid:
                self.nonce, self.seq = record.n, -1
        else:
            valid = record.n == self.nonce and record.s == self.seq + 1
            if valid:
                self.seq, self.in_next = record.s, record.i
        self.ignored += not valid
        return valid


def input_id(workspace: str, principal: str, key: str) -> str:
    """The id of an input: what is sent again under the same key is the same input."""
    return derive_id("input", workspace, principal, key)
