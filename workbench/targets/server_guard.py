"""Runs one tritonserver and outlives neither it nor whoever asked for it.

Started as a program of its own, without the package: ``python server_guard.py GRACE PREFIX LOG REMAINS… --
COMMAND…``. Its standard input is the asker's hand: when that closes, on purpose or because the asker died,
however abruptly, the server is told to end, killed after GRACE seconds, and what its stubs left is removed.
PREFIX starts the names of this server's shared-memory regions and so appears in the arguments of its stubs,
which is how they are found. REMAINS is a command that is run once COMMAND has ended, for a server that may
outlive the process that started it: in a container.

It says ``pid N`` on standard output, or ``error TEXT``, and ends with the server's exit code (128 + n for
signal n).
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

_STUBS_NOTICE_S = 2.0  # a stub looks for its parent every 0.1 s or so (protocol: dead parent, idle stub)
#: How long REMAINS may take.
REMOVAL_SECONDS = 20.0


def stub_pids(prefix: str) -> list[int]:
    """Processes with an argument that begins with `prefix`: the stubs of the server with these regions."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:  # ended meanwhile
            continue
        if any(argument.startswith(prefix.encode()) for argument in arguments):
            found.append(int(entry.name))
    return found


def remove_leftovers(prefix: str) -> None:
    """End the stubs that outlived their server, and remove their regions."""
    deadline = time.monotonic() + _STUBS_NOTICE_S
    while stub_pids(prefix) and time.monotonic() < deadline:
        time.sleep(0.02)
    for pid in stub_pids(prefix):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    for region in Path("/dev/shm").glob(prefix + "*"):  # noqa: S108
        region.unlink(missing_ok=True)


def remove_remains(command: list[str]) -> None:
    """Run a command whose complaints nobody can do anything about: mostly that there is nothing left."""
    try:
        subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=REMOVAL_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired):
        pass


def main(argv: list[str]) -> int:
    grace, prefix, log = float(argv[0]), argv[1], argv[2]
    end = argv.index("--")
    remains, command = argv[3:end], argv[end + 1 :]
    # Ctrl-C belongs to whoever asked; the end comes through standard input only.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Path(log).open("ab") as sink:
            server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT
            )
    except OSError as error:
        print(f"error {error}", flush=True)
        return 127
    print(f"pid {server.pid}", flush=True)
    watch = select.poll()
    pidfd = os.pidfd_open(server.pid)
    watch.register(pidfd, select.POLLIN)
    watch.register(0, select.POLLIN)
    ready = [fd for fd, _ in watch.poll()]
    if pidfd not in ready:
        server.terminate()
        try:
            server.wait(grace)
        except subprocess.TimeoutExpired:
            server.kill()
    code = server.wait()
    if remains:
        remove_remains(remains)
    remove_leftovers(prefix)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
