"""The manifest for KServe."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.models import write_model
from workbench.model_config import ModelConfig
from workbench.model_source import ModelEntry, ModelSource
from workbench.repository.kserve import inference_service
from workbench.server_errors import ExportError

yaml = pytest.importorskip("yaml")


def entry(name: str = "add_sub", **options: object) -> ModelEntry:
    config = ModelConfig.from_specs(name, ["X:FP32[1]"], ["Y:FP32[1]"], **options)  # type: ignore[arg-type]
    return ModelEntry(name, Path(name), ModelSource(""), config)


def test_the_fields() -> None:
    text = inference_service([entry(instances=2), entry("other")], "My_Models", "gs://bucket/models", "25.08")
    assert yaml.safe_load(text) == {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": {"name": "my-models"},
        "spec": {
            "predictor": {
                "model": {
                    "modelFormat": {"name": "triton", "version": "2"},
                    "protocolVersion": "v2",
                    "runtimeVersion": "25.08-py3",
                    "storageUri": "gs://bucket/models",
                    "volumeMounts": [{"name": "shm", "mountPath": "/dev/shm"}],
                },
                "volumes": [{"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": "768Mi"}}],
            }
        },
    }


def test_a_model_on_a_gpu_asks_for_one() -> None:
    text = inference_service([entry(device="gpu:0")], "m", "pvc://claim/models")
    model = yaml.safe_load(text)["spec"]["predictor"]["model"]
    assert model["resources"] == {"limits": {"nvidia.com/gpu": "1"}}
    assert "runtimeVersion" not in model


@pytest.mark.parametrize("name", ["9", "_", "été", "A" * 80 + "-"])
def test_names_are_made_fit_for_kubernetes(name: str) -> None:
    text = inference_service([entry()], name, "s3://b/m")
    made = yaml.safe_load(text)["metadata"]["name"]
    assert made[0].isalpha()
    assert made.isascii()
    assert made[-1].isalnum()
    assert len(made) <= 63
    assert made == made.lower()


@pytest.mark.parametrize("storage", ["bucket/models", "gs://", "gs://a b", 's3://x"\nkind: Pod', ""])
def test_addresses_that_are_refused(storage: str) -> None:
    with pytest.raises(ExportError, match="is no storage address"):
        inference_service([entry()], "m", storage)


def test_in_an_export(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from workbench.commands import main

    folder = write_model(tmp_path / "from", "echo")
    arguments = [
        "export",
        str(folder),
        "-o",
        str(tmp_path / "repo"),
        "--kserve",
        "gs://bucket/m",
        "--for",
        "25.08",
    ]
    assert main(arguments) == 0
    assert "inferenceservice.yaml  KServe InferenceService" in capsys.readouterr().out
    manifest = tmp_path / "repo/inferenceservice.yaml"
    before = manifest.read_bytes()
    assert yaml.safe_load(before)["metadata"]["name"] == "repo"
    (tmp_path / "from/echo").rename(tmp_path / "from/second")
    other = [*arguments[:1], str(tmp_path / "from/second"), *arguments[2:]]
    assert main(other) == 1
    assert "repo/inferenceservice.yaml is there already" in capsys.readouterr().err
    assert not (tmp_path / "repo/second").exists()
    assert manifest.read_bytes() == before
