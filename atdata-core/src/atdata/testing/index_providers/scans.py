"""Scans: their order and pages, also while others write."""

from __future__ import annotations

import json
import operator
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atdata.errors import ConflictError, InvalidNameError
from atdata.index.bodies import is_same_body
from atdata.index.provider import ABSENT, ANY, Delete, IndexProvider, Key, Op, Put
from atdata.testing.index_providers.handles import ONE, TWO, A, ProviderKit

# Orders other than that of the bytes of UTF-8 differ in these: by locale, case or UTF-16.
ORDERED_NAMES = ["Z", "a", "a!", "aa", "b", "é", "\uffff", "🦆"]
ORDERED_VERSIONS = ["", "1.10", "1.9", "A", "a", "\ue000", "\U00010000"]

CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
# Mostly parts that meet each other, so that names recur and scans find something.
PARTS = st.sampled_from(["", "a", "b"]) | st.text(CHARACTERS, max_size=3)
KEYS = st.builds(Key, st.sampled_from(["k", "l"]), PARTS, PARTS)
BODIES = st.sampled_from([b"{}", ONE, TWO, b'{"n": 1.0}'])
OPS = st.one_of(
    st.builds(Put, KEYS, BODIES, st.sampled_from([ANY, ABSENT]) | BODIES),
    st.builds(Delete, KEYS, st.just(ANY) | BODIES),
)
COMMITS = st.lists(st.lists(OPS, max_size=4, unique_by=lambda op: op.key), max_size=8)
SCANS = st.fixed_dictionaries(
    {
        "name": st.none() | PARTS,
        "after": st.none() | st.builds(Key, st.just("k"), PARTS, PARTS),
        "limit": st.none() | st.integers(0, 5),
        "reverse": st.booleans(),
    }
)

_Found = TypeVar("_Found")


class ScanTests(ProviderKit):
    """Scans: their order and pages, also while others write."""

    def test_a_scan_sees_one_kind_or_one_name_in_key_order(self, store: IndexProvider) -> None:
        keys = [Key("k", name, version) for name in ORDERED_NAMES for version in ORDERED_VERSIONS]
        store.commit(Put(key, ONE) for key in reversed(keys))
        store.commit([Put(Key("j", "a", ""), ONE), Put(Key("kk", "a", ""), ONE)])
        of_a = [key for key in keys if key.name == "a"]
        assert [key for key, _ in store.scan("k")] == keys
        assert [key for key, _ in store.scan("k", reverse=True)] == keys[::-1]
        assert [key for key, _ in store.scan("k", "a")] == of_a
        assert [key for key, _ in store.scan("k", "a", reverse=True)] == of_a[::-1]

    @pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
    def test_a_limit_counts_what_was_asked_for_only(
        self, store: IndexProvider, reverse: bool
    ) -> None:
        keys = [Key("k", name, f"{n}") for name in "abc" for n in range(4)]
        store.commit(Put(key, ONE) for key in keys)
        store.commit(Put(Key(kind, "b", ""), ONE) for kind in ("j", "l"))
        ordered = keys[::-1] if reverse else keys
        of_b = [key for key in ordered if key.name == "b"]
        assert [key for key, _ in store.scan("k", limit=5, reverse=reverse)] == ordered[:5]
        assert [key for key, _ in store.scan("k", "b", limit=3, reverse=reverse)] == of_b[:3]
        assert [key for key, _ in store.scan("k", "b", limit=9, reverse=reverse)] == of_b
        found = store.scan("k", "b", after=of_b[0], limit=2, reverse=reverse)
        assert [key for key, _ in found] == of_b[1:3]

    @pytest.mark.parametrize("name", ["", "a"])
    def test_a_page_of_a_name_leaves_out_the_key_it_goes_on_after(
        self, store: IndexProvider, name: str
    ) -> None:
        keys = [Key("k", name, version) for version in ("", "1", "2")]
        store.commit(Put(key, ONE) for key in keys)
        for at, key in enumerate(keys):
            behind = store.scan("k", name, after=key)
            before = store.scan("k", name, after=key, reverse=True)
            assert [found for found, _ in behind] == keys[at + 1 :]
            assert [found for found, _ in before] == keys[:at][::-1]

    @pytest.mark.parametrize("size", [1, 7, 1000])
    @pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
    def test_pages_hold_every_record_once(
        self, store: IndexProvider, size: int, reverse: bool
    ) -> None:
        keys = [Key("k", name, version) for name in ORDERED_NAMES for version in ORDERED_VERSIONS]
        store.commit(Put(key, json.dumps({"at": key}).encode()) for key in keys)
        found = list(_pages(store, size=size, reverse=reverse))
        assert [key for key, _ in found] == (keys[::-1] if reverse else keys)
        assert all(json.loads(body)["at"] == list(key) for key, body in found)

    def test_a_scan_without_limit_holds_everything(self, store: IndexProvider) -> None:
        keys = [Key("k", f"{number:04d}", "") for number in range(3000)]
        store.commit(Put(key, ONE) for key in keys)
        assert [key for key, _ in store.scan("k")] == keys

    def test_pages_go_on_after_a_key_that_is_gone(self, store: IndexProvider) -> None:
        keys = [Key("k", f"{number}", "") for number in range(5)]
        store.commit(Put(key, ONE) for key in keys)
        store.commit([Delete(keys[2])])
        assert [key for key, _ in store.scan("k", after=keys[2], limit=1)] == [keys[3]]
        assert [key for key, _ in store.scan("k", after=keys[2], limit=1, reverse=True)] == [
            keys[1]
        ]

    def test_after_may_lie_outside_the_name_that_is_scanned(self, store: IndexProvider) -> None:
        keys = [Key("k", "b", f"{number}") for number in range(3)]
        store.commit(Put(key, ONE) for key in keys)
        before, behind = Key("k", "a", "9"), Key("k", "c", "0")
        assert [key for key, _ in store.scan("k", "b", after=before)] == keys
        assert store.scan("k", "b", after=behind) == []
        assert [key for key, _ in store.scan("k", "b", after=behind, reverse=True)] == keys[::-1]
        assert store.scan("k", "b", after=before, reverse=True) == []

    def test_a_limit_of_nothing_gives_nothing(self, store: IndexProvider) -> None:
        store.commit([Put(A, ONE)])
        assert store.scan("kind", limit=0) == []

    def test_what_is_not_there_is_an_empty_page(self, store: IndexProvider) -> None:
        assert store.scan("kind") == []
        assert store.scan("kind", "a", after=A, limit=3, reverse=True) == []

    def test_a_scan_refuses_arguments_that_mean_nothing(self, store: IndexProvider) -> None:
        with pytest.raises(ValueError, match="limit"):
            store.scan("kind", limit=-1)
        with pytest.raises(InvalidNameError):
            store.scan("kind", after=Key("other", "a", ""))

    def test_a_page_is_a_snapshot_while_others_write(self, store: IndexProvider) -> None:
        keys = [Key("k", f"{number:02d}", "") for number in range(50)]
        store.commit(Put(key, b'{"round":0}') for key in keys)

        def write(number: int) -> None:
            store.commit(Put(key, b'{"round":%d}' % number) for key in keys)

        for page in _read_while(write, lambda: store.scan("k")):
            assert [key for key, _ in page] == keys
            assert len({body for _, body in page}) == 1

    @pytest.mark.parametrize("reverse", [False, True], ids=["forwards", "backwards"])
    def test_pages_lose_and_double_nothing_while_others_write(
        self, store: IndexProvider, reverse: bool
    ) -> None:
        stay = [Key("k", f"{number:02d}", "") for number in range(40)]
        store.commit(Put(key, ONE) for key in stay)

        def write(number: int) -> None:
            come_and_go = [Key("k", f"{number * 7 % 40:02d}", f"{n}") for n in range(3)]
            store.commit([Put(key, ONE) for key in come_and_go])
            store.commit([Delete(key) for key in come_and_go])

        for found in _read_while(write, lambda: list(_pages(store, 3, reverse=reverse))):
            keys = [key for key, _ in found]
            assert len(set(keys)) == len(keys)
            expected = stay[::-1] if reverse else stay
            assert [key for key in keys if key.version == ""] == expected

    def test_k8_any_history_gives_what_a_sorted_dict_gives(self, store: IndexProvider) -> None:
        @settings(max_examples=60, deadline=None)
        @given(COMMITS, st.lists(SCANS, max_size=3))
        def check(commits: list[list[Op]], scans: list[dict[str, Any]]) -> None:
            # The place is one for all examples, so each has kinds of its own.
            place = uuid.uuid4().hex
            model: dict[Key, bytes] = {}
            for ops in commits:
                moved = [replace(op, key=_moved(op.key, place)) for op in ops]
                assert _commit(store, moved) == _apply(model, moved)
            for scan in ({"reverse": False}, {"reverse": True}, *scans):
                if after := scan.get("after"):
                    scan["after"] = _moved(after, place)
                found = store.scan(place + "k", **scan)
                assert [key for key, _ in found] == _scan(model, place + "k", **scan)
                assert all(is_same_body(body, model[key]) for key, body in found)

        check()


