"""The kernel's side of the JupyterLab extension: what happens in the session, told over a comm.

The contract with `labextension/` is docs/design/lab_link.md. Nothing here decides anything: verbs are those
of ``%triton``, data is what results give as data.
"""

from __future__ import annotations

from typing import Any

__all__ = ["attach", "detach"]

_ATTRIBUTE = "_workbench_lab"


def attach(shell: Any) -> None:
    """Let front ends open the link with this kernel. Does nothing in a shell without a kernel, or twice."""
    manager = getattr(getattr(shell, "kernel", None), "comm_manager", None)
    if manager is None or getattr(shell, _ATTRIBUTE, None) is not None:
        return
    from workbench.lab.door import Door

    door = Door(shell)
    manager.register_target(door.TARGET, door.opened)
    setattr(shell, _ATTRIBUTE, door)


def detach(shell: Any) -> None:
    """Close every link, and take no new ones."""
    door = getattr(shell, _ATTRIBUTE, None)
    if door is None:
        return
    shell.kernel.comm_manager.unregister_target(door.TARGET, door.opened)
    door.close()
    setattr(shell, _ATTRIBUTE, None)
