"""Starting and stopping stub processes. The seam is `Launcher`; a warm one can take the place of
`SpawnLauncher`.
"""

from workbench.launch.base import Launcher, StubProcess, exit_reason
from workbench.launch.output import OutputReader
from workbench.launch.spawn import SpawnLauncher, nvidia_launcher, own_launcher

__all__ = [
    "Launcher",
    "OutputReader",
    "SpawnLauncher",
    "StubProcess",
    "exit_reason",
    "nvidia_launcher",
    "own_launcher",
]
