"""Every link and code block of the documentation: links lead somewhere, code runs, commands parse."""

from __future__ import annotations

import argparse
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from tritonclient.grpc.model_config_pb2 import ModelConfig

from workbench.commands import parser, verbs
from workbench.magics.arguments import split
from workbench.magics.triton import COMMANDS

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    if "generated" not in path.parts and "_build" not in path.parts
)
_BLOCK = re.compile(r"^```([a-z]*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
# What a shell or make understands is not ours to check.
_FOREIGN = {
    "make",
    "cmake",
    "ninja",
    "pip",
    "python",
    "python3",
    "tritonserver",
    "jupyter",
    "export",
    "cd",
    "docker",
    "sudo",
    "apt-get",
}


def blocks(page: Path, *kinds: str) -> list[str]:
    return [text for kind, text in _BLOCK.findall(page.read_text(encoding="utf-8")) if kind in kinds]


def pages_with(*kinds: str) -> list[Any]:
    return [pytest.param(page, id=str(page.relative_to(ROOT))) for page in PAGES if blocks(page, *kinds)]


@pytest.mark.parametrize("page", [pytest.param(each, id=str(each.relative_to(ROOT))) for each in PAGES])
def test_links_lead_somewhere(page: Path) -> None:
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for target in _LINK.findall(text):
        if "://" in target or target.startswith(("#", "mailto:")):
            continue
        path = page.parent / target.partition("#")[0]
        if "generated" in path.parts:  # made from the code, and from the notebooks
            path = (
                ROOT / "notebooks" / path.name if path.suffix == ".ipynb" else ROOT / "docs/_ext/generated.py"
            )
        assert path.exists(), f"{target} does not exist"


@pytest.mark.parametrize("page", pages_with("ipython"))
def test_cells_run(page: Path, shell: Any) -> None:
    try:
        for cell in blocks(page, "ipython"):
            shell.run_cell(cell, store_history=True).raise_error()
    finally:
        shell.run_cell("%unload_ext workbench")


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", pages_with("python"))
def test_python_runs(page: Path, tmp_path: Path) -> None:
    shutil.copytree(ROOT / "examples", tmp_path / "models")
    for number, text in enumerate(blocks(page, "python")):
        as_test = "def test_" in text
        name = f"test_block_{number}.py" if as_test else f"block_{number}.py"
        (tmp_path / name).write_text(text)
        words = (
            ["-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", name] if as_test else [name]
        )
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            timeout=250,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def commands(page: Path) -> list[list[str]]:
    lines = [
        line for text in blocks(page, "console", "sh") for line in text.replace("\\\n", " ").splitlines()
    ]
    return [shlex.split(line.removeprefix("$ "), comments=True) for line in lines if line.strip()]


@pytest.mark.parametrize("page", pages_with("console", "sh"))
def test_commands_parse(page: Path) -> None:
    for words in commands(page):
        if not words or words[0] in _FOREIGN or "=" in words[0]:
            continue
        assert words[0] == "workbench", f"unknown program {words[0]}"
        if words[1] in verbs.NAMES:
            verbs.parse(words[1], words[2:])
        else:
            own = words[1 : words.index("--")] if "--" in words else words[1:]
            parser().parse_args(own)


@pytest.mark.parametrize("page", [pytest.param(each, id=str(each.relative_to(ROOT))) for each in PAGES])
def test_magics_parse(page: Path) -> None:
    for line in page.read_text(encoding="utf-8").splitlines():
        if line.startswith(("    %triton ", "    %%triton ")):
            words = split(line.split("  #", 1)[0].strip().lstrip("%"))[1:]
            COMMANDS[words[0]].parser().read(words[1:])


def options_of(parser: argparse.ArgumentParser, words: list[str]) -> set[str]:
    """Of the subcommand that the words begin with."""
    known = {option for action in parser._actions for option in action.option_strings}
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and words and words[0] in action.choices:
            return known | options_of(action.choices[words[0]], words[1:])
    return known


@pytest.mark.parametrize("page", [pytest.param(each, id=str(each.relative_to(ROOT))) for each in PAGES])
def test_options_in_sentences_exist(page: Path) -> None:
    """``%triton push m --to local`` in the middle of a line."""
    text = _BLOCK.sub("", page.read_text(encoding="utf-8"))
    for door, said in re.findall(r"`(%triton|%%triton|workbench) ([^`]+)`", text):
        words = said.replace("[", " ").replace("]", " ").split()
        wanted = {word.partition("=")[0] for word in words if word.startswith("--") and len(word) > 2}
        if not wanted:
            continue
        for name in words[0].split("|"):
            if door != "workbench":
                known = options_of(COMMANDS[name].parser(), [])
            elif name in verbs.NAMES:
                known = set(re.findall(r"--[a-z-]+", verbs.help_text(name)))
            else:
                known = options_of(parser(), [name, *words[1:]])
            assert wanted <= known, (name, said)


@pytest.mark.parametrize("page", pages_with("json", "protobuf"))
def test_data_parses(page: Path) -> None:
    for text in blocks(page, "json"):
        json.loads(text)
    for text in blocks(page, "protobuf"):
        text_format.Parse(text, ModelConfig())


@pytest.mark.timeout(300)
def test_the_site_builds(tmp_path: Path) -> None:
    pytest.importorskip("myst_nb", reason="the site's tools are not installed")
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", ROOT / "docs", tmp_path],
        capture_output=True,
        text=True,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "generated/magics.html").is_file()
