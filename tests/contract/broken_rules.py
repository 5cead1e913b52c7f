"""Rules by which a record might count, each wrong by a slip of a hand: the model must find every one of them."""

from naru.wire import AnyRecord, JournalReader, Open, Record


class _Planted(JournalReader):
    def accept(self, record: AnyRecord) -> bool:
        valid = self.opens(record) if isinstance(record, Open) else self.counts(record)
        if valid and isinstance(record, Open):
            self.nonce, self.seq = record.n, -1
        elif valid and isinstance(record, Record):
            self.seq, self.in_next = record.s, record.i
        return valid

    def opens(self, claim: Open) -> bool:
        return claim.prev == self.nonce and claim.n != self.nonce

    def counts(self, record: Record) -> bool:
        return record.n == self.nonce and record.s == self.seq + 1


class PlainNonce(_Planted):
    """A claim needs no predecessor: the latest one that is not in force comes into force."""

    def opens(self, claim: Open) -> bool:
        return claim.n != self.nonce


class AnyClaim(_Planted):
    """Every claim counts, the one in force too."""

    def opens(self, claim: Open) -> bool:
        return True


class FirstOnly(_Planted):
    """The predecessor is only looked at when there is none."""

    def opens(self, claim: Open) -> bool:
        return claim.n != self.nonce and (claim.prev == self.nonce or claim.prev != "")


class NoSequence(_Planted):
    """A record of whoever is in force counts, whatever its number."""

    def counts(self, record: Record) -> bool:
        return record.n == self.nonce


class NotBefore(_Planted):
    """A number may come a second time."""

    def counts(self, record: Record) -> bool:
        return record.n == self.nonce and self.seq <= record.s <= self.seq + 1


class AnyOwner(_Planted):
    """Only the number is looked at."""

    def counts(self, record: Record) -> bool:
        return record.s == self.seq + 1


class NumbersGoOn(_Planted):
    """A new owner must go on with the numbers of the one before."""

    def accept(self, record: AnyRecord) -> bool:
        seq = self.seq
        valid = super().accept(record)
        if valid and isinstance(record, Open):
            self.seq = seq
        return valid


PLANTED: tuple[type[JournalReader], ...] = (
    PlainNonce,
    AnyClaim,
    FirstOnly,
    NoSequence,
    NotBefore,
    AnyOwner,
    NumbersGoOn,
)
