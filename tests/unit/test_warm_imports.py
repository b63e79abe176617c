"""Which modules a source imports, read from its words alone."""

from __future__ import annotations

import ast
import threading
from pathlib import Path

from workbench.launch.warm_imports import _imports

SOURCE = '''"""import not_this"""
import os, sys as s
import a.b.c as d
from e.f import g as h, i
from . import beside as b, other
from .helper import (x,
    y)
from .. import above
def f():
    import late; from later import z
    yield from f()
    raise X from e
if True: import inline
words = {"import": 1, "from": 2}
'''


def test_imports_of_every_form_are_found(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(SOURCE)
    expected = ["os", "sys", "a.b.c", "e.f", "beside", "other", "helper", "late", "later", "inline"]
    assert list(_imports(file)) == expected


def test_a_file_that_is_no_python_has_none(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_bytes(b"\xff\xfe not text")
    assert list(_imports(file)) == []
    assert list(_imports(tmp_path / "missing.py")) == []


def test_reading_goes_with_syntax_trees_in_another_thread(tmp_path: Path) -> None:
    file = tmp_path / "model.py"
    file.write_text(SOURCE * 20)
    failures: list[BaseException] = []

    def scan() -> None:
        try:
            for _ in range(40):
                list(_imports(file))
        except BaseException as error:
            failures.append(error)

    thread = threading.Thread(target=scan)
    thread.start()
    while thread.is_alive():
        ast.parse(SOURCE * 20)
    thread.join()
    assert not failures
