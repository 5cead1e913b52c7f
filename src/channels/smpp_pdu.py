"""SMPP 3.4 on the wire: frames, short messages, long ones in parts, texts in the alphabets of phones, receipts.

Everything here is a function of bytes. What comes in is read tolerantly and never raises; what cannot be read is None.
Section numbers are those of "Short Message Peer to Peer Protocol Specification v3.4" (Issue 1.2).
"""

import hashlib
import re
import struct
from collections.abc import Iterator

import msgspec

from router.model import SendStatus

RESPONSE = 0x8000_0000
GENERIC_NACK, SUBMIT_SM, DELIVER_SM, UNBIND = 0x8000_0000, 0x04, 0x05, 0x06
BIND_TRANSCEIVER, OUTBIND, ENQUIRE_LINK, ALERT, DATA_SM = 0x09, 0x0B, 0x15, 0x102, 0x103
RECEIPTED_ID, MESSAGE_STATE, NETWORK_ERROR, PAYLOAD = 0x001E, 0x0427, 0x0423, 0x0424
SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER = 0x020C, 0x020E, 0x020F
HAS_HEADER = 0x40
MAX_PDU_BYTES = 70_000
MAX_PARTS = 10
"""Of a message of ours."""
MAX_PARTS_IN = 20
HEAD = struct.Struct(">IIII")

OK, BAD_COMMAND, FULL, THROTTLED, LATER, NEVER = 0x00, 0x03, 0x14, 0x58, 0x64, 0x65
STATUS = {
    **{0x01: "RINVMSGLEN", 0x02: "RINVCMDLEN", 0x03: "RINVCMDID", 0x04: "RINVBNDSTS", 0x05: "RALYBND", 0x08: "RSYSERR"},
    **{0x0A: "RINVSRCADR", 0x0B: "RINVDSTADR", 0x0C: "RINVMSGID", 0x0D: "RBINDFAIL", 0x0E: "RINVPASWD"},
    **{0x0F: "RINVSYSID", 0x14: "RMSGQFUL", 0x15: "RINVSERTYP", 0x34: "RINVNUMDESTS", 0x45: "RSUBMITFAIL"},
    **{0x48: "RINVSRCTON", 0x49: "RINVSRCNPI", 0x50: "RINVDSTTON", 0x51: "RINVDSTNPI", 0x53: "RINVSYSTYP"},
    **{0x58: "RTHROTTLED", 0x61: "RINVSCHED", 0x62: "RINVEXPIRY", 0x64: "RX_T_APPN", 0x65: "RX_P_APPN"},
    **{0x66: "RX_R_APPN", 0xC1: "RINVOPTPARSTREAM", 0xC4: "RINVOPTPARAMVAL", 0xFE: "RDELIVERYFAILURE"},
}
"""5.1.3, without ESME_."""
NOT_NOW = (0x08, FULL, THROTTLED, LATER)
"""Errors of a message that the SMSC did not take and may take later."""


class Pdu(msgspec.Struct, frozen=True):
    command: int
    status: int
    sequence: int
    body: bytes

    @property
    def raw(self) -> bytes:
        return frame(self.command, self.sequence, self.body, self.status)


def words(status: int) -> str:
    return f"ESME_{STATUS[status]} (0x{status:02X})" if status in STATUS else f"status 0x{status:08X}"


def frame(command: int, sequence: int, body: bytes = b"", status: int = 0) -> bytes:
    return HEAD.pack(16 + len(body), command, status, sequence) + body


def frames(raw: bytes) -> list[Pdu]:
    """The whole PDUs at the beginning of these bytes."""
    found: list[Pdu] = []
    while len(raw) >= 16:
        length, command, status, sequence = HEAD.unpack_from(raw)
        if not 16 <= length <= len(raw):
            break
        found.append(Pdu(command, status, sequence, raw[16:length]))
        raw = raw[length:]
    return found


def text_field(text: str, most: int) -> bytes:
    """A C-octet string of at most that many letters."""
    return text.encode("latin-1", "replace").replace(b"\0", b"")[:most] + b"\0"


def first_field(body: bytes) -> str:
    """The C-octet string that a body begins with: a response's message_id, an SMSC's name."""
    return body.partition(b"\0")[0].decode("latin-1")[:65]


