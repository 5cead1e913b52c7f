"""Where Kafka is and how to get in: what every client of it is told alike."""

import ssl
from typing import Any, Literal

import msgspec

REQUEST_MS = 3_000
METADATA_MS = 10_000


class Broker(msgspec.Struct, frozen=True, kw_only=True):
    """Where Kafka is and how to get in. `prefix` begins every topic's name."""

    servers: str
    security: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    sasl: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    username: str = ""
    password: str = ""
    replication: int = 3
    prefix: str = "naru"

    def topic(self, name: str) -> str:
        return self.prefix + name.removeprefix("naru")

    def client(self) -> dict[str, Any]:
        """What producer, consumer and admin client are told alike."""
        told: dict[str, Any] = {
            "bootstrap_servers": self.servers,
            "security_protocol": self.security,
            "request_timeout_ms": REQUEST_MS,
            "metadata_max_age_ms": METADATA_MS,
        }
        if self.security.endswith("SSL"):
            context = ssl.create_default_context(cafile=self.ca_file or None)
            if self.cert_file:
                context.load_cert_chain(self.cert_file, self.key_file or None)
            told["ssl_context"] = context
        if self.security.startswith("SASL"):
            told |= {
                "sasl_mechanism": self.sasl,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return told
