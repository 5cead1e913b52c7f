"""`python -m naru.sim.faults --seed N [--steps M]` or `--seeds A-B`."""

import argparse
import sys

from naru.sim.faults.run import STEPS, Figures, run, shrunk


def main() -> int:
    parser = argparse.ArgumentParser(prog="naru.sim.faults", description="Fault simulation of the routing core.")
    parser.add_argument("--seed", type=int, help="one seed")
    parser.add_argument("--seeds", help="a range of seeds, as 1-1000")
    parser.add_argument("--steps", type=int, default=STEPS, help="steps of each seed")
    parser.add_argument("--digest", action="store_true", help="print the SHA-256 of each journal")
    given = parser.parse_args()
    first, _, last = (given.seeds or str(given.seed if given.seed is not None else 1)).partition("-")
    total, failed = Figures(), 0
    for seed in range(int(first), int(last or first) + 1):
        figures, failure = run(seed, given.steps)
        total.add(figures)
        if given.digest:
            print(seed, figures.digest)
        if failure is not None:
            failed += 1
            print(failure if given.seeds is None else shrunk(failure), end="\n\n")
    show(total)
    return 1 if failed else 0


def show(total: Figures) -> None:
    print(f"{total.seeds} seeds, {total.steps} steps, {sum(total.inputs.values())} inputs, {total.restores} restores")
    for name, counts in (("inputs", total.inputs), ("refused", total.refused), ("events", total.events)):
        print(f"{name}: " + ", ".join(f"{what} {count}" for what, count in counts.most_common()))


if __name__ == "__main__":
    sys.exit(main())
