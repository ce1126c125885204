"""Which URLs data may name: for whom, and with what the caller allows."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from atdata import LocalDiskStore
from atdata.errors import LimitExceededError, UntrustedInputError
from atdata.trust import Policy, Writer, check_allowed, is_allowed
from atdata.trust.policy import LONGEST_URL

STORE = LocalDiskStore("/store")
OWN, SHARED, RECORD = (Policy(writer, (), (STORE,)) for writer in get_args(Writer))


def way(policy: Policy, url: str) -> str:
    try:
        return policy.way_to(url)
    except UntrustedInputError:
        return "refused"


@pytest.mark.parametrize(
    ("url", "ways"),
    [
        ("/store/a.tar", ("store", "store", "refused")),
        ("/store/../a.tar", ("file", "refused", "refused")),
        ("/elsewhere/a.tar", ("file", "refused", "refused")),
        ("https://example.org/a.tar", ("web", "web", "web")),
        ("https://[2606:4700::1111]/a.tar", ("web", "web", "web")),
        ("http://example.org/a.tar", ("web", "refused", "refused")),
        ("https://10.0.0.1/a.tar", ("refused", "refused", "refused")),
        ("https://127.1/a.tar", ("refused", "refused", "refused")),
        ("https://me:pw@example.org/a.tar", ("refused", "refused", "refused")),
        ("s3://bucket/a b.tar", ("bucket", "bucket", "bucket")),
        ("at://did:plc:a/blob/b", ("blob", "blob", "blob")),
        ("shelf://a/b.tar", ("plugin", "refused", "refused")),
        ("zip://a.tar::https://example.org/a.zip", ("refused", "refused", "refused")),
        ("pipe:cat a.tar", ("refused", "refused", "refused")),
    ],
)
def test_who_wrote_a_url_decides_how_it_is_opened(url: str, ways: tuple[str, ...]) -> None:
    assert tuple(way(policy, url) for policy in (OWN, SHARED, RECORD)) == ways


def test_what_the_caller_allows_is_opened_whoever_named_it() -> None:
    allow = check_allowed(["/data/", "http://10.0.0.1/a/", "gs://b/"])
    for url in ("/data/a.tar", "file:///data/a.tar", "http://10.0.0.1/a/b.tar", "gs://b/a.tar"):
        assert Policy("network record", allow).way_to(url) == "allowed"
    for url in ("/database/a.tar", "http://10.0.0.1/b.tar", "gs://bb/a.tar", "pipe:touch /data/a"):
        assert way(Policy("network record", allow), url) == "refused"
    assert way(Policy("network record", allow), "gs://b/a::file:///data/a.tar") == "refused"


@pytest.mark.parametrize(
    "dots", ["..", "%2e%2e", ".%2E", "%252e%252e", "..%2f", "..\\", "%" + "25" * 20]
)
def test_nothing_climbs_out_of_what_is_allowed(dots: str) -> None:
    assert not is_allowed(f"https://example.org/a/{dots}/b.tar", ["https://example.org/a/"])
    assert is_allowed("https://example.org/a/..b/c..tar", ["https://example.org/a/"])


def test_a_relative_path_is_allowed_by_the_folder_that_the_process_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert is_allowed("a.tar", [f"{tmp_path}/"])
    assert not is_allowed("a.tar", [f"{tmp_path}/b/"])
    assert not is_allowed("../a.tar", [f"{tmp_path}/"])


@pytest.mark.parametrize("start", ["https://example.org", "data/", "s3://b", "", "/data"])
def test_a_start_that_ends_within_a_name_is_refused(start: str) -> None:
    with pytest.raises(ValueError, match="ends in '/'"):
        check_allowed([start])


def test_a_url_has_a_longest_length() -> None:
    with pytest.raises(LimitExceededError):
        OWN.way_to(f"https://example.org/{'x' * LONGEST_URL}")


def test_a_refusal_names_the_scheme_and_the_remedy_but_nothing_secret() -> None:
    with pytest.raises(UntrustedInputError, match=r"allow=\['http://10.0.0.1/'\]") as caught:
        SHARED.way_to("http://10.0.0.1/a.tar?token=s3cret")
    assert caught.value.details["scheme"] == "http"
    assert "s3cret" not in repr(caught.value) + repr(vars(caught.value))
