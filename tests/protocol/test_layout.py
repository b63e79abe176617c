"""Bytes and numbers on the wire, written down once more by hand from the protocol's tables, per release.

A field is ``name: (offset, size)``. Mutexes have 40 bytes, conditions 48, semaphores 32 (x86_64, glibc).
"""

from __future__ import annotations

import platform

import pytest

from workbench import _host

pytestmark = pytest.mark.skipif(
    platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc",
    reason="the tables are x86_64 and glibc",
)

Fields = dict[str, tuple[int, int]]

FAMILIES = {
    "24.04": ["24.04", "24.05", "24.06", "24.07"],
    "24.08": ["24.08", "24.09"],
    "24.10": ["24.10", "24.11", "24.12", "25.01"],
    "25.02": ["25.02", "25.03"],
    "25.04": [
        *(f"25.{month:02}" for month in range(4, 13)),
        "26.01",
        "26.02",
    ],
    "26.03": ["26.03", "26.04", "26.05", "26.06", "26.07"],
}
FAMILY = {release: family for family, releases in FAMILIES.items() for release in releases}
RELEASES = list(FAMILY)

# The head of every message that its sender waits for.
TURN: Fields = {"mu": (0, 40), "cv": (40, 48), "waiting_on_stub": (88, 1)}

#: What no release changed: name → (size, fields).
COMMON: dict[str, tuple[int, Fields]] = {
    "Queue": (
        128,
        {
            "empty": (0, 32),
            "full": (32, 32),
            "mutex": (64, 40),
            "size": (104, 8),
            "buffer": (112, 8),
            "head": (120, 4),
            "tail": (124, 4),
        },
    ),
    "Message": (
        48,
        {
            "command": (0, 4),
            "args": (8, 8),
            "inline_response": (16, 1),
            "response_handle": (24, 8),
            "response_mutex": (32, 8),
            "response_cond": (40, 8),
        },
    ),
    "String": (16, {"data": (0, 8), "length": (8, 8)}),
    "Map": (16, {"length": (0, 4), "values": (8, 8)}),
    "Pair": (16, {"key": (0, 8), "value": (8, 8)}),
    "Tensor": (24, {"memory": (0, 8), "dtype": (8, 4), "dims_count": (16, 8)}),
    "Memory": (
        56,
        {
            "gpu_pointer_offset": (0, 8),
            "use_cuda_shared_pool": (8, 1),
            "cuda_pool_offset": (16, 8),
            "memory_type": (24, 4),
            "memory_type_id": (32, 8),
            "byte_size": (40, 8),
            "memory_release_id": (48, 8),
        },
    ),
    "Error": (16, {"code": (0, 4), "message": (8, 8)}),
    "CorrelationId": (24, {"text": (0, 8), "number": (8, 8), "type": (16, 4)}),
    "Trace": (16, {"context": (0, 8), "trace": (8, 8)}),
    "Request": (
        120,
        {
            "input_count": (0, 4),
            "requested_output_count": (4, 4),
            "model_version": (8, 8),
            "flags": (16, 4),
            "address": (24, 8),
            "response_factory_address": (32, 8),
            "is_decoupled": (40, 1),
            "timeout": (48, 8),
            "preferred_memory_type": (56, 4),
            "preferred_device_id": (64, 8),
            "trace": (72, 8),
            "release_flags": (80, 4),
            "correlation_id": (88, 8),
            "model_name": (96, 8),
            "request_id": (104, 8),
            "parameters": (112, 8),
        },
    ),
    "RequestBatch": (16, {"batch_size": (0, 4), "gpu_buffers": (8, 8)}),
    "GpuBuffers": (32, {"success": (0, 1), "error": (8, 8), "buffers": (16, 8), "buffer_count": (24, 4)}),
    "InitializeResponse": (16, {"has_error": (0, 1), "is_error_set": (1, 1), "error": (8, 8)}),
    "AutoCompleteResponse": (
        32,
        {
            "has_error": (0, 1),
            "is_error_set": (1, 1),
            "error": (8, 8),
            "has_model_config": (16, 1),
            "model_config": (24, 8),
        },
    ),
    "Log": (128, {**TURN, "file": (96, 8), "line": (104, 4), "message": (112, 8), "level": (120, 4)}),
    "Cleanup": (104, {**TURN, "id": (96, 8)}),
    "IsCancelled": (
        120,
        {
            **TURN,
            "response_factory_address": (96, 8),
            "request_address": (104, 8),
            "is_cancelled": (112, 1),
        },
    ),
    "MetricMessage": (
        136,
        {
            **TURN,
            "message": (96, 8),
            "has_error": (104, 1),
            "is_error_set": (105, 1),
            "error": (112, 8),
            "value": (120, 8),
            "address": (128, 8),
        },
    ),
    "ModelLoaderMessage": (
        128,
        {
            **TURN,
            "message": (96, 8),
            "has_error": (104, 1),
            "is_error_set": (105, 1),
            "error": (112, 8),
            "is_model_ready": (120, 1),
        },
    ),
    "ResponseSend": (
        144,
        {
            "mu": (0, 40),
            "cv": (40, 48),
            "is_stub_turn": (88, 1),
            "has_error": (89, 1),
            "is_error_set": (90, 1),
            "error": (96, 8),
            "request_address": (104, 8),
            "response_factory_address": (112, 8),
            "response": (120, 8),
            "gpu_buffers": (128, 8),
            "flags": (136, 4),
        },
    ),
    "MetricFamily": (32, {"name": (0, 8), "description": (8, 8), "kind": (16, 4), "address": (24, 8)}),
    "ModelLoader": (
        40,
        {
            "name": (0, 8),
            "version": (8, 8),
            "unload_dependents": (16, 1),
            "config": (24, 8),
            "files": (32, 8),
        },
    ),
    "CudaPool": (
        176,
        {
            **TURN,
            "cuda_handle": (89, 64),
            "device_id": (156, 4),
            "error": (160, 8),
            "has_error": (168, 1),
            "is_error_set": (169, 1),
        },
    ),
}

