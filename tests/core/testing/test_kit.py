"""The guard of the kits: no test of theirs is lost without a word."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from atdata.testing import IndexProviderTests, IndexTests, Kit
from atdata.testing.kit import needs


class Lines(Kit):
    has_ends = True

    def test_a_line_is_straight(self) -> None: ...

    @needs("has_ends")
    def test_an_end_is_sharp(self) -> None: ...


class Endless(Lines):
    has_ends = False


class Curves(Kit):
    def test_a_line_is_straight(self) -> None: ...


@pytest.mark.parametrize("kit", [Lines, Endless])
@pytest.mark.parametrize("replacement", [None, lambda _: None], ids=["None", "function"])
def test_a_test_of_a_kit_cannot_be_replaced(kit: type[Kit], replacement: Any) -> None:
    with pytest.raises(TypeError, match="Mine redefines test_a_line_is_straight"):
        type("Mine", (kit,), {"test_a_line_is_straight": replacement})


def test_a_test_that_is_left_out_cannot_be_replaced_either() -> None:
    with pytest.raises(TypeError, match="test_an_end_is_sharp"):
        type("Mine", (Endless,), {"test_an_end_is_sharp": lambda _: None})


def test_a_test_cannot_be_replaced_by_that_of_another_class() -> None:
    with pytest.raises(TypeError, match="test_a_line_is_straight"):
        type("Mine", (Curves, Lines), {})
    with pytest.raises(TypeError, match="test_a_line_is_straight"):
        type("Mine", (type("Mixin", (), {"test_a_line_is_straight": None}), Lines), {})


@pytest.mark.parametrize("kit", [IndexProviderTests, IndexTests])
def test_tests_can_be_added(kit: type[Kit]) -> None:
    mine = type("Mine", (kit,), {"test_of_mine": lambda _: None, "is_shared": False})
    assert callable(vars(mine)["test_of_mine"])


def test_what_needs_something_that_is_not_there_is_no_test() -> None:
    assert callable(Lines.test_an_end_is_sharp)
    assert not callable(Endless.test_an_end_is_sharp)
    closed = type("Closed", (Endless,), {"has_ends": True})
    assert callable(vars(closed)["test_an_end_is_sharp"])


ADOPTED = """
import atdata, pytest
from atdata.testing import IndexProviderTests, IndexTests

class TestProvider(IndexProviderTests): pass

class TestIndex(IndexTests):
    @pytest.fixture
    def open_index(self):
        index = atdata.Index(provider="memory")
        index.add_entry(atdata.Dataset("a.tar"), name="left over")
        return lambda: index
"""


def test_what_fails_is_told_with_the_fixture_or_the_values(tmp_path: Path) -> None:
    tmp_path.joinpath("test_adopted.py").write_text(ADOPTED)
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "test_adopted.py"]
    done = subprocess.run(
        [*command, "-k", "closed_store or empty_index"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "TestProvider needs a fixture `options`" in done.stdout
    assert "assert [LocalDataset" in done.stdout
    assert "Left contains one more item" in done.stdout


WITHOUT_PYTEST = """
import sys
sys.modules["pytest"] = sys.modules["hypothesis"] = None
import atdata.testing
print(atdata.testing.check_lens_laws.__name__)
try:
    atdata.testing.IndexProviderTests
except ImportError as error:
    print(error)
"""


def test_laws_of_lenses_are_checked_without_pytest() -> None:
    command = [sys.executable, "-c", WITHOUT_PYTEST]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert output.splitlines()[0] == "check_lens_laws"
    assert "pytest" in output.splitlines()[1]
