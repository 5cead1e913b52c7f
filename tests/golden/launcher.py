"""`naru` at another time: with STARTS_AT (seconds since the epoch) its clock begins there and goes on from it.

So a golden story happens on one and the same day, and what was left waiting can be taken up a moment later, years on.
"""

import os
import sys
import time

sys.path.pop(0)  # our own folder: its module names must not stand before anybody's

BEHIND_S = time.time() - float(os.environ.pop("STARTS_AT"))  # noqa: TID251 - here the real clock is replaced
_now = time.time  # noqa: TID251
time.time = lambda: _now() - BEHIND_S  # noqa: TID251

import naru.cli  # noqa: E402 - the clock is set first

if __name__ == "__main__":
    naru.cli.main()
