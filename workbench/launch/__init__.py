"""Starting and stopping stub processes. The seam is `Launcher`: our stub starts warm where it can, NVIDIA's
cold.
"""

from workbench.launch.base import Launcher, StubProcess, exit_reason
from workbench.launch.output import OutputReader
from workbench.launch.spawn import SpawnLauncher, cold_launcher, nvidia_launcher
from workbench.launch.warm import WarmLauncher, WarmStatus, own_launcher

__all__ = [
    "Launcher",
    "OutputReader",
    "SpawnLauncher",
    "StubProcess",
    "WarmLauncher",
    "WarmStatus",
    "cold_launcher",
    "exit_reason",
    "nvidia_launcher",
    "own_launcher",
]
