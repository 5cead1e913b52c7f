"""Setting up: accounts and keys, configuration as versions, secrets."""
