"""A desk's seat: what a desk that comes back is given."""

from agents.socket import SEAT_FRAMES, Seat


def test_a_line_cut_between_two_frames_of_one_record_loses_neither() -> None:
    seat = Seat(5)
    seat.add(6, b"A")
    seat.add(6, b"B")
    assert seat.since(6) == [b"A", b"B"]


def test_a_desk_that_was_away_too_long_is_given_the_view_anew() -> None:
    seat = Seat(5)
    assert seat.since(4) is None
    for offset in range(6, 6 + 2 * SEAT_FRAMES, 2):
        seat.add(offset, b"x")
        seat.add(offset, b"y")
    assert seat.since(6) is None
    kept = seat.since(seat.floor)
    assert kept is not None
    assert len(kept) % 2 == 0, "a record's frames are kept together or not at all"
