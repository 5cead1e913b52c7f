"""The demonstration: a whole contact center on one machine, with peers that are simulated but speak for real."""
