"""Certificates of an authority of our own, and a server behind TLS."""

from __future__ import annotations

import select
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import trustme


@dataclass(frozen=True)
class Certificates:
    """PEM files: the authority's, a server's for 127.0.0.1, a client's."""

    ca: Path
    server: Path
    server_key: Path
    client: Path
    client_key: Path


def make_certificates(folder: Path) -> Certificates:
    """Write certificates of a new authority."""
    authority = trustme.CA()
    found = {"ca": folder / "ca.pem"}
    authority.cert_pem.write_to_path(str(found["ca"]))
    for who, name in (("server", "127.0.0.1"), ("client", "workbench.example")):
        issued = authority.issue_cert(name)
        found[who], found[f"{who}_key"] = folder / f"{who}.pem", folder / f"{who}.key"
        issued.cert_chain_pems[0].write_to_path(str(found[who]))
        issued.private_key_pem.write_to_path(str(found[f"{who}_key"]))
    return Certificates(**found)


@contextmanager
def tls_front(port: int, files: Certificates, *, ask_client: bool = False) -> Iterator[int]:
    """A port that speaks TLS and hands on what it gets to another port of this machine; gives its number.

    Args:
        port: Where the plain server listens.
        files: The server's certificate, and the authority of its clients'.
        ask_client: Take only clients with a certificate of that authority.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.server, files.server_key)
    if ask_client:
        context.load_verify_locations(files.ca)
        context.verify_mode = ssl.CERT_REQUIRED
    listener = socket.create_server(("127.0.0.1", 0))
    threads: list[threading.Thread] = []

    def serve(raw: socket.socket) -> None:
        with suppress(OSError):  # a client that does not trust us, or that went away
            raw.settimeout(30)
            with (
                context.wrap_socket(raw, server_side=True) as outer,
                socket.create_connection(("127.0.0.1", port), timeout=30) as inner,
            ):
                _hand_on(outer, inner)

    def accept() -> None:
        with suppress(OSError):  # closed below
            while True:
                raw, _ = listener.accept()
                threads.append(threading.Thread(target=serve, args=(raw,), daemon=True))
                threads[-1].start()

    waiter = threading.Thread(target=accept, daemon=True)
    waiter.start()
    try:
        yield int(listener.getsockname()[1])
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        for each in [waiter, *threads]:
            each.join(30)


def _hand_on(outer: ssl.SSLSocket, inner: socket.socket) -> None:
    """Copy both ways until one side closes."""
    while True:
        ready = [outer] if outer.pending() else select.select([outer, inner], [], [], 30)[0]
        if not ready:
            return
        for each in ready:
            data = each.recv(65536)
            if not data:
                return
            (inner if each is outer else outer).sendall(data)
