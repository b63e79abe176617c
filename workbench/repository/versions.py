"""Which version folders of a model a server loads."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from workbench.errors import ModelConfigError, ModelLoadError
from workbench.model_config import ModelConfig

__all__ = ["choose_version", "is_version", "versions_in"]


def is_version(name: str) -> bool:
    """Whether a folder of this name is a version: a positive number, no leading zero."""
    return name.isdecimal() and not name.startswith("0")


def versions_in(folder: Path) -> list[int]:
    """The version folders of a model directory, lowest first."""
    return sorted(int(each.name) for each in folder.iterdir() if each.is_dir() and is_version(each.name))


def choose_version(config: ModelConfig, found: Sequence[int]) -> int:
    """The one version that ``version_policy`` selects of those found; 0 if there are none.

    Raises:
        ModelConfigError: it selects several; a live model is one version.
        ModelLoadError: it selects one that is not there.
    """
    policy = config.version_policy
    chosen = list(found[-1:])
    if policy.HasField("specific"):
        chosen = sorted(policy.specific.versions)
        missing = [each for each in chosen if each not in found]
        if missing:
            there = ", ".join(map(str, found)) or "none"
            raise ModelLoadError(
                f"{config.name} has no version {missing[0]}, which its version_policy asks for",
                hint=f"versions in its folder: {there}",
            )
    elif policy.HasField("all"):
        chosen = list(found)
    elif policy.HasField("latest"):
        chosen = list(found[-max(policy.latest.num_versions, 1) :])
    if len(chosen) > 1:
        listed = ", ".join(map(str, chosen))
        raise ModelConfigError(
            f"{config.name}: version_policy selects the versions {listed}; a live model is one version",
            hint=f"version_policy {{ latest {{ num_versions: 1 }} }}, or give the folder {chosen[-1]}/",
        )
    return chosen[0] if chosen else 0
