"""References: every spelling that was ever written, and what is none."""

from __future__ import annotations

import unicodedata
from contextlib import suppress

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from atdata.errors import InvalidNameError
from atdata.index.names import check_dataset_name
from atdata.index.references import Kind, Reference

SCHEMA = Reference("local", "schema", "MySample", "1.0.0")

SPELLINGS: list[tuple[str, Kind | None, Reference]] = [
    ("atdata://local/sampleSchema/MySample@1.0.0", None, SCHEMA),
    ("atdata://local/schema/MySample@1.0.0", None, SCHEMA),
    ("local://schemas/my.module.MySample@1.0.0", None, SCHEMA),
    ("local://schemas/MySample@1.0.0", "schema", SCHEMA),
    ("MySample@1.0.0", "schema", SCHEMA),
    ("@local/MySample@1.0.0", "schema", SCHEMA),
    ("atdata://local/sampleSchema/MySample", None, Reference("local", "schema", "MySample")),
    (
        "atdata://did:plc:abc123/sampleSchema/MySample@1.0.0-rc.1+b",
        None,
        Reference("did:plc:abc123", "schema", "MySample", "1.0.0-rc.1+b"),
    ),
    ("atdata://Alice.bsky.social/lens/a", None, Reference("alice.bsky.social", "lens", "a")),
    ("mnist", None, Reference("local", "dataset", "mnist")),
    ("team/mnist 2@12", None, Reference("local", "dataset", "team/mnist 2", "12")),
    ("@local/mnist@3", None, Reference("local", "dataset", "mnist", "3")),
    ("@alice.bsky.social/a/b", "dataset", Reference("alice.bsky.social", "dataset", "a/b")),
    (
        "@did:web:localhost%3A8080/mnist@v1",
        None,
        Reference("did:web:localhost%3A8080", "dataset", "mnist", "v1"),
    ),
    (
        "atdata://local/dataset/a%20b/%E6%95%B0@2",
        None,
        Reference("local", "dataset", "a b/数", "2"),
    ),
]


@pytest.mark.parametrize(("text", "kind", "expected"), SPELLINGS)
def test_every_spelling_is_read(text: str, kind: Kind | None, expected: Reference) -> None:
    assert Reference.parse(text, kind) == expected


@pytest.mark.parametrize(("text", "kind", "expected"), SPELLINGS)
def test_the_canonical_uri_of_every_spelling_is_read_back(
    text: str, kind: Kind | None, expected: Reference
) -> None:
    assert Reference.parse(Reference.parse(text, kind).to_uri(), expected.kind) == expected


@pytest.mark.parametrize(
    ("reference", "uri"),
    [
        (SCHEMA, "atdata://local/sampleSchema/MySample@1.0.0"),
        (
            Reference("did:web:a.org%3A80", "schema", "S"),
            "atdata://did:web:a.org%3A80/sampleSchema/S",
        ),
        (Reference("local", "dataset", "a b/é#", "2"), "atdata://local/dataset/a%20b/%C3%A9%23@2"),
        (Reference("a.org", "lens", "x"), "atdata://a.org/lens/x"),
    ],
)
def test_uris_are_written_as_rfc_3986_says(reference: Reference, uri: str) -> None:
    assert reference.to_uri() == uri


MALFORMED = [
    "",
    "@",
    "@local",
    "@local/",
    "@nodots/mnist",
    "@/mnist",
    "a@b@c",
    "mnist@",
    "mnist@1 2",
    "../mnist",
    "atdata://",
    "atdata://local",
    "atdata://local/sampleSchema",
    "atdata://local/sampleSchema/",
    "atdata://local/sampleSchema/My-Sample@1.0.0",
    "atdata://local/sampleSchema/MySample@1.0",
    "atdata://local/sampleSchema/a/MySample@1.0.0",
    "atdata://local/samples/MySample@1.0.0",
    "atdata:///dataset/a",
    "atdata://../dataset/a",
    "atdata://did:plc/dataset/a",
    "atdata://did:PLC:abc/dataset/a",
    "atdata://did:plc:abc:/dataset/a",
    "atdata://-a.org/dataset/a",
    "atdata://a..org/dataset/a",
    "atdata://127.0.0.1/dataset/a",
    "atdata://user:pw@a.org/dataset/a",
    "atdata://local/dataset/a?x=1",
    "atdata://local/dataset/a#x",
    "atdata://local/dataset/a%2",
    "atdata://local/dataset/a%zz",
    "atdata://local/dataset/%ff",
    "atdata://local/dataset/%2e%2e/a",
    "atdata://local/dataset/a%00",
    "atdata://local/dataset/a%40b",
    "local://schemas/",
    "local://schemas/module.@1.0.0",
    "local://datasets/a",
    "at://did:plc:abc/ac.foundation.dataset.record/x",
    "https://example.org/a",
]


@pytest.mark.parametrize("text", MALFORMED)
def test_malformed_references_are_refused_with_the_expected_form(text: str) -> None:
    with pytest.raises(InvalidNameError, match="no reference of the form") as caught:
        Reference.parse(text)
    assert repr(text) in str(caught.value)


def test_a_reference_to_something_else_is_refused_by_kind() -> None:
    with pytest.raises(InvalidNameError, match="refers to a dataset; give a schema"):
        Reference.parse("atdata://local/dataset/mnist", "schema")


def test_a_reference_is_checked_however_it_is_made() -> None:
    with pytest.raises(InvalidNameError):
        Reference("local", "schema", "MySample", '1.0.0"')
    with pytest.raises(InvalidNameError):
        Reference("nobody", "dataset", "a")


@given(
    authority=st.sampled_from(["local", "a.org", "did:plc:abc", "did:web:a.org%3A80"]),
    name=st.text(st.characters(exclude_categories=["C"]), min_size=1, max_size=30),
    version=st.none() | st.from_regex(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,9}", fullmatch=True),
)
def test_every_name_survives_its_uri(authority: str, name: str, version: str | None) -> None:
    name = unicodedata.normalize("NFC", name)
    try:
        check_dataset_name(name)
    except InvalidNameError:
        assume(False)
    reference = Reference(authority, "dataset", name, version)
    uri = reference.to_uri()
    assert uri.isascii()
    assert Reference.parse(uri) == reference
    if authority != "local":
        assert (
            Reference.parse(f"@{authority}/{name}{f'@{version}' if version else ''}") == reference
        )


@given(
    st.text(max_size=40) | st.text("atd:/@%.locs2E#?", max_size=30).map("atdata://local/".__add__)
)
def test_d8_no_text_makes_parsing_fail_in_a_foreign_way(text: str) -> None:
    with suppress(InvalidNameError):
        Reference.parse(text)
