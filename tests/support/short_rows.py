"""Runs, and lists of the new, so short that they are divided, swept and joined all the time, however small the world."""

from pytest import MonkeyPatch

from router import cells, line, rows


def short_rows(patch: MonkeyPatch) -> None:
    for module in (rows, cells):
        patch.setattr(module, "LONG", 4)
    for module in (cells, line):
        patch.setattr(module, "MAX_UNLISTED", 3)