CONTROL: Fields = {
    "stub_health": (0, 1),
    "parent_health": (1, 1),
    "uses_env": (2, 1),
    "decoupled": (3, 1),
    "parent_health_mutex": (8, 40),
    "stub_health_mutex": (48, 40),
    "stub_mq": (88, 8),
    "parent_mq": (96, 8),
    "stub_to_parent_mq": (104, 8),
    "parent_to_stub_mq": (112, 8),
    "memory_manager_mq": (120, 8),
}
RESPONSE_BATCH: Fields = {
    **TURN,
    "batch_size": (92, 4),
    "error": (96, 8),
    "has_error": (104, 1),
    "cleanup": (105, 1),
    "is_error_set": (106, 1),
    "response_size": (108, 4),
}
RESPONSE_24_04: Fields = {
    "outputs_size": (0, 4),
    "error": (8, 8),
    "has_error": (16, 1),
    "is_error_set": (17, 1),
    "id": (24, 8),
    "is_last_response": (32, 1),
}
RESPONSE_25_02: Fields = {
    "outputs_size": (0, 4),
    "parameters": (8, 8),
    "error": (16, 8),
    "has_error": (24, 1),
    "is_error_set": (25, 1),
    "id": (32, 8),
    "is_last_response": (40, 1),
}
METRIC_24_04: Fields = {
    "labels": (0, 8),
    "operation_value": (8, 8),
    "address": (16, 8),
    "family_address": (24, 8),
}
METRIC_24_08: Fields = {
    "labels": (0, 8),
    "buckets": (8, 8),
    "operation_value": (16, 8),
    "address": (24, 8),
    "family_address": (32, 8),
}
CANCEL_BLS: Fields = {**TURN, "infer_payload_id": (96, 8), "is_cancelled": (104, 1)}
USER_READINESS: Fields = {
    **TURN,
    "is_ready": (89, 1),
    "function_exists": (90, 1),
    "has_error": (91, 1),
    "is_error_set": (92, 1),
    "error": (96, 8),
}

