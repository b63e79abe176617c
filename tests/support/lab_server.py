"""A JupyterLab server for tests, with nothing of the user's: own folders, own port, own token."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from workbench.targets.server_ports import free_ports

START_S = 120.0
STOP_S = 30.0
_OPTIONS = {
    "jupyterlab": (
        "--LabApp.expose_app_in_browser=True",
        "--LabApp.extension_manager=readonly",
        "--LabApp.news_url=None",
    ),
    "notebook": ("--JupyterNotebookApp.expose_app_in_browser=True",),
}
_PAGES = {"jupyterlab": "lab/tree", "notebook": "notebooks"}


class LabServer:
    """A running server.

    Attributes:
        url: Its address, ending in a slash.
        token: What a request needs in its ``token`` parameter or ``Authorization`` header.
        notebooks: The folder it shows.
        log: Where its output goes.
        page: The path of a notebook's page, before its name.
    """

    def __init__(self, url: str, token: str, notebooks: Path, log: Path, page: str) -> None:
        self.page = page
        self.url = url
        self.token = token
        self.notebooks = notebooks
        self.log = log

    def request(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the server's REST interface; the answer's JSON, or None."""
        request = urllib.request.Request(
            f"{self.url}api/{path}",
            method=method,
            headers={"Authorization": f"token {self.token}", "Content-Type": "application/json"},
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            text = answer.read()
        return json.loads(text) if text else None

    def stop_kernels(self) -> None:
        """End every kernel, as "Shut Down All Kernels" does: a kernel gets the time to clean up."""
        for session in self.request("GET", "sessions"):
            self.request("DELETE", f"sessions/{session['id']}")
        for kernel in self.request("GET", "kernels"):
            self.request("DELETE", f"kernels/{kernel['id']}")


@contextmanager
def lab_server(folder: Path, app: str = "jupyterlab") -> Iterator[LabServer]:
    """Start a server in `folder` (which must be empty), and end it with all its kernels.

    Args:
        folder: For everything that it keeps.
        app: ``jupyterlab``, or ``notebook`` for Notebook 7.
    """
    runtime, notebooks, log = folder / "runtime", folder / "notebooks", folder / "server.log"
    labconfig = folder / "config" / "labconfig"
    for each in (runtime, notebooks, labconfig):
        each.mkdir(parents=True)
    page_config = {"disabledExtensions": {"@jupyterlab/apputils-extension:announcements": True}}
    (labconfig / "page_config.json").write_text(json.dumps(page_config))
    token = secrets.token_hex(16)
    command = [
        *(sys.executable, "-m", app, "--no-browser", "--allow-root", "--ip=127.0.0.1"),
        f"--ServerApp.root_dir={notebooks}",
        f"--ServerApp.port={free_ports(1)[0]}",  # its own search takes one that another is about to take
        *_OPTIONS[app],
    ]
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("JUPYTER")},
        "JUPYTER_CONFIG_DIR": str(folder / "config"),
        "JUPYTER_DATA_DIR": str(folder / "data"),
        "JUPYTER_RUNTIME_DIR": str(runtime),
        "JUPYTER_TOKEN": token,
        "JUPYTER_PREFER_ENV_PATH": "1",
        "IPYTHONDIR": str(folder / "ipython"),
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            cwd=notebooks,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            server = LabServer(
                _wait_for_url(process, runtime, log, token), token, notebooks, log, _PAGES[app]
            )
            yield server
            server.stop_kernels()
        finally:
            _stop(process)


def _wait_for_url(process: subprocess.Popen[bytes], runtime: Path, log: Path, token: str) -> str:
    """The address, once the server answers. It writes its file before it listens, so ask: as one
    who has its token, since another server may answer there."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            break
        for file in runtime.glob("jpserver-*.json"):
            try:
                url = str(json.loads(file.read_text())["url"])
                urllib.request.urlopen(f"{url}api/status?token={token}", timeout=5).close()
                return url
            except (ValueError, KeyError, OSError, urllib.error.URLError):
                continue
        time.sleep(0.1)
    raise RuntimeError(f"JupyterLab did not start within {START_S:.0f} s:\n{log.read_text()[-3000:]}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask, wait, then end its process group. Kernels have groups of their own; the server ends them."""
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_S)
            return
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
