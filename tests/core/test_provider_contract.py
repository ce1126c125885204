"""What every record store promises, held against memory and SQLite alike."""

from __future__ import annotations

import json
import operator
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atdata.errors import (
    ConflictError,
    CorruptDataError,
    InvalidNameError,
    NotFoundError,
    StorageError,
)
from atdata.index.bodies import is_same_body
from atdata.index.memory import MemoryProvider
from atdata.index.provider import (
    ABSENT,
    ANY,
    MAX_KEY_BYTES,
    Delete,
    IndexProvider,
    Key,
    Op,
    Put,
)
from atdata_sqlite.provider import SQLiteProvider

Opener = Callable[[Path], IndexProvider]

OPENERS: dict[str, Opener] = {
    "memory": lambda _: MemoryProvider(),
    "sqlite-memory": lambda _: SQLiteProvider(),
    "sqlite-file": lambda directory: SQLiteProvider(directory / "index.db"),
}

A = Key("kind", "a", "")
B = Key("kind", "b", "")
ONE, TWO = b'{"n":1}', b'{"n":2}'


@pytest.fixture(params=OPENERS)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[IndexProvider]:
    provider = OPENERS[request.param](tmp_path)
    yield provider
    provider.close()


def _names(store: IndexProvider, kind: str = "kind") -> list[str]:
    return [key.name for key, _ in store.scan(kind)]


def test_a_value_that_was_put_is_got(store: IndexProvider) -> None:
    body = '{"ä":[1,2.5,null,true,"🦆"],"b":{}}'.encode()
    store.commit([Put(A, body)])
    assert is_same_body(store.get(A), body)


def test_a_missing_key_is_not_found_and_named(store: IndexProvider) -> None:
    with pytest.raises(NotFoundError) as caught:
        store.get(A)
    assert caught.value.details["key"] == A


def test_a_second_put_replaces_the_first(store: IndexProvider) -> None:
    store.commit([Put(A, ONE)])
    store.commit([Put(A, TWO)])
    assert json.loads(store.get(A)) == {"n": 2}


def test_a_deleted_key_is_gone_and_may_be_deleted_again(store: IndexProvider) -> None:
    store.commit([Put(A, ONE)])
    store.commit([Delete(A)])
    store.commit([Delete(A)])
    assert store.scan("kind") == []


def test_no_operations_change_nothing(store: IndexProvider) -> None:
    store.commit([Put(A, ONE)])
    store.commit([])
    assert _names(store) == ["a"]


def test_absent_refuses_what_exists(store: IndexProvider) -> None:
    store.commit([Put(A, ONE, ABSENT)])
    with pytest.raises(ConflictError) as caught:
        store.commit([Put(A, TWO, ABSENT)])
    assert caught.value.details["key"] == A
    assert json.loads(store.get(A)) == {"n": 1}


@pytest.mark.parametrize("op", [Put(A, TWO, TWO), Delete(A, TWO)])
@pytest.mark.parametrize("present", [True, False])
def test_an_expected_value_must_be_there(store: IndexProvider, op: Op, present: bool) -> None:
    if present:
        store.commit([Put(A, ONE)])
    with pytest.raises(ConflictError):
        store.commit([op])
    assert len(store.scan("kind")) == present


def test_an_expected_value_is_compared_as_json(store: IndexProvider) -> None:
    store.commit([Put(A, b'{"a": 1, "b": [2.0]}')])
    store.commit([Put(A, ONE, expect=b'{"b":[2],"a":1}')])
    store.commit([Delete(A, expect=store.get(A))])
    assert store.scan("kind") == []


def test_true_is_not_expected_where_one_is(store: IndexProvider) -> None:
    store.commit([Put(A, b'{"n":1}')])
    with pytest.raises(ConflictError):
        store.commit([Put(A, ONE, expect=b'{"n":true}')])


