"""``%triton`` and ``%%triton``: parse, call, give back the result. No logic of their own."""

from __future__ import annotations

from typing import Any

__all__ = ["load", "unload"]

_ATTRIBUTE = "_workbench_magics"


def load(shell: Any) -> None:
    """Register the magics with a shell. Prints nothing; doing it again changes nothing."""
    if getattr(shell, _ATTRIBUTE, None) is not None:
        return
    from workbench import api, lab
    from workbench.magics import model_imports
    from workbench.magics.completion import TritonMatcher
    from workbench.magics.triton import COMMANDS, TritonMagics
    from workbench.session import regions

    magics = TritonMagics(shell)
    magics.matcher = TritonMatcher(COMMANDS)
    magics.matcher.add(shell)
    shell.register_magics(magics)
    setattr(shell, _ATTRIBUTE, magics)
    model_imports.install()
    lab.attach(shell)
    regions.sweep()  # what a kernel that was killed left behind
    api.current().preload()  # in the background: the first model may find a warm process already


def unload(shell: Any) -> None:
    """Stop every model and take the magics away."""
    magics = getattr(shell, _ATTRIBUTE, None)
    if magics is None:
        return
    from workbench import api, lab
    from workbench.magics import model_imports
    from workbench.targets import servers

    lab.detach(shell)
    api.current().close()
    servers.close_all()
    magics.matcher.remove(shell)
    for kind in ("line", "cell"):
        shell.magics_manager.magics[kind].pop("triton", None)
    setattr(shell, _ATTRIBUTE, None)
    model_imports.remove()
