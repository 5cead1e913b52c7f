"""Reading a list of people from CSV or XLSX, row by row, into what a campaign needs to know of each; or why a row is none.

Nothing is held but the row at hand. A column is known by its heading, in the words people use; one that nobody knows is
kept as an attribute. Bounds: a million rows, a hundred columns, two thousand characters a cell.
"""

import csv
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from naru.campaigns import numbers
from router.calendar import is_zone

MAX_ROWS, MAX_COLUMNS, MAX_CELL = 1_000_000, 100, 2_000
MAX_UNPACKED_BYTES = 1_000_000_000
MAX_ATTRIBUTES, MAX_ATTRIBUTE = 30, 500
ENCODINGS = ("utf-8-sig", "cp949", "latin-1")
"""As what a CSV is read, the first that fits: Korean Excel still writes cp949, and latin-1 fits everything."""
HEADINGS: dict[str, tuple[str, ...]] = {
    "phone": (
        "phone",
        "telephone",
        "tel",
        "number",
        "mobile",
        "전화번호",
        "전화",
        "휴대폰",
        "휴대전화",
        "연락처",
        "電話番号",
    ),
    "email": ("email", "mail", "이메일", "메일", "メール"),
    "handle": ("handle", "user", "아이디"),
    "name": ("name", "이름", "성명", "고객명", "氏名"),
    "country": ("country", "국가", "国"),
    "region": ("region", "state", "지역"),
    "zone": ("timezone", "zone", "시간대"),
    "language": ("language", "lang", "언어"),
    "consent": ("consent", "동의"),
    "night_consent": ("nightconsent", "야간동의"),
    "consent_source": ("consentsource", "source", "동의출처", "출처"),
}
KNOWN = {word: field for field, words in HEADINGS.items() for word in words}
CONSENTS = {
    "": "none", "none": "none", "no": "none", "n": "none", "없음": "none",
    "customer": "customer", "고객": "customer",
    "express": "express", "yes": "express", "y": "express", "opt-in": "express", "동의": "express",
}  # fmt: skip
YES = frozenset(("yes", "y", "true", "1", "동의", "예"))


class BadFile(Exception):
    """The file as a whole cannot be read. The text says why."""


class Line(NamedTuple):
    """A row by its number in the file, the heading being the first."""

    number: int
    cells: dict[str, str]


def lines(path: Path, name: str) -> Iterator[Line]:
    """The rows of a file, those that are empty left out. Raises BadFile."""
    rows = _of_workbook(path) if name.lower().endswith((".xlsx", ".xlsm")) else _of_text(path)
    heading: list[str] | None = None
    for number, row in enumerate(rows, 1):
        if number > MAX_ROWS + 1:
            raise BadFile(f"it has more than {MAX_ROWS:,} rows")
        if heading is None:
            heading = _heading(row)
            continue
        if any(row):
            yield Line(number, dict(zip(heading, row, strict=False)))
    if heading is None:
        raise BadFile("it is empty")


def _heading(row: list[str]) -> list[str]:
    if len(row) > MAX_COLUMNS:
        raise BadFile(f"it has more than {MAX_COLUMNS} columns")
    named = [_known(cell) for cell in row]
    if not {"phone", "email", "handle"} & set(named):
        raise BadFile("its first row names no column 'phone', 'email' or 'handle'")
    twice = sorted({name for name in named if name and named.count(name) > 1})
    if twice:
        raise BadFile(f"two columns are '{twice[0]}'")
    return named


def _known(heading: str) -> str:
    plain = "".join(letter for letter in heading.casefold() if letter.isalnum())
    return KNOWN.get(plain, heading.strip()[:64])


def _of_text(path: Path) -> Iterator[list[str]]:
    for encoding in ENCODINGS:
        try:
            with path.open(encoding=encoding, newline="") as file:
                for _ in file:
                    pass
            break
        except UnicodeDecodeError:
            continue
    with path.open(encoding=encoding, newline="") as file:
        sample = file.read(4096)
        file.seek(0)
        if "\0" in sample:
            raise BadFile("it is no text: save it as CSV or XLSX")
        delimiter = max(",;\t", key=sample.partition("\n")[0].count)
        try:
            for row in csv.reader(file, delimiter=delimiter, strict=True):
                yield [_cell(value) for value in row]
        except csv.Error as error:
            raise BadFile(f"its quotes do not match: {error}") from error


