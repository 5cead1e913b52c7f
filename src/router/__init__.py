"""The decision: who gets whom. Pure and deterministic: no await, no clock, no chance, no I/O.

`engine.decide(state, input, now)` is the one door; `state.apply(state, event)` is the only thing that changes a pool.
"""
