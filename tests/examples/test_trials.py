"""Installing what examples need: errors are reported, and nothing is left half done."""

from __future__ import annotations

import pytest

from control import cli
from control.errors import ExplainedError, UserError
from tests.trials import __main__ as trials
from tests.trials import tools


@pytest.fixture
def own_tools(monkeypatch, tmp_path):
    monkeypatch.setattr(tools, "TOOLS", tmp_path)
    return tmp_path


def test_an_example_that_does_not_exist_is_a_mistake_of_the_user(capsys):
    assert cli.run_main(trials.main, ["fij"]) == 2
    assert "Did you mean fiji?" in capsys.readouterr().err


def test_a_program_that_is_not_installed_is_named_with_its_package():
    with pytest.raises(UserError) as error:
        tools.require({"sh": "dash", "no-such-program": "some-package"})

    assert (
        error.value.what == "This example needs programs that are not installed: no-such-program."
    )
    assert error.value.fix == "On Debian and Ubuntu: apt-get install some-package"


def test_what_is_made_is_made_once_for_each_recipe(own_tools):
    made = []
    for recipe in ("1.0", "1.0", "2.0"):
        tools.make("program", recipe, lambda folder: made.append(sorted(folder.iterdir())))

    assert made == [[], []]
    assert tools.missing("program", "1.0") == "examples/.tools/program is not there"
    assert tools.missing("program", "2.0") == ""


def test_what_was_left_half_made_is_made_again(own_tools):
    def breaks(folder):
        (folder / "half").write_text("")
        tools.command(["sh", "-c", "echo no space >&2; exit 1"])

    with pytest.raises(ExplainedError, match="sh failed: no space"):
        tools.make("program", "1.0", breaks)
    assert tools.missing("program", "1.0")

    assert list(tools.make("program", "1.0", lambda folder: None).iterdir()) == [
        own_tools / "program/recipe"
    ]
