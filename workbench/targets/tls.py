"""Certificates: whom we believe, and who we say we are. Files by path; their content is never shown."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.errors import WorkbenchUsageError

__all__ = ["Tls", "tls_problem"]

_CA_HINT = "--ca FILE names the certificate of the authority that signed the server's"
# What OpenSSL, Python's ssl and gRPC's core say → what we say, and what to do.
_PROBLEMS = (
    (
        r"hostname mismatch|IP address mismatch|doesn't match|name check failed|No match found for server",
        "its certificate is for another host name",
        "connect by the name in the certificate",
    ),
    (r"certificate has expired", "its certificate has expired", "renew the server's certificate"),
    (
        r"self[- ]signed certificate|unable to get local issuer|CERTIFICATE_VERIFY_FAILED",
        "its certificate is not trusted here",
        _CA_HINT,
    ),
    (
        r"CERTIFICATE_REQUIRED|certificate required|BAD_CERTIFICATE|bad certificate|handshake failure|"
        r"HANDSHAKE_FAILURE|UNKNOWN_CA|unknown ca",
        "it refuses our certificate, or wants one",
        "--cert FILE --key FILE say who we are",
    ),
    (
        r"WRONG_VERSION_NUMBER|wrong version number|record layer failure|http request|packet length too long",
        "it does not speak TLS",
        "http:// or grpc:// is without TLS",
    ),
    (
        r"UNEXPECTED_EOF|EOF occurred in violation|Connection reset",
        "it ended the connection before TLS was agreed on",
        "http:// or grpc:// is without TLS",
    ),
)


@dataclass(frozen=True)
class Tls:
    """Files for connections to one server, all PEM.

    Attributes:
        ca: Certificates of authorities to believe in place of the system's.
        certificate: Our own certificate, for servers that ask who we are.
        key: Its private key.

    Raises:
        WorkbenchUsageError: a file cannot be read, or certificate and key do not come together.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None

    def __post_init__(self) -> None:
        if (self.certificate is None) != (self.key is None):
            raise WorkbenchUsageError(
                "a client certificate and its key go together", hint="--cert FILE --key FILE"
            )
        for option, path in (("--ca", self.ca), ("--cert", self.certificate), ("--key", self.key)):
            if path is None:
                continue
            try:
                is_pem = b"-----BEGIN " in path.read_bytes()
            except OSError as error:
                raise WorkbenchUsageError(f"cannot read the file of {option}: {error.strerror}") from None
            if not is_pem:
                raise WorkbenchUsageError(f"the file of {option} is not in PEM form")

    def for_http(self) -> dict[str, Any]:
        """Options of tritonclient's HTTP client."""
        options: dict[str, Any] = {}
        if self.ca:
            options["ca_certs"] = str(self.ca)
        if self.certificate:
            options |= {"certfile": str(self.certificate), "keyfile": str(self.key)}
        return {"ssl_options": options}

    def for_grpc(self) -> dict[str, Any]:
        """Options of tritonclient's gRPC client."""
        return {
            "root_certificates": str(self.ca) if self.ca else None,
            "certificate_chain": str(self.certificate) if self.certificate else None,
            "private_key": str(self.key) if self.key else None,
        }


def tls_problem(text: str) -> tuple[str, str] | None:
    """What a text of a TLS library means, and a hint; None if it speaks of something else."""
    for pattern, meaning, hint in _PROBLEMS:
        if re.search(pattern, text, re.IGNORECASE):
            return meaning, hint
    return None
