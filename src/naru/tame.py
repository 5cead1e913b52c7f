"""The garbage collector, tamed: a full collection over a great pool takes a second, and nothing of ours is cyclic.

Young objects are looked at in larger batches, old ones hardly ever: `freeze` after a start takes what was built out of
sight for good.
"""

import gc

YOUNG, MIDDLE, OLD = 50_000, 20, 1_000


def tame() -> None:
    gc.set_threshold(YOUNG, MIDDLE, OLD)


def freeze() -> None:
    """What has been built stays: collect once, then never look at it again."""
    gc.collect()
    gc.freeze()
