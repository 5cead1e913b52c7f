"""One file per provider. None knows another, none talks to the network."""
