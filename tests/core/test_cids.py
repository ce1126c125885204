"""Content identifiers: the values earlier releases made, and what is refused."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atdata.errors import FieldError, InvalidNameError
from atdata.index.cids import (
    content_cid,
    entry_cid,
    generate_cid,
    generate_cid_from_bytes,
    parse_cid,
    verify_cid,
)

EMPTY = "bafyreigbtj4x7ip5legnfznufuopl4sg4knzc2cof6duas4b3q2fy6swua"
ENTRY = "bafyreif6ronc2r5z7nzvqyqgjxdvqqhh2yr4shz7vuc7tkaut2bmmrwxgi"
MIXED = "bafyreiffqodowfn7lqn3hzvbn54uzfotlefnqv63mxm2463sfxb6hugu5q"
MIXED_BYTES = bytes.fromhex("a56161fb4004000000000000616c83f562c3a924617841016262620163636363f6")
DIGEST = "ab" * 32

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text() | st.binary(),
    lambda items: st.lists(items, max_size=3) | st.dictionaries(st.text(), items, max_size=3),
    max_leaves=8,
)


def test_the_cid_of_an_empty_map_is_the_one_earlier_releases_made() -> None:
    assert generate_cid({}) == EMPTY


def test_names_are_sorted_by_length_first_as_earlier_releases_did() -> None:
    value = {"ccc": None, "bb": 1, "a": 2.5, "l": [True, "é", -5], "x": b"\x01"}
    assert generate_cid(value) == MIXED == generate_cid_from_bytes(MIXED_BYTES)


def test_the_cid_of_an_entry_is_the_one_earlier_releases_made() -> None:
    urls = ["s3://bucket/data-000000.tar", "s3://bucket/data-000001.tar"]
    assert entry_cid("local://schemas/examples.TrainingSample@1.0.0", urls) == ENTRY


def test_the_cid_of_an_entry_depends_on_the_order_of_its_urls() -> None:
    assert entry_cid("s", ["a", "b"]) != entry_cid("s", ["b", "a"])


@given(VALUES)
def test_a_cid_is_the_same_every_time_and_verifies(value: Any) -> None:
    cid = generate_cid(value)
    assert cid.startswith("bafyrei")
    assert verify_cid(cid, value)
    assert not verify_cid(cid, [value])


@pytest.mark.parametrize("text", ["", "bafy", "not a cid", EMPTY.upper(), EMPTY + "a"])
def test_text_that_is_no_cid_verifies_nothing(text: str) -> None:
    assert not verify_cid(text, {})


NESTED: list[Any] = []
NESTED.append(NESTED)


@pytest.mark.parametrize(
    "data",
    [pytest.param(object(), id="an object"), {1: 2}, math.nan, 2**70, {"a": {1}}, "\ud800", NESTED],
    ids=ascii,
)
def test_what_dag_cbor_cannot_hold_fails_to_encode(data: Any) -> None:
    with pytest.raises(FieldError, match="Failed to encode") as caught:
        generate_cid(data)
    assert isinstance(caught.value, ValueError)


def test_a_cid_is_parsed_into_its_codes() -> None:
    parsed = parse_cid(EMPTY)
    assert (parsed["version"], parsed["codec"]) == (1, 0x71)
    assert (parsed["hash"]["code"], parsed["hash"]["size"]) == (0x12, 32)
    digest = "c19a797fa1fd590cd2e5b42d1cf5f246e29b91684e2f87404b81dc345c7a56a0"
    assert parsed["hash"]["digest"].hex() == digest


def test_cids_of_other_makers_are_parsed_too() -> None:
    blob = parse_cid("bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku")
    assert (blob["version"], blob["codec"]) == (1, 0x55)
    old = parse_cid("QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWKPAbG"[:46])
    assert (old["version"], old["codec"]) == (0, 0x70)


@given(st.text(max_size=70) | st.text("abcdefghijklmnopqrstuvwxyz234567QmzuUfF01", max_size=70))
def test_d8_no_text_makes_parsing_fail_in_a_foreign_way(text: str) -> None:
    with suppress(InvalidNameError):
        parse_cid(text)


def test_the_cid_of_content_is_that_of_the_documented_map() -> None:
    fields = [
        {
            "name": "x",
            "fieldType": {"$type": "local#primitive", "primitive": "int"},
            "optional": False,
        }
    ]
    assert content_cid(fields, [DIGEST]) == generate_cid({"fields": fields, "sha256": [DIGEST]})


def test_the_cid_of_content_depends_on_schema_shards_and_their_order() -> None:
    other = "cd" * 32
    cids = {
        content_cid([], []),
        content_cid([], [DIGEST]),
        content_cid([], [DIGEST, other]),
        content_cid([], [other, DIGEST]),
        content_cid([{"name": "x"}], [DIGEST]),
    }
    assert len(cids) == 5


@pytest.mark.parametrize("digest", ["", "ab", DIGEST.upper(), "sha256:" + DIGEST, "g" * 64])
def test_digests_have_one_spelling(digest: str) -> None:
    with pytest.raises(InvalidNameError, match="digest"):
        content_cid([], [digest])