def bind(system_id: str, password: str, system_type: str, address_range: str = "") -> bytes:
    """4.1.5. Passwords are longer than 8 letters with many an SMSC, so that is not our bound."""
    names = text_field(system_id, 64) + text_field(password, 64) + text_field(system_type, 64)
    return names + bytes((0x34, 0, 0)) + text_field(address_range, 41)


# -- short messages


class Address(msgspec.Struct, frozen=True):
    """`ton` 1 is an international number, 2 a national one, 5 a name (5.2.5)."""

    ton: int
    npi: int
    value: str


class Short(msgspec.Struct, frozen=True, kw_only=True):
    """What submit_sm, deliver_sm and data_sm have in common. `data` is the text's bytes without a header of parts."""

    source: Address
    destination: Address
    esm_class: int = 0
    data_coding: int = 0
    registered: int = 0
    data: bytes = b""
    tlvs: dict[int, bytes] = {}
    reference: int = 0
    total: int = 1
    number: int = 1

    @property
    def is_part(self) -> bool:
        return self.total > 1


class _Reader:
    def __init__(self, raw: bytes) -> None:
        self.raw, self.at = raw, 0

    def octet(self) -> int:
        self.at += 1
        return self.raw[self.at - 1]

    def text(self) -> str:
        end = self.raw.index(b"\0", self.at)
        found, self.at = self.raw[self.at : end], end + 1
        return found.decode("latin-1")

    def octets(self, count: int) -> bytes:
        found = self.raw[self.at : self.at + count]
        if len(found) < count:
            raise ValueError("too short")
        self.at += count
        return found

    def address(self) -> Address:
        return Address(self.octet(), self.octet(), self.text())

    def tlvs(self) -> dict[int, bytes]:
        """The optional parameters; what is broken ends them."""
        found: dict[int, bytes] = {}
        while len(self.raw) - self.at >= 4:
            tag, length = struct.unpack(">HH", self.octets(4))
            found[tag] = self.raw[self.at : self.at + length]
            self.at += length
        return found


def short(pdu: Pdu) -> Short | None:
    """A submit_sm, deliver_sm (4.4, 4.6) or data_sm (4.7)."""
    reader = _Reader(pdu.body)
    try:
        reader.text()  # service_type
        source, destination, esm_class = reader.address(), reader.address(), reader.octet()
        if pdu.command == DATA_SM:
            registered, coding = reader.octet(), reader.octet()
            data, tlvs = b"", reader.tlvs()
        else:
            reader.octets(2)  # protocol_id, priority_flag
            reader.text()  # schedule_delivery_time
            reader.text()  # validity_period
            registered = reader.octet()
            reader.octet()  # replace_if_present_flag
            coding = reader.octet()
            reader.octet()  # sm_default_msg_id
            data, tlvs = reader.octets(reader.octet()), reader.tlvs()
    except (IndexError, ValueError):
        return None
    data = data or tlvs.get(PAYLOAD, b"")
    reference, total, number, data = _placed(esm_class, data, tlvs)
    return Short(
        source=source,
        destination=destination,
        esm_class=esm_class,
        data_coding=coding,
        registered=registered,
        data=data,
        tlvs=tlvs,
        reference=reference,
        total=total,
        number=number,
    )


def _placed(esm_class: int, data: bytes, tlvs: dict[int, bytes]) -> tuple[int, int, int, bytes]:
    """(reference, how many parts, which one, the part's text): by its header (3GPP TS 23.040, 9.2.3.24) or sar TLVs."""
    place = tuple(int.from_bytes(tlvs.get(tag, b"")[:2], "big") for tag in (SAR_REFERENCE, SAR_TOTAL, SAR_NUMBER))
    if esm_class & HAS_HEADER and data:
        head, data = data[1 : 1 + data[0]], data[1 + data[0] :]
        while len(head) >= 2:
            kind, inner = head[0], head[2 : 2 + head[1]]
            if kind == 0x00 and len(inner) == 3:
                place = (inner[0], inner[1], inner[2])
            elif kind == 0x08 and len(inner) == 4:
                place = (inner[0] << 8 | inner[1], inner[2], inner[3])
            head = head[2 + head[1] :]
    reference, total, number = place
    if 1 < total <= MAX_PARTS_IN and 1 <= number <= total:
        return reference, total, number, data
    return 0, 1, 1, data


