"""Fault simulation of the core: seeded worlds in which everything goes wrong that may, and checks after every step.

`python -m naru.sim.faults --seed N` repeats one; a seed's story is the same on every machine.
"""
