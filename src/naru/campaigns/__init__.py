"""Whom a campaign may call or write to, and when: lists, the law of the person's country, and a ledger of every attempt."""
