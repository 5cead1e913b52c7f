"""The garbage collector, tamed: a full collection over a great pool takes a second, and nothing of ours is cyclic.

Young objects are looked at in batches, twice at most; old ones hardly ever: `freeze` after a start takes what was built
out of sight for good. A batch bounds the pause: whatever stays (half a million who wait) is looked at with it.
"""

import gc

YOUNG, MIDDLE, OLD = 10_000, 2, 40_000
"""Objects, then collections of the generation before. Three batches are looked at in 3 ms, if all of them stay."""


def tame() -> None:
    gc.set_threshold(YOUNG, MIDDLE, OLD)


def freeze() -> None:
    """What has been built stays: collect once, then never look at it again."""
    gc.collect()
    gc.freeze()