def test_one_failed_expectation_undoes_the_whole_commit(store: IndexProvider) -> None:
    store.commit([Put(B, ONE)])
    ops: list[Op] = [
        Put(A, ONE),
        Put(Key("z", "z", "z"), ONE),
        Delete(Key("kind", "c", "")),
        Put(B, TWO, TWO),
    ]
    with pytest.raises(ConflictError):
        store.commit(ops)
    assert _names(store) == ["b"]
    assert store.scan("z") == []


def test_a_store_works_on_after_a_conflict(store: IndexProvider) -> None:
    store.commit([Put(A, ONE)])
    with pytest.raises(ConflictError):
        store.commit([Put(A, ONE, ABSENT)])
    store.commit([Put(B, ONE, ABSENT)])
    assert _names(store) == ["a", "b"]


def test_two_operations_on_one_key_are_refused_and_not_to_be_retried(store: IndexProvider) -> None:
    with pytest.raises(InvalidNameError):
        store.commit([Put(A, ONE), Delete(A)])
    assert store.scan("kind") == []


def test_puts_and_deletes_share_a_commit(store: IndexProvider) -> None:
    store.commit([Put(A, ONE)])
    ops: list[Op] = [Delete(A, ONE), Put(B, ONE, ABSENT), Put(Key("kind", "c", ""), ONE)]
    store.commit(iter(ops))
    assert _names(store) == ["b", "c"]


