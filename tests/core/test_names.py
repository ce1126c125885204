"""Names and versions: what is accepted, how versions are ordered, and what paths names become."""

from __future__ import annotations

import os
import random
import unicodedata
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from atdata.errors import InvalidNameError
from atdata.index.names import (
    bump_patch,
    check_class_name,
    check_dataset_name,
    check_version,
    to_path,
    version_key,
)

GOOD_NAMES = [
    "mnist",
    "team/mnist-v2",
    "My Data (2024)",
    "a.b.c",
    "a..b",
    "数据/集",
    "Ærø 🦆",
    "a#b+c&d",
]

BAD_NAMES = [
    "",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    ".hidden",
    "a/.b",
    "-rf",
    " a",
    "a ",
    "a /b",
    "a.",
    "a./b",
    "a@b",
    "a\\b",
    "C:a",
    "a*",
    "a?",
    'a"',
    "a<b",
    "a|b",
    "a%d",
    "a%2Fb",
    "{0..3}",
    "a\0b",
    "a\nb",
    "a\tb",
    "a\x7f",
    "a\u200bb",
    "a\u202eb",
    "a\u00a0b",
    "a\ud800",
    "e\u0301",
    "a" * 201,
    "é" * 101,
]

SEGMENTS = st.text(
    st.characters(exclude_categories=["C", "Z"], exclude_characters='@\\:*?"<>|%{}/'), min_size=1
)
NAMES = st.lists(SEGMENTS, min_size=1, max_size=4).map("/".join)


@pytest.mark.parametrize("name", GOOD_NAMES)
def test_names_that_people_use_are_accepted(name: str) -> None:
    assert check_dataset_name(name) == name


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_p1_names_that_could_be_mistaken_are_refused(name: str) -> None:
    with pytest.raises(InvalidNameError, match="cannot name a dataset"):
        check_dataset_name(name)


def test_a_name_may_take_200_bytes() -> None:
    assert check_dataset_name("é" * 100)


def _accept(name: str) -> str:
    name = unicodedata.normalize("NFC", name)
    try:
        return check_dataset_name(name)
    except InvalidNameError:
        assume(False)
        raise


@given(NAMES)
def test_p1_every_name_becomes_a_path_inside_the_root(name: str) -> None:
    path = to_path(_accept(name))
    root = Path("root").absolute()
    assert os.path.normpath(root / path) == str(root / path)
    assert (root / path).is_relative_to(root)
    assert len((root / path).relative_to(root).parts) == name.count("/") + 1
    assert all(len(part) <= 180 for part in path.split("/"))
    assert path.isascii()
    assert not set(path) & set("{}*?:@\\ \"'")


@given(NAMES, NAMES)
def test_p1_two_names_never_share_a_path(left: str, right: str) -> None:
    left, right = _accept(left), _accept(right)
    assert (to_path(left) == to_path(right)) == (left == right)


def test_plain_names_are_their_own_paths() -> None:
    assert to_path("team/mnist-v2.1_x") == "team/mnist-v2.1_x"


def test_p1_a_tilde_never_means_a_home() -> None:
    assert to_path("~/~root") == "%7E/%7Eroot"


def test_long_parts_of_a_path_end_in_a_digest() -> None:
    left, right = to_path("数" * 65 + "a"), to_path("数" * 65 + "b")
    assert left != right
    assert left[:100] == right[:100]


@pytest.mark.parametrize("name", BAD_NAMES, ids=ascii)
def test_p1_a_refused_name_never_becomes_a_path(name: str) -> None:
    with pytest.raises(InvalidNameError):
        to_path(name)


@pytest.mark.parametrize("name", ["A", "MySample", "_private", "Sample_2", "a" * 100])
def test_class_names_are_ascii_identifiers(name: str) -> None:
    assert check_class_name(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        "1a",
        "a b",
        "a.b",
        "a\n",
        "class",
        "None",
        "__init__",
        "ﬁeld",
        "\u0410bc",
        "é",
        "a" * 101,
        "..",
    ],
    ids=ascii,
)
def test_d16_class_names_that_python_would_misread_are_refused(name: str) -> None:
    with pytest.raises(InvalidNameError, match="cannot name a schema"):
        check_class_name(name)


# In rising order, from the examples of Semantic Versioning 2.0.0 and our rule for builds.
ORDERED = [
    "0.0.1",
    "0.9.0",
    "0.10.0-1",
    "0.10.0",
    "1.0.0-alpha",
    "1.0.0-alpha.1",
    "1.0.0-alpha.beta",
    "1.0.0-beta",
    "1.0.0-beta.2",
    "1.0.0-beta.11",
    "1.0.0-rc.1",
    "1.0.0",
    "1.0.0+a",
    "1.0.0+b",
    "1.0.1-0.3.7",
    "1.0.1--",
    "2.0.0",
    "10.0.0",
]


def test_versions_sort_as_semantic_versioning_says() -> None:
    shuffled = random.Random(1).sample(ORDERED, len(ORDERED))
    assert sorted(shuffled, key=version_key) == ORDERED


@pytest.mark.parametrize(
    "version",
    [
        "",
        "1",
        "1.0",
        "1.0.0.0",
        "v1.0.0",
        "01.0.0",
        "1.00.0",
        "1.0.0-01",
        "1.0.0-",
        "1.0.0+",
        "1.0.0-a..b",
        "1.0.0\n",
        " 1.0.0",
        "1.0.٣",
        "-1.0.0",
        "1/../x",
        '1.0.0"""; import os',
        "1.0." + "9" * 100,
    ],
    ids=ascii,
)
def test_x5_anything_else_is_no_version(version: str) -> None:
    with pytest.raises(InvalidNameError, match="no version"):
        check_version(version)


@pytest.mark.parametrize(
    ("version", "bumped"),
    [("1.0.0", "1.0.1"), ("1.2.9", "1.2.10"), ("1.0.0-rc.1", "1.0.0"), ("1.0.0+build", "1.0.1")],
)
def test_a_bumped_version_is_the_next_release(version: str, bumped: str) -> None:
    assert bump_patch(version) == bumped


@pytest.mark.parametrize("version", ORDERED)
def test_a_bumped_version_is_always_higher(version: str) -> None:
    assert version_key(bump_patch(version)) > version_key(version)