#: What a family has in its own way.
BY_FAMILY: dict[str, dict[str, tuple[int, Fields]]] = {
    "24.04": {
        "Control": (128, CONTROL),
        "ResponseBatch": (112, RESPONSE_BATCH),
        "Response": (40, RESPONSE_24_04),
        "Metric": (32, METRIC_24_04),
    },
    "24.08": {
        "Control": (128, CONTROL),
        "ResponseBatch": (112, RESPONSE_BATCH),
        "Response": (40, RESPONSE_24_04),
        "Metric": (40, METRIC_24_08),
    },
    "24.10": {
        "Control": (128, CONTROL),
        "ResponseBatch": (120, {**RESPONSE_BATCH, "is_response_factory_deleted": (112, 1)}),
        "Response": (40, RESPONSE_24_04),
        "Metric": (40, METRIC_24_08),
    },
    "25.02": {
        "Control": (128, CONTROL),
        "ResponseBatch": (120, {**RESPONSE_BATCH, "is_response_factory_deleted": (112, 1)}),
        "Response": (48, RESPONSE_25_02),
        "Metric": (40, METRIC_24_08),
    },
    "25.04": {
        "Control": (128, CONTROL),
        "ResponseBatch": (120, {**RESPONSE_BATCH, "is_response_factory_deleted": (112, 1)}),
        "Response": (48, RESPONSE_25_02),
        "Metric": (40, METRIC_24_08),
        "CancelBls": (112, CANCEL_BLS),
    },
    "26.03": {
        "Control": (128, {**CONTROL, "has_user_readiness": (4, 1)}),
        "ResponseBatch": (120, {**RESPONSE_BATCH, "is_response_factory_deleted": (112, 1)}),
        "Response": (48, RESPONSE_25_02),
        "Metric": (40, METRIC_24_08),
        "CancelBls": (112, CANCEL_BLS),
        "UserReadiness": (104, USER_READINESS),
    },
}

#: Command → number in families 24.04 | 24.08, 24.10, 25.02 | 25.04 | 26.03. None: there is no such command.
COMMANDS: dict[str, tuple[int | None, int | None, int | None, int | None]] = {
    "ExecuteRequest": (0, 0, 0, 0),
    "ExecuteResponse": (1, 1, 1, 1),
    "InitializeRequest": (2, 2, 2, 2),
    "InitializeResponse": (3, 3, 3, 3),
    "CudaPoolInitialize": (4, 4, 4, 4),
    "FinalizeRequest": (5, 5, 5, 5),
    "FinalizeResponse": (6, 6, 6, 6),
    "LoadGpuBuffers": (7, 7, 7, 7),
    "InferExecRequest": (8, 8, 8, 8),
    "InferStreamExecRequest": (9, 9, 9, 9),
    "InferExecResponse": (10, 10, 10, 10),
    "InferStreamExecResponse": (11, 11, 11, 11),
    "ResponseSend": (12, 12, 12, 12),
    "ResponseClose": (13, 13, 13, 13),
    "AutoCompleteRequest": (14, 14, 14, 14),
    "AutoCompleteResponse": (15, 15, 15, 15),
    "Log": (16, 16, 16, 16),
    "BlsCleanup": (17, 17, 17, 17),
    "ResponseFactoryCleanup": (18, 18, 18, 18),
    "MetricFamilyNew": (19, 19, 19, 19),
    "MetricFamilyDelete": (20, 20, 20, 20),
    "MetricNew": (21, 21, 21, 21),
    "MetricDelete": (22, 22, 22, 22),
    "MetricValue": (23, 23, 23, 23),
    "MetricIncrement": (24, 24, 24, 24),
    "MetricSet": (25, 25, 25, 25),
    "MetricObserve": (None, 26, 26, 26),
    "LoadModel": (26, 27, 27, 27),
    "UnloadModel": (27, 28, 28, 28),
    "ModelReadiness": (28, 29, 29, 29),
    "IsCancelled": (29, 30, 30, 30),
    "CancelBls": (None, None, 31, 31),
    "UserReadiness": (None, None, None, 32),
}
COLUMN = {"24.04": 0, "24.08": 1, "24.10": 1, "25.02": 1, "25.04": 2, "26.03": 3}


def test_the_tables_are_about_the_same_releases() -> None:
    assert [release.name for release in _host.RELEASES] == RELEASES
    assert {release.name: release.family for release in _host.RELEASES} == FAMILY


@pytest.mark.parametrize("release", RELEASES)
def test_structures(release: str) -> None:
    wanted = COMMON | BY_FAMILY[FAMILY[release]]
    found = {name: (info["size"], info["fields"]) for name, info in _host.layout(release).items()}
    assert found == wanted


@pytest.mark.parametrize("release", RELEASES)
def test_commands(release: str) -> None:
    column = COLUMN[FAMILY[release]]
    assert {name: _host.command_number(release, name) for name in COMMANDS} == {
        name: numbers[column] for name, numbers in COMMANDS.items()
    }


def test_unknown_names_are_refused() -> None:
    with pytest.raises(ValueError, match="command"):
        _host.command_number("24.10", "Nonsense")
    with pytest.raises(ValueError, match="release"):
        _host.layout("1.0")