BAD_KEYS = [
    Key("kind", "a\0b", ""),
    Key("kind\0", "a", ""),
    Key("kind", "a", "\udc80"),
    Key("kind", "\ud83e", "1"),
    Key("kind", "é" * (MAX_KEY_BYTES // 2), ""),
]


@pytest.mark.parametrize("key", BAD_KEYS, ids=ascii)
def test_p5_keys_that_some_backend_could_not_hold_are_refused_by_all(
    store: IndexProvider, key: Key
) -> None:
    for use in (
        lambda: store.get(key),
        lambda: store.commit([Put(key, ONE)]),
        lambda: store.commit([Delete(key)]),
        lambda: store.scan(key.kind, after=key),
    ):
        with pytest.raises(InvalidNameError):
            use()


def test_p5_a_key_may_take_a_kibibyte(store: IndexProvider) -> None:
    key = Key("k", "é" * 511, "1")
    store.commit([Put(key, ONE)])
    assert store.scan("k")[0][0] == key


@pytest.mark.parametrize(
    "name", ["*", "a*", "[a-z]", "%", "_", "'; --", '"', "a:b", "🦆", "\u202eA"]
)
def test_p3_p5_special_characters_are_only_characters(store: IndexProvider, name: str) -> None:
    store.commit([Put(Key("kind", "abc", "1"), ONE)])
    with pytest.raises(NotFoundError):
        store.get(Key("kind", name, "1"))
    assert store.scan("kind", name) == []
    store.commit([Put(Key("kind", name, "1"), TWO)])
    assert [key.name for key, _ in store.scan("kind", name)] == [name]


def test_p4_the_parts_of_a_key_are_never_confused(store: IndexProvider) -> None:
    keys = [Key("k", "a@b", "1"), Key("k", "a", "b@1"), Key("k:a", "", ""), Key("k", "a:b", "1")]
    store.commit(Put(key, json.dumps({"at": key}).encode()) for key in keys)
    assert [json.loads(store.get(key))["at"] for key in keys] == [list(key) for key in keys]


BAD_BODIES = {
    "no bytes": b"",
    "an array": b"[]",
    "a number": b"1",
    "no JSON": b"{",
    "two documents": b"{}{}",
    "no UTF-8": b'{"a":"\xff"}',
    "a byte order mark": b"\xef\xbb\xbf{}",
    "NaN": b'{"a":NaN}',
    "an infinity": b'{"a":-Infinity}',
    "beyond a float": b'{"a":1e999}',
    "a name twice": b'{"a":{"b":1,"b":1}}',
    "an escaped NUL": rb'{"a":["\u0000"]}',
    "an escaped NUL in a name": rb'{"\u0000":1}',
    "a lone surrogate": rb'{"a":{"b":"\ud800"}}',
    "too deep": b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
}


@pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
def test_values_that_some_backend_could_not_hold_are_refused_by_all(
    store: IndexProvider, body: bytes
) -> None:
    with pytest.raises(CorruptDataError):
        store.commit([Put(B, ONE), Put(A, body)])
    assert store.scan("kind") == []


def test_an_escaped_backslash_before_u0000_is_no_nul(store: IndexProvider) -> None:
    store.commit([Put(A, rb'{"a":"\\u0000","b":"\ud83e\udd86"}')])
    assert json.loads(store.get(A)) == {"a": r"\u0000", "b": "🦆"}


def test_a_scan_sees_one_kind_or_one_name_in_key_order(store: IndexProvider) -> None:
    names = ["Z", "a", "a!", "aa", "b", "é", "\uffff", "🦆"]
    keys = [Key("k", name, version) for name in names for version in ("", "1.10", "1.9")]
    store.commit(Put(key, ONE) for key in reversed(keys))
    store.commit([Put(Key("j", "a", ""), ONE), Put(Key("kk", "a", ""), ONE)])
    assert [key for key, _ in store.scan("k")] == keys
    assert [key for key, _ in store.scan("k", reverse=True)] == keys[::-1]
    assert [key for key, _ in store.scan("k", "a")] == keys[3:6]
    assert [key.version for key, _ in store.scan("k", "a", reverse=True, limit=1)] == ["1.9"]


def test_pages_go_on_after_a_key_that_is_gone(store: IndexProvider) -> None:
    keys = [Key("k", f"{number}", "") for number in range(5)]
    store.commit(Put(key, ONE) for key in keys)
    store.commit([Delete(keys[2])])
    assert [key for key, _ in store.scan("k", after=keys[2], limit=1)] == [keys[3]]
    assert [key for key, _ in store.scan("k", after=keys[2], limit=1, reverse=True)] == [keys[1]]


def test_after_may_lie_outside_the_name_that_is_scanned(store: IndexProvider) -> None:
    keys = [Key("k", "b", f"{number}") for number in range(3)]
    store.commit(Put(key, ONE) for key in keys)
    before, behind = Key("k", "a", "9"), Key("k", "c", "0")
    assert [key for key, _ in store.scan("k", "b", after=before)] == keys
    assert store.scan("k", "b", after=behind) == []
    assert [key for key, _ in store.scan("k", "b", after=behind, reverse=True)] == keys[::-1]
    assert store.scan("k", "b", after=before, reverse=True) == []


def test_a_limit_of_nothing_gives_nothing(store: IndexProvider) -> None:
    store.commit([Put(A, ONE)])
    assert store.scan("kind", limit=0) == []


def test_a_scan_refuses_arguments_that_mean_nothing(store: IndexProvider) -> None:
    with pytest.raises(ValueError, match="limit"):
        store.scan("kind", limit=-1)
    with pytest.raises(InvalidNameError):
        store.scan("kind", after=Key("other", "a", ""))


def test_a_thousand_operations_are_one_commit(store: IndexProvider) -> None:
    store.commit(Put(Key("k", f"{number:04d}", ""), ONE, ABSENT) for number in range(1000))
    assert len(store.scan("k")) == 1000


def test_a_closed_store_says_so_and_closes_again(store: IndexProvider) -> None:
    store.close()
    store.close()
    for use in (
        lambda: store.get(A),
        lambda: store.scan("kind"),
        lambda: store.commit([Put(A, ONE)]),
        lambda: store.commit([]),
    ):
        with pytest.raises(StorageError, match="closed"):
            use()


def test_k6_sixteen_threads_share_one_store(store: IndexProvider) -> None:
    def work(thread: int) -> None:
        for number in range(20):
            key = Key("k", f"{thread}", f"{number:02d}")
            store.commit([Put(key, ONE, ABSENT)])
            store.get(key)
            store.scan("k", f"{thread}", reverse=True, limit=1)

    with ThreadPoolExecutor(16) as threads:
        list(threads.map(work, range(16)))
    assert len(store.scan("k")) == 320


def append(store: IndexProvider, writer: str, count: int) -> None:
    """Append as writers of revisions do: look for the last, try the next, look again."""
    for number in range(count):
        while True:
            last = store.scan("k", "n", reverse=True, limit=1)
            version = int(last[0][0].version) + 1 if last else 1
            body = json.dumps({"writer": writer, "number": number}).encode()
            try:
                store.commit([Put(Key("k", "n", f"{version:08d}"), body, ABSENT)])
            except ConflictError:
                continue
            break


def test_k3_threads_that_append_versions_lose_none(store: IndexProvider) -> None:
    with ThreadPoolExecutor(8) as threads:
        list(threads.map(lambda writer: append(store, f"{writer}", 10), range(8)))
    rows = store.scan("k", "n")
    assert [int(key.version) for key, _ in rows] == list(range(1, 81))
    written = {(value["writer"], value["number"]) for value in (json.loads(b) for _, b in rows)}
    assert len(written) == 80


def test_a_page_is_a_snapshot_while_others_write(store: IndexProvider) -> None:
    keys = [Key("k", f"{number:02d}", "") for number in range(50)]
    store.commit(Put(key, b'{"round":0}') for key in keys)
    stop = threading.Event()

    def write() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            store.commit(Put(key, b'{"round":%d}' % number) for key in keys)

    with ThreadPoolExecutor(1) as threads:
        writing = threads.submit(write)
        pages = [{body for _, body in store.scan("k")} for _ in range(50)]
        stop.set()
        writing.result()
    assert {len(bodies) for bodies in pages} == {1}


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded:DeprecationWarning")
def test_f4_a_fork_while_threads_write_leaves_a_child_that_can_go_on(store: IndexProvider) -> None:
    stop = threading.Event()

    def write(thread: int) -> None:
        # Coverage's own lock, were this thread to hold it, would not survive the fork.
        sys.settrace(None)
        while not stop.is_set():
            store.commit([Put(Key("k", f"{thread}", ""), ONE)])

    with ThreadPoolExecutor(2) as threads:
        writing = [threads.submit(write, thread) for thread in range(2)]
        try:
            codes = [_fork_and_use(store, number) for number in range(10)]
        finally:
            stop.set()
        for thread in writing:
            thread.result()
    assert codes == [0] * 10
    store.commit([Put(A, ONE)])


def _fork_and_use(store: IndexProvider, number: int) -> int:
    child = os.fork()
    if child == 0:
        code = 1
        try:
            key = Key("child", f"{number}", "")
            store.commit([Put(key, ONE, ABSENT)])
            code = 0 if store.get(key) else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


PARTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=3)
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
    *,
    name: str | None,
    after: Key | None,
    limit: int | None,
    reverse: bool,
) -> list[Key]:
    keys = sorted((key for key in model if key.kind == "k"), key=_order, reverse=reverse)
    if name is not None:
        keys = [key for key in keys if key.name == name]
    if after is not None:
        behind = operator.lt if reverse else operator.gt
        keys = [key for key in keys if behind(_order(key), _order(after))]
    return keys[:limit]


@pytest.mark.parametrize("open_store", [MemoryProvider, SQLiteProvider])
@settings(max_examples=60)
@given(COMMITS, SCANS)
def test_k8_any_history_gives_what_a_sorted_dict_gives(
    open_store: Callable[[], IndexProvider], commits: list[list[Op]], scan: dict[str, Any]
) -> None:
    store = open_store()
    model: dict[Key, bytes] = {}
    for ops in commits:
        assert _commit(store, ops) == _apply(model, ops)
    found = store.scan("k", **scan)
    assert [key for key, _ in found] == _scan(model, **scan)
    assert all(is_same_body(body, model[key]) for key, body in found)
    store.close()