def submit(message: Short, headed: bytes = b"") -> bytes:
    """The body of a submit_sm. `headed`: the header of a part. What is longer than 254 octets goes as message_payload."""
    data = headed + message.data
    inside = data if len(data) <= 254 else b""
    tlvs = dict(message.tlvs) if inside or not data else {**message.tlvs, PAYLOAD: data}
    return b"".join(
        (
            b"\0",
            *(bytes((a.ton, a.npi)) + text_field(a.value, 20) for a in (message.source, message.destination)),
            bytes((message.esm_class | (HAS_HEADER if headed else 0), 0, 0)),
            b"\0\0",
            bytes((message.registered, 0, message.data_coding, 0, len(inside))),
            inside,
            *(struct.pack(">HH", tag, len(value)) + value for tag, value in tlvs.items()),
        )
    )


def identity(pdus: list[Pdu], id_tag: int = RECEIPTED_ID) -> tuple[str, bool]:
    """A name for what was said, and whether it is the SMSC's own (its message id, where it tells one in a TLV).

    Its id stands with a hash of who says what to whom, for some begin to count anew. Without one it is a hash of the
    whole bodies: the same for a PDU that comes again, and for one that says the same anew.
    """
    read = [one for pdu in pdus if (one := short(pdu)) is not None]
    named = [first_field(one.tlvs.get(id_tag, b"")) for one in read]
    if named and all(named):
        said = [f"{one.source.value}\0{one.destination.value}\0".encode() + one.data for one in read]
        name = named[0] if len(named) == 1 else digest("\0".join(named).encode())
        return f"{name}.{digest(b''.join(said))[:16]}", True
    return digest(b"".join(pdu.body for pdu in pdus)), False


def digest(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:32]


# -- texts

GSM = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿"
    "abcdefghijklmnopqrstuvwxyzäöñüà"
)
GSM_MORE = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
"""3GPP TS 23.038, 6.2.1: the default alphabet and what follows its escape; one octet for each, as SMPP has it."""
GSM_BYTES = {letter: bytes((at,)) for at, letter in enumerate(GSM) if letter != "\x1b"} | {
    letter: bytes((0x1B, at)) for at, letter in GSM_MORE.items()
}
CODECS = {1: "latin-1", 3: "latin-1", 5: "shift_jis", 6: "iso8859_5", 7: "iso8859_8", 8: "utf-16-be", 0x0E: "cp949"}
"""5.2.19. 0x0E is KS C 5601, that is EUC-KR; cp949 writes a few more syllables the same way."""


def gsm_text(raw: bytes) -> str:
    found, letters = [], iter(raw)
    for octet in letters:
        if octet == 0x1B:
            found.append(GSM_MORE.get(next(letters, 0), " "))
        else:
            found.append(GSM[octet] if octet < 128 else "\ufffd")
    return "".join(found)


def text(raw: bytes, data_coding: int, default: str = "gsm7") -> str:
    """What these bytes say. `default` is the alphabet of data_coding 0 with this SMSC: gsm7, latin1 or euckr."""
    if data_coding & 0xF0 == 0xF0 or 0x10 <= data_coding < 0x20:  # GSM message classes
        data_coding = (0, 4, 8, 0)[data_coding >> 2 & 3]
    if data_coding in CODECS:
        return raw.decode(CODECS[data_coding], "replace")
    if data_coding in (2, 4):  # octets: as text if they are one
        try:
            return raw.decode()
        except UnicodeDecodeError:
            return raw.decode("latin-1")
    return gsm_text(raw) if default == "gsm7" else raw.decode({"euckr": "cp949"}.get(default, "latin-1"), "replace")


class Written(msgspec.Struct, frozen=True):
    """A text letter by letter, so that none is cut in two; and how many octets a lone message and a part may have."""

    data_coding: int
    letters: tuple[bytes, ...]
    alone: int
    part: int

    def pieces(self) -> list[bytes]:
        if sum(map(len, self.letters)) <= self.alone:
            return [b"".join(self.letters)]
        pieces = [b""]
        for letter in self.letters:
            if len(pieces[-1]) + len(letter) > self.part:
                pieces.append(b"")
            pieces[-1] += letter
        return pieces


