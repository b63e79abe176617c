"""Pages made out of the code: magics, command line, errors, lint rules, settings, wire layouts.

They and the notebooks are written into ``docs/generated`` before Sphinx looks for sources.
"""

from __future__ import annotations

import inspect
import os
import shutil
from dataclasses import fields
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def _fence(text: str) -> str:
    return f"```text\n{text.rstrip()}\n```\n"


def magics() -> str:
    """Every subcommand with the help of its parser."""
    from workbench.magics.triton import COMMANDS

    parts = ["# Magics\n", "Made from the parsers themselves: `%triton SUB -h` shows the same.\n"]
    for name, command in sorted(COMMANDS.items()):
        forms = " and ".join(f"`{'%%' if form == 'cell' else '%'}triton {name}`" for form in command.forms)
        parts += [f"## {name}\n", f"{command.summary} Written {forms}.\n", _fence(repr(command.help()))]
    return "\n".join(parts)


def command_line() -> str:
    """Every verb with its help."""
    from workbench.commands import parser, verbs
    from workbench.magics.triton import COMMANDS

    top = parser()
    choices: dict[str, Any] = next(action for action in top._actions if action.dest == "verb").choices  # type: ignore[assignment]
    parts = ["# Command line\n", _fence(top.format_help())]
    for name, each in sorted(choices.items()):
        if name in verbs.NAMES:
            if name not in COMMANDS:
                continue
            text = verbs.help_text(name)
        else:
            text = each.format_help()
        parts += [f"## {name}\n", _fence(text)]
        inner = [
            action
            for action in each._actions
            if hasattr(action, "choices") and isinstance(action.choices, dict)
        ]
        for action in inner:
            for verb, deeper in sorted(action.choices.items()):
                parts += [f"### {name} {verb}\n", _fence(deeper.format_help())]
    return "\n".join(parts)


def errors() -> str:
    """The exceptions as a tree, with what each means."""
    import workbench.requirements
    import workbench.server_errors
    from workbench.errors import WorkbenchError

    workbench.requirements.__name__  # noqa: B018 - imported for the subclasses it defines
    parts = [
        "# Errors\n",
        "Every error of the workbench is a `WorkbenchError`; its `hint` says what to do next. Messages are",
        "the same on every run: no path, process id, address or time is part of them.\n",
        "| error | exit code | means |",
        "|---|---|---|",
    ]

    def walk(cls: type[WorkbenchError], depth: int) -> None:
        first = (inspect.getdoc(cls) or "").split("\n\n")[0].replace("\n", " ").replace("|", "\\|")
        if not cls.__name__.startswith("_"):
            parts.append(f"| {'&emsp;' * depth}`{cls.__name__}` | {cls.exit_code} | {first} |")
        for each in sorted(cls.__subclasses__(), key=lambda each: each.__name__):
            if each.__module__.startswith("workbench."):
                walk(each, depth + (not cls.__name__.startswith("_")))

    walk(WorkbenchError, 0)
    return "\n".join(parts) + "\n"


def lint_rules() -> str:
    """The rules of the lint, from the table at the head of the module that applies them."""
    from workbench.lint import check

    rows = [line.split(maxsplit=1) for line in (check.__doc__ or "").splitlines() if line.startswith("W")]
    return "\n".join(
        [
            "# Lint rules\n",
            "`%triton lint NAME` and `workbench lint FOLDER` say what a real server would refuse in a model,",
            "or do otherwise, with the line and what to do. `--for RELEASE` judges for one release,",
            "`--strict` makes findings an error. A rule speaks only where the source leaves no doubt.\n",
            "| rule | what it finds |",
            "|---|---|",
            *(f"| {code} | {text} |" for code, text in rows),
            "",
        ]
    )


def settings() -> str:
    """Keys of ``--backend-config`` with defaults."""
    from workbench.session.settings import Settings

    about = {}
    for line in (inspect.getdoc(Settings) or "").splitlines():
        name, sign, text = line.strip().partition(": ")
        if sign and name.isidentifier():
            about[name] = text
    rows = [
        f"| `{field.name.replace('_', '-')}` | `{field.default!r}` | {about.get(field.name, '')} |"
        for field in fields(Settings)
    ]
    return "\n".join(
        [
            "# Settings\n",
            "Keys of `--backend-config` on a `%triton model` line, of `wb.define(..., backend_config={...})`",
            "and of `wb.current().configure({...})`. Names and defaults are those of Triton.\n",
            "| key | default | |",
            "|---|---|---|",
            *rows,
            "",
        ]
    )


def layouts() -> str:
    """Wire structures per family of releases, as the compiler laid them out."""
    from workbench import _host

    parts = [
        "# Wire layout\n",
        "Offsets and sizes in bytes, as this build's compiler laid them out.",
        "Releases of one family share them.\n",
    ]
    before: dict[str, Any] = {}
    families: dict[str, list[str]] = {}
    for release in _host.RELEASES:
        families.setdefault(release.family, []).append(release.name)
    for family, names in families.items():
        layout = _host.layout(family)
        span = names[0] if len(names) == 1 else f"{names[0]} to {names[-1]}"
        parts.append(f"## {span}\n")
        changed = {name: each for name, each in layout.items() if before.get(name) != each}
        if before:
            parts.append(
                "What differs from the releases before:\n" if changed else "Only command numbers differ.\n"
            )
        for name, each in sorted(changed.items()):
            parts += [
                f"### {name} ({span})\n",
                f"{each['size']} bytes.\n",
                "| field | offset | size |",
                "|---|---|---|",
            ]
            parts += [
                f"| `{field}` | {offset} | {size} |" for field, (offset, size) in each["fields"].items()
            ]
            parts.append("")
        before = dict(layout)
    return "\n".join(parts)


PAGES = {
    "magics.md": magics,
    "command_line.md": command_line,
    "errors.md": errors,
    "settings.md": settings,
    "lint_rules.md": lint_rules,
    "wire_layout.md": layouts,
}


def write(app: Any) -> None:
    """Write all pages; those that did not change are left alone."""
    docs = Path(app.srcdir)
    # Help texts are wrapped to the terminal otherwise.
    os.environ["COLUMNS"] = "100"
    pages = {docs / "generated" / name: make().encode() for name, make in PAGES.items()}
    for notebook in sorted((ROOT / "notebooks").glob("*.ipynb")):
        pages[docs / "generated" / notebook.name] = notebook.read_bytes()
    (docs / "generated").mkdir(exist_ok=True)
    for old in set((docs / "generated").iterdir()) - set(pages):
        shutil.rmtree(old) if old.is_dir() else old.unlink()
    for path, content in pages.items():
        if not path.is_file() or path.read_bytes() != content:
            path.write_bytes(content)


def setup(app: Any) -> dict[str, Any]:
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True}
