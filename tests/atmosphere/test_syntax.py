"""Identifiers as the protocol spells them, and as its reference implementation judges them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.services.pds_server import NODE, installed

from atdata.errors import InvalidNameError
from atdata.testing.children import in_fork
from atdata_atmosphere.syntax import (
    checked_did,
    checked_handle,
    is_did,
    is_handle,
    is_nsid,
    is_record_key,
    is_tid,
    new_tid,
)
from atdata_atmosphere.uri import AtUri

EXAMPLES = json.loads(Path(__file__).with_name("identifiers.json").read_text(encoding="utf-8"))
LABEL_63 = "o" * 63

RULES: dict[str, Callable[[str], bool]] = {
    "did": is_did,
    "handle": is_handle,
    "nsid": is_nsid,
    "recordkey": is_record_key,
    "tid": is_tid,
}
TOO_LONG = {
    "did": "did:method:" + "v" * 8500,
    "handle": "a." * 126 + "ab",
    "nsid": "com." + "middle." * 50 + "foo",
    "recordkey": "o" * 513,
    "tid": "3" * 14,
}


@pytest.mark.parametrize("rule", RULES)
def test_p7_identifiers_are_told_from_others(rule: str) -> None:
    is_valid, examples = RULES[rule], EXAMPLES[rule]
    assert [text for text in examples["valid"] if not is_valid(text)] == []
    assert [text for text in [*examples["invalid"], TOO_LONG[rule]] if is_valid(text)] == []


@pytest.mark.parametrize("uri", EXAMPLES["aturi"]["valid"])
def test_p7_an_address_of_a_record_reads_as_its_parts(uri: str) -> None:
    parsed = AtUri.parse(uri)
    assert str(parsed) == uri
    assert f"at://{parsed.authority}/{parsed.collection}/{parsed.rkey}" == uri


# Those of repositories and collections are URIs too, but of no record.
@pytest.mark.parametrize("uri", [*EXAMPLES["aturi"]["invalid"], "at://a.b/a.b.c/" + "o" * 8200])
def test_p7_what_is_no_address_of_a_record_is_refused(uri: str) -> None:
    with pytest.raises(InvalidNameError, match="no address of a record"):
        AtUri.parse(uri)


def test_an_address_cannot_be_put_together_from_other_things() -> None:
    for parts in (("a b", "a.b.c", "k"), ("a.b", "a/b", "k"), ("a.b", "a.b.c", "k/l")):
        with pytest.raises(InvalidNameError):
            AtUri(*parts)


def test_handles_are_the_same_in_any_case() -> None:
    assert checked_handle("@JoHn.TeST") == "john.test"


def test_only_dids_that_can_be_looked_up_are_taken() -> None:
    assert checked_did("did:web:example.com") == "did:web:example.com"
    with pytest.raises(InvalidNameError, match="did:plc"):
        checked_did("did:key:zQ3shZc2QzApp2oymGvQbzP8eKheVshBHbU4ZYjeXqwSKEn6N")


def test_new_tids_are_distinct_and_in_order_whatever_thread_makes_them() -> None:
    def some(_: int) -> list[str]:
        return [new_tid() for _ in range(500)]

    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(some, range(8)))
    assert all(tids == sorted(tids) for tids in made)
    assert len({tid for tids in made for tid in tids}) == 4000
    assert all(is_tid(tid) for tid in made[0])


def test_a_new_tid_tells_the_time() -> None:
    number = 0
    for character in new_tid():
        number = number * 32 + "234567abcdefghijklmnopqrstuvwxyz".index(character)
    assert abs((number >> 10) / 1e6 - time.time()) < 60


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system does not fork")
def test_a_child_forked_amid_threads_makes_tids_that_its_parent_never_does() -> None:
    stop = threading.Event()
    here = new_tid()[-2:]

    def busy() -> None:
        # Coverage's own lock, were this thread to hold it, would not survive the fork.
        sys.settrace(None)
        while not stop.is_set():
            new_tid()

    threads = [threading.Thread(target=busy) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        # The last ten bits say which clock it was.
        assert all(in_fork(lambda: new_tid()[-2:] != here) for _ in range(20))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert new_tid()[-2:] == here


# Characters that the rules are about, so that random texts come close to being valid.
_TEXTS = st.text("aZ09.-_:%~/@#dipcweb é\n", max_size=24)
_JOINED = st.lists(st.sampled_from(["a", "a-b", "0", "-", "b1", "", LABEL_63, "Z"]), max_size=6)


@settings(max_examples=5)
@given(st.data())
def test_p7_the_reference_implementation_judges_alike(data: st.DataObject) -> None:
    texts = data.draw(st.lists(_TEXTS, min_size=100, max_size=300))
    texts += [".".join(parts) for parts in data.draw(st.lists(_JOINED, max_size=100))]
    texts += ["did:" + text for text in texts[:100]]
    ours = {rule: [is_valid(text) for text in texts] for rule, is_valid in RULES.items()}
    assert _reference(texts) == ours


def test_p7_the_reference_implementation_judges_the_examples_alike() -> None:
    known = [EXAMPLES[rule][kind] for rule in RULES for kind in ("valid", "invalid")]
    texts = [text for examples in known for text in examples] + list(TOO_LONG.values())
    ours = {rule: [is_valid(text) for text in texts] for rule, is_valid in RULES.items()}
    assert _reference(texts) == ours


_SCRIPT = """
const syntax = require('@atproto/syntax')
const texts = JSON.parse(require('fs').readFileSync(0, 'utf8'))
const rules = { did: 'Did', handle: 'Handle', nsid: 'Nsid', recordkey: 'RecordKey', tid: 'Tid' }
const judge = (check, text) => { try { check(text); return true } catch { return false } }
const verdicts = Object.entries(rules).map(([rule, name]) =>
  [rule, texts.map((text) => judge(syntax['ensureValid' + name], text))])
console.log(JSON.stringify(Object.fromEntries(verdicts)))
"""


def _reference(texts: list[str]) -> object:
    """Return what the protocol's own implementation, installed with the PDS, says of texts."""
    folder = installed()
    done = subprocess.run(
        [folder / NODE, "-e", _SCRIPT],
        cwd=folder,
        input=json.dumps(texts),
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)
