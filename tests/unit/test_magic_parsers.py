"""Every subcommand of the magic has a parser that can be made."""

from __future__ import annotations

import pytest

from workbench.magics.triton import COMMANDS


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_options_of_a_subcommand_do_not_collide_with_the_common_ones(name: str) -> None:
    assert COMMANDS[name].parser().prog == f"%triton {name}"
