"""The three ports of a server on loopback: free ones, and whose they are."""

from __future__ import annotations

import re
import socket
from collections.abc import Collection

import psutil

from workbench.targets.server_command import HOST

__all__ = ["free_ports", "is_listening", "says_taken"]

# What a server, or a container's engine, says when one of its ports was taken between our asking and its
# binding.
_TAKEN = re.compile(
    r"Socket '127\.0\.0\.1:\d+' already in use|[Aa]ddress already in use|Failed to bind"
    r"|port is already allocated"
)


def free_ports(count: int) -> list[int]:
    """Ports that nobody has at this moment."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for each in sockets:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in sockets]
    finally:
        for each in sockets:
            each.close()


def says_taken(log: str) -> bool:
    """Whether a server's log says that somebody else has one of its ports."""
    return _TAKEN.search(log) is not None


def is_listening(pid: int | None, ports: Collection[int]) -> bool:
    """Whether a process listens on all of these ports: another one would answer just as well."""
    try:
        sockets = psutil.Process(pid).net_connections("tcp")  # gRPC's is an IPv6 socket
    except psutil.NoSuchProcess:
        return False
    return set(ports) <= {each.laddr.port for each in sockets if each.status == psutil.CONN_LISTEN}
