"""What leaves the house for other programs: every public state change as a CloudEvent, by webhook and by topic."""
