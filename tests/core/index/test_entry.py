"""``LocalDatasetEntry`` by itself."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import atdata
from atdata.errors import CorruptDataError, FieldError
from atdata.index import LocalDatasetEntry
from atdata.index.cids import entry_cid

REF = "local://schemas/examples.TrainingSample@1.0.0"
URLS = ["s3://bucket/data-000000.tar", "s3://bucket/data-000001.tar"]
# Written by earlier releases, see "Entry CID" in their vectors.
CID = "bafyreif6ronc2r5z7nzvqyqgjxdvqqhh2yr4shz7vuc7tkaut2bmmrwxgi"


@pytest.mark.parametrize("prefix", ["", "_"])
def test_both_documented_spellings_make_the_entry_of_the_vectors(prefix: str) -> None:
    arguments: dict[str, Any] = {
        f"{prefix}name": "my-dataset",
        f"{prefix}schema_ref": REF,
        f"{prefix}data_urls": URLS,
        f"{prefix}metadata": {"source": "example", "samples": 10000},
    }
    entry = LocalDatasetEntry(**arguments)
    assert (entry.name, entry.schema_ref, entry.data_urls) == ("my-dataset", REF, URLS)
    assert entry.metadata == {"source": "example", "samples": 10000}
    assert entry.cid == CID


def test_the_arguments_may_be_positional() -> None:
    assert LocalDatasetEntry("mine", REF, URLS, {"a": 1}).metadata == {"a": 1}


def test_a_cid_and_a_uuid_of_earlier_releases_are_kept() -> None:
    entry = LocalDatasetEntry("mine", REF, URLS, _cid="bafy", _legacy_uuid="u-1")
    assert (entry.cid, entry.legacy_uuid) == ("bafy", "u-1")
    assert LocalDatasetEntry.from_record(entry.to_record()) == entry


def test_name_and_metadata_do_not_count_for_the_cid_but_order_does() -> None:
    assert LocalDatasetEntry("x", REF, URLS, {"a": 1}).cid == CID
    assert LocalDatasetEntry("x", REF, URLS[::-1]).cid != CID
    assert LocalDatasetEntry("x", REF, []).cid == entry_cid(REF, [])


def test_the_older_names_of_properties_work() -> None:
    entry = LocalDatasetEntry("mine", REF, URLS)
    assert (entry.wds_url, entry.sample_kind) == (URLS[0], REF)


def test_an_entry_is_a_value() -> None:
    entry = LocalDatasetEntry("mine", REF, URLS, {"a": [1]})
    same = LocalDatasetEntry("mine", REF, tuple(URLS), {"a": [1]})
    assert entry == same
    assert len({entry, same}) == 1
    assert entry != LocalDatasetEntry("mine", REF, URLS)
    assert entry != "mine"
    entry.data_urls.append("more")
    assert entry.metadata is not None
    entry.metadata["b"] = 2
    assert entry == same
    with pytest.raises(AttributeError):
        entry.name = "other"  # type: ignore[misc]
    assert repr(entry) == "LocalDatasetEntry('mine', revision=1, shards=2)"


def test_missing_and_unknown_arguments_are_type_errors() -> None:
    with pytest.raises(TypeError, match="needs data_urls, schema_ref"):
        LocalDatasetEntry("mine")
    with pytest.raises(TypeError, match="has no licence"):
        LocalDatasetEntry("mine", REF, URLS, licence="MIT")


WRONG: list[dict[str, Any]] = [
    {"name": 5},
    {"schema_ref": b"ref"},
    {"data_urls": "a.tar"},
    {"data_urls": [Path("a.tar")]},
    {"metadata": [1]},
    {"metadata": {"a": float("nan")}},
    {"revision": "1"},
    {"cid": 5},
    {"shards": [{"url": "a"}]},
]


@pytest.mark.parametrize("wrong", WRONG)
def test_arguments_of_the_wrong_type_are_refused(wrong: dict[str, Any]) -> None:
    arguments: dict[str, Any] = {"name": "mine", "schema_ref": REF, "data_urls": URLS}
    with pytest.raises(FieldError, match=next(iter(wrong))):
        LocalDatasetEntry(**{**arguments, **wrong})


def test_a_record_is_json_with_the_documented_names() -> None:
    record = json.loads(LocalDatasetEntry("mine", REF, URLS, {"a": 1}).to_record())
    assert record["name"] == "mine"
    assert record["schema_ref"] == REF
    assert record["data_urls"] == URLS
    assert record["metadata"] == {"a": 1}
    assert record["cid"] == CID


@pytest.mark.parametrize("body", [b"", b"\xff", b"[]", b"5", b"null", b"{", b"[" * 100_000])
def test_what_is_no_record_is_corrupt(body: bytes) -> None:
    with pytest.raises(CorruptDataError):
        LocalDatasetEntry.from_record(body)


@pytest.mark.parametrize(("digits", "number"), [(20, 1e20), (23, 1e23), (300, 1e300)])
def test_a_float_that_a_database_wrote_as_an_integer_is_read_as_the_float(
    digits: int, number: float
) -> None:
    entry = LocalDatasetEntry("a", "b", ["c"], {"n": number, "m": -number})
    integer = b"1" + b"0" * digits
    body = entry.to_record().replace(json.dumps(number).encode(), integer)
    assert integer in body
    read = LocalDatasetEntry.from_record(body)
    assert read.metadata == {"n": number, "m": -number}
    assert read == entry


@pytest.mark.parametrize("number", [2**64 + 1, -(2**63) - 1, 10**400])
def test_other_integers_beyond_64_bits_are_refused(number: int) -> None:
    with pytest.raises(FieldError, match="beyond 64 bits"):
        LocalDatasetEntry("a", "b", ["c"], {"n": number})
    body = LocalDatasetEntry("a", "b", ["c"], {"n": 0.5}).to_record()
    with pytest.raises(CorruptDataError, match="beyond 64 bits"):
        LocalDatasetEntry.from_record(body.replace(b"0.5", str(number).encode()))


def test_an_integer_given_by_a_user_beyond_64_bits_is_refused_even_if_it_is_a_float() -> None:
    with pytest.raises(FieldError, match="beyond 64 bits"):
        LocalDatasetEntry("a", "b", ["c"], {"n": 10**20})


def test_the_protocol_of_entries_is_satisfied() -> None:
    assert isinstance(LocalDatasetEntry("mine", REF, URLS), atdata.IndexEntry)
    assert not isinstance(object(), atdata.IndexEntry)