def written(said: str, coding: str = "auto", default: str = "gsm7") -> Written | None:
    """A text in the alphabet that is set: auto (the SMSC's default where that will do, else UCS-2), gsm7, ucs2, euckr.

    None: it cannot be written there. 160 octets alone or 153 in a part in the default alphabet, else 140 or 134.
    """
    if coding == "euckr":
        letters = _each(said, "cp949")
        return Written(0 if default == "euckr" else 0x0E, letters, 140, 134) if letters is not None else None
    if coding in ("auto", "gsm7"):
        if default == "gsm7" or coding == "gsm7":
            known = tuple(GSM_BYTES.get(letter, b"") for letter in said)
            letters = known if all(known) else None
        else:
            letters = _each(said, {"euckr": "cp949"}.get(default, "latin-1"))
        if letters is not None or coding == "gsm7":
            wide = default == "euckr" and coding == "auto"
            return Written(0, letters, 140 if wide else 160, 134 if wide else 153) if letters is not None else None
    return Written(8, tuple(letter.encode("utf-16-be", "replace") for letter in said), 140, 134)


def _each(said: str, codec: str) -> tuple[bytes, ...] | None:
    try:
        return tuple(letter.encode(codec) for letter in said)
    except UnicodeEncodeError:
        return None


def parts(message: Short, text: Written, reference: int, long: str) -> Iterator[bytes]:
    """The bodies of the submit_sm that carry a text: with headers, or whole in a TLV (`long` is parts or payload)."""
    pieces = text.pieces() if long == "parts" else [b"".join(text.letters)]
    for number, piece in enumerate(pieces, 1):
        head = bytes((5, 0, 3, reference & 0xFF, len(pieces), number)) if len(pieces) > 1 else b""
        yield submit(msgspec.structs.replace(message, data=piece, data_coding=text.data_coding), head)


# -- receipts

STATES: dict[str, SendStatus] = {
    **{"ENROUTE": "sent", "ACCEPTD": "sent", "ACCEPTED": "sent", "DELIVRD": "delivered", "DELIVERED": "delivered"},
    **{"EXPIRED": "failed", "DELETED": "failed", "UNDELIV": "failed", "REJECTD": "failed", "REJECTED": "failed"},
    **{"UNDELIVERABLE": "failed"},
}
"""Appendix B; UNKNOWN says nothing."""
STATE_NAMES = ("", "ENROUTE", "DELIVERED", "EXPIRED", "DELETED", "UNDELIVERABLE", "ACCEPTED", "UNKNOWN", "REJECTED")
"""5.2.28."""
FIELD = re.compile(r"\b(id|stat|err):\s*(\S{1,65})", re.IGNORECASE)


class Receipt(msgspec.Struct, frozen=True):
    external: str
    status: SendStatus | None
    detail: str | None


def receipt(message: Short, ids: str = "as_is", default: str = "gsm7") -> Receipt | None:
    """What a receipt says, by its TLVs, else by its text (Appendix B); None for what is no receipt.

    One is told by its esm_class (5.2.12), or, with an SMSC that forgets that, by having both TLVs.
    """
    has_both = RECEIPTED_ID in message.tlvs and MESSAGE_STATE in message.tlvs
    if message.esm_class & 0x3C not in (0x04, 0x20) and not has_both:
        return None
    said: dict[str, str] = {}
    for name, value in FIELD.findall(text(message.data, message.data_coding, default)):
        said.setdefault(name.lower(), value)
    state = int.from_bytes(message.tlvs.get(MESSAGE_STATE, b"")[:1], "big")
    name = STATE_NAMES[state] if 0 < state < len(STATE_NAMES) else said.get("stat", "").upper()
    status = STATES.get(name)
    error = said.get("err", "")
    detail = f"{name} {error}".strip() if status == "failed" else None
    found = first_field(message.tlvs.get(RECEIPTED_ID, b"")) or said.get("id", "")
    return Receipt(external(found, ids, from_receipt=True), status, detail)


def external(name: str, ids: str, from_receipt: bool) -> str:
    """The SMSC's name of a message, the same from a response and from a receipt.

    Many tell it in hexadecimal in one and in decimal in the other: `hex_to_dec` are hexadecimal receipts of decimal
    responses, `dec_to_hex` the other way. Both are then decimal for us, whatever zeros stand before.
    """
    name = name.strip()
    if ids not in ("hex_to_dec", "dec_to_hex"):
        return name
    base = 16 if (ids == "hex_to_dec") == from_receipt else 10
    if not re.fullmatch(r"[0-9A-Fa-f]+" if base == 16 else r"[0-9]+", name):
        return name
    return str(int(name, base))