def _pages(store: IndexProvider, size: int, *, reverse: bool) -> Iterator[tuple[Key, bytes]]:
    after = None
    while page := store.scan("k", after=after, limit=size, reverse=reverse):
        assert len(page) <= size
        # A page that starts where the last one ended would lead round in a circle.
        assert page[0][0] != after
        yield from page
        after = page[-1][0]


def _read_while(write: Callable[[int], None], read: Callable[[], _Found]) -> list[_Found]:
    """Return what is read, again and again, while another thread writes thirty times."""
    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(lambda: [*map(write, range(30))])
        found = [read()]
        while not writing.done():
            found.append(read())
        writing.result()
    return found


def _moved(key: Key, place: str) -> Key:
    return key._replace(kind=place + key.kind)


def _apply(model: dict[Key, bytes], ops: list[Op]) -> bool:
    """Commit to a plain dict; tell whether every expectation held."""
    for op in ops:
        current = model.get(op.key)
        if isinstance(op.expect, bytes):
            if current is None or json.loads(current) != json.loads(op.expect):
                return False
        elif op.expect is ABSENT and current is not None:
            return False
    for op in ops:
        if isinstance(op, Put):
            model[op.key] = op.value
        else:
            model.pop(op.key, None)
    return True


def _commit(store: IndexProvider, ops: list[Op]) -> bool:
    try:
        store.commit(ops)
    except ConflictError:
        return False
    return True


def _order(key: Key) -> tuple[bytes, bytes]:
    return key.name.encode(), key.version.encode()


def _scan(
    model: dict[Key, bytes],
    kind: str,
    *,
    name: str | None = None,
    after: Key | None = None,
    limit: int | None = None,
    reverse: bool,
) -> list[Key]:
    keys = sorted((key for key in model if key.kind == kind), key=_order, reverse=reverse)
    if name is not None:
        keys = [key for key in keys if key.name == name]
    if after is not None:
        behind = operator.lt if reverse else operator.gt
        keys = [key for key in keys if behind(_order(key), _order(after))]
    return keys[:limit]