def _of_workbook(path: Path) -> Iterator[list[str]]:
    import openpyxl  # which takes longer to import than all the rest of a start

    with path.open("rb") as file:
        try:
            with zipfile.ZipFile(file) as packed:
                if sum(entry.file_size for entry in packed.infolist()) > MAX_UNPACKED_BYTES:
                    raise BadFile("it is too large when unpacked")
            book = openpyxl.load_workbook(file, read_only=True, data_only=True)
        except (zipfile.BadZipFile, KeyError, ValueError, SyntaxError) as error:
            raise BadFile(f"it is no workbook: {error}") from error
        try:
            for row in book.worksheets[0].iter_rows(values_only=True):
                yield [_cell(value) for value in row[: MAX_COLUMNS + 1]]
        except (
            zipfile.BadZipFile,
            IndexError,
            KeyError,
            ValueError,
            SyntaxError,
        ) as error:  # XML's errors are the last
            raise BadFile(f"its first sheet cannot be read: {error}") from error
        finally:
            book.close()


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a spreadsheet takes a number for a number
    return str(value).replace("\0", "").strip()[:MAX_CELL]


# -- a row as a person


def person(line: Line, kind: str, country: str) -> dict[str, Any] | str:
    """What is stored of a person, or in words why the row is none. `kind` is the channel's; `country` holds for numbers
    without one and for rows that name none."""
    cells = dict(line.cells)
    reached = _reached(cells, kind, cells.get("country", "").strip().upper() or country)
    if isinstance(reached, str):
        return reached
    by, value, where = reached
    consent = CONSENTS.get(cells.get("consent", "").casefold())
    if consent is None:
        return f"consent '{cells['consent'][:40]}' is none of none, customer, express"
    zone = cells.get("zone") or None
    if zone is not None and not is_zone(zone):
        return f"timezone '{zone[:40]}' does not exist"
    region = (cells.get("region") or "").upper().removeprefix(f"{where}-")[:10] or None
    if not numbers.zones(where, region, zone):
        return f"country '{where[:10]}' is none, so nobody knows what time it is there"
    own = {name: text[:MAX_ATTRIBUTE] for name, text in cells.items() if name and name not in HEADINGS and text}
    return {
        "kind": by,
        "value": value,
        "name": cells.get("name", "")[:200] or None,
        "country": where,
        "region": region,
        "zone": zone,
        "language": cells.get("language", "")[:10].lower() or None,
        "consent": consent,
        "night_consent": cells.get("night_consent", "").casefold() in YES,
        "consent_source": cells.get("consent_source", "")[:500] or None,
        "attributes": dict(list(own.items())[:MAX_ATTRIBUTES]),
    }


def _reached(cells: dict[str, str], kind: str, country: str) -> tuple[str, str, str] | str:
    """(kind of identity, value, country)."""
    if kind in ("voice", "sms"):
        written = cells.get("phone", "")
        if not written:
            return "there is no phone number"
        known = numbers.normal(written, country)
        return (
            ("phone", *known)
            if known is not None
            else f"'{written[:40]}' is no number that can be dialled in {country}"
        )
    if kind == "email":
        address = cells.get("email", "").lower()
        local, at, domain = address.rpartition("@")
        fine = (
            at and local and "." in domain and not any(letter.isspace() for letter in address) and len(address) <= 320
        )
        return ("email", address, country) if fine else f"'{address[:60]}' is no mail address"
    handle = cells.get("handle", "")
    return ("external", handle[:200], country) if handle else "there is no handle"


def numbers_of(rows: Iterable[Line], country: str) -> Iterator[tuple[int, str] | str]:
    """(row, value) of a list of those who want no calls, or why a row is none."""
    for row in rows:
        written = row.cells.get("phone") or row.cells.get("email") or row.cells.get("handle") or ""
        if "@" in written:
            yield row.number, written.lower()
            continue
        known = numbers.normal(written, country)
        yield (row.number, known[0]) if known is not None else f"row {row.number}: '{written[:40]}' is no number"
