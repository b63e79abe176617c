"""The road to a cluster: a KServe manifest for an exported repository."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence

from workbench.model_source import ModelEntry
from workbench.server_errors import ExportError

__all__ = ["MANIFEST", "inference_service"]

#: The manifest's name in the repository. A server reads folders only.
MANIFEST = "inferenceservice.yaml"

_STORAGE = re.compile(r"[a-z][a-z0-9+.-]*://[^\s\x00-\x1f]+")


def inference_service(
    entries: Sequence[ModelEntry], name: str, storage: str, release: str = "", *, shm_mib: int = 256
) -> str:
    """An ``InferenceService`` for KServe's Triton runtime, as YAML.

    Python models talk to the server through /dev/shm, of which a container has 64 MiB: the manifest mounts
    more.

    Args:
        entries: The models of the repository.
        name: What to call the service; made fit for Kubernetes.
        storage: ``storageUri``: where the repository will lie, ``gs://bucket/repository``.
        release: The Triton release, ``25.08``; "" leaves it to the runtime.
        shm_mib: Size limit of /dev/shm for each instance of a model.

    Raises:
        ExportError: `storage` is no such address.
    """
    if not _STORAGE.fullmatch(storage):
        raise ExportError(
            f"{storage!r} is no storage address",
            hint="--kserve s3://bucket/repository, gs://…, pvc://…, https://…",
        )
    service = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:63].strip("-") or "triton"
    if not service[0].isalpha():
        service = f"triton-{service}"[:63].strip("-")
    instances = sum(len(each.config.instances) for each in entries)
    gpu = any(each.kind == "GPU" for entry in entries for each in entry.config.instances)
    lines = [
        "apiVersion: serving.kserve.io/v1beta1",
        "kind: InferenceService",
        "metadata:",
        f"  name: {json.dumps(service)}",
        "spec:",
        "  predictor:",
        "    model:",
        "      modelFormat:",
        "        name: triton",
        '        version: "2"',
        "      protocolVersion: v2",
        *([f"      runtimeVersion: {json.dumps(f'{release}-py3')}"] if release else []),
        f"      storageUri: {json.dumps(storage)}",
        *(["      resources:", "        limits:", '          nvidia.com/gpu: "1"'] if gpu else []),
        "      volumeMounts:",
        "        - name: shm",
        "          mountPath: /dev/shm",
        "    volumes:",
        "      - name: shm",
        "        emptyDir:",
        "          medium: Memory",
        f"          sizeLimit: {shm_mib * max(instances, 1)}Mi",
    ]
    return "\n".join(lines) + "\n"
