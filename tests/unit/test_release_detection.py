"""Which release the stub takes its parent to be: the sources, their order, and the refusals."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import _stub

VARIABLES = ("TRITON_WORKBENCH_RELEASE", "NVIDIA_TRITON_SERVER_VERSION", "TRITON_SERVER_VERSION")


@pytest.fixture(autouse=True)
def no_release_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def detect(folder: Path) -> tuple[str, str]:
    """As a stub in `folder`, started by this process."""
    release, source = _stub.detect_release(str(folder), os.getpid())
    return release, source


@pytest.mark.parametrize(
    ("text", "release"),
    [("24.10", "24.10"), ("2.51.0", "24.10"), ("2.59.1", "25.07"), ("24.07", "24.07"), ("26.07", "26.07")],
)
def test_a_marker_file_names_release_or_server_version(tmp_path: Path, text: str, release: str) -> None:
    (tmp_path / "triton_release").write_text(text + "\n")
    assert detect(tmp_path) == (release, f"marker file {tmp_path}/triton_release")


def test_the_own_variable_wins_over_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "triton_release").write_text("24.10")
    monkeypatch.setenv("NVIDIA_TRITON_SERVER_VERSION", "25.02")
    assert detect(tmp_path)[0] == "24.10"
    monkeypatch.setenv("TRITON_WORKBENCH_RELEASE", "24.08")
    assert detect(tmp_path) == ("24.08", "environment variable TRITON_WORKBENCH_RELEASE")


def test_the_images_variables_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_SERVER_VERSION", "2.57.0")
    assert detect(tmp_path)[0] == "25.04"
    monkeypatch.setenv("NVIDIA_TRITON_SERVER_VERSION", "25.06")
    assert detect(tmp_path)[0] == "25.06"


def test_an_installation_has_a_version_file(tmp_path: Path) -> None:
    # A process whose executable lies in <installation>/bin, as tritonserver's does.
    (tmp_path / "bin").mkdir()
    (tmp_path / "TRITON_VERSION").write_text("2.48.0\n")
    sleeper = tmp_path / "bin" / "sleep"
    sleeper.write_bytes(Path("/bin/sleep").read_bytes())
    sleeper.chmod(0o755)
    process = subprocess.Popen([sleeper, "60"])
    try:
        assert _stub.detect_release(str(tmp_path / "nowhere"), process.pid) == (
            "24.07",
            f"{tmp_path}/TRITON_VERSION",
        )
    finally:
        process.kill()
        process.wait()


def test_a_newer_release_speaks_the_newest_row(tmp_path: Path) -> None:
    (tmp_path / "triton_release").write_text("27.01")
    assert detect(tmp_path)[0] == "26.07"


@pytest.mark.parametrize("text", ["23.12", "2.40.0", "latest"])
def test_an_older_or_unreadable_release_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "triton_release").write_text(text)
    with pytest.raises(ValueError, match=f"Triton release '{text}' .* is not supported"):
        detect(tmp_path)


def test_no_source_says_how_to_name_one(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"hint: set TRITON_WORKBENCH_RELEASE=YY\.MM"):
        detect(tmp_path)


def test_a_stub_started_by_hand_says_so() -> None:
    code = "import sys; from workbench._stub import main; sys.exit(main(sys.argv[1:]))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert "a Triton server starts this program" in ended.stderr
    ended = subprocess.run(
        [sys.executable, "-c", code, "only", "two"], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 1
    assert "expected 9 arguments, got 2" in ended.stderr
