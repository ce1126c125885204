"""What of a URL is shown, and what keeps it from being stored or published."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atdata.trust import has_secret, redacted
from atdata.trust.secrets import LONGEST_SHOWN

PARTS = st.text(st.characters(codec="utf-8", exclude_characters="/?#@"), max_size=8)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("/data/what?.tar#1", "/data/what?.tar#1"),
        ("https://host/a.tar", "https://host/a.tar"),
        ("https://me:pw@host/a.tar", "https://***@host/a.tar"),
        ("https://me:p@w@host/a.tar", "https://***@host/a.tar"),
        ("https://host/a.tar?token=1", "https://host/a.tar?***"),
        ("https://host/a.tar#token=1", "https://host/a.tar#***"),
        ("https://host?next=me@there", "https://***?***"),
        ("https://me:p?w@host/a.tar", "https://***?***"),
        ("proxy://a::https://me:pw@host/a", "proxy://a::https://***@host/a"),
        ("s3://bucket/me@home/a.tar", "s3://bucket/me@home/a.tar"),
    ],
)
def test_a_url_is_shown_without_login_query_and_fragment(url: str, shown: str) -> None:
    assert redacted(url) == shown


@given(PARTS, PARTS, PARTS)
def test_no_secret_is_ever_shown(user: str, query: str, fragment: str) -> None:
    shown = redacted(f"https://{user}<canary>@host/a.tar?{query}<canary>#{fragment}<canary>")
    assert "<canary>" not in shown


@pytest.mark.parametrize("part", ["://", "@", "?", "#", "://@", "/@?", "x://y@", "%25"])
def test_showing_a_long_url_takes_time_in_proportion_and_little_room(part: str) -> None:
    start = time.process_time()
    shown = redacted("https" + part * (1_000_000 // len(part)))
    assert time.process_time() - start < 2
    assert len(shown) <= LONGEST_SHOWN


@pytest.mark.parametrize("name", ["password", "secret", "auth", "jwt", "key", "policy", "code"])
@pytest.mark.parametrize("form", ["?{}=1", "?a=b&{}=1", "?a;{}=1", "#{}=1", "#/x?{}", "?{}"])
def test_a_parameter_that_gives_access_is_a_secret(name: str, form: str) -> None:
    for spelled in (name, name.upper(), "".join(f"%{ord(one):02x}" for one in name)):
        assert has_secret("https://host/a.tar" + form.format(spelled))


def test_logins_are_secrets_and_ordinary_parameters_and_paths_are_not() -> None:
    assert has_secret("https://me@host/a.tar")
    assert has_secret("https://me:p?w@host/a.tar")
    for url in ("https://host/a.tar?version=3&part=2", "/data/a?token=1.tar", "s3://b/me@home.tar"):
        assert not has_secret(url)
