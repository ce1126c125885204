"""Reading and writing records: one at a time, many at once, all or nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from atdata.errors import ConflictError, CorruptDataError, InvalidNameError, NotFoundError
from atdata.index.bodies import is_same_body
from atdata.index.provider import ABSENT, Delete, IndexProvider, Key, Op, Put
from atdata.testing.index_providers.handles import ONE, TWO, A, B, ProviderKit, names

GOOD_BODIES = {
    "nothing": b"{}",
    "empty values": b'{"a":{},"b":[],"c":"","":null}',
    "all sorts": '{"ä":[1,2.5,null,true,"🦆"],"b":{}}'.encode(),
    "integers no float can hold": b'{"a":[9007199254740993,18446744073709551617,-1e2]}',
    "the ends of floats": b'{"a":[1.7976931348623157e308,5e-324,0.1,-0.0,1.0]}',
    "odd strings": rb'{"a":"\u0001\n\"\\ \u2028 \ud83e\udd86 \uffff","\u001f":"\/"}',
    "an escaped backslash before u0000": rb'{"a":"\\u0000"}',
    "a hundred levels": b'{"a":' + b"[" * 99 + b"]" * 99 + b"}",
    "spaces": b' {\n"a" :\t1 } ',
}

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

FAILURES: dict[str, tuple[type[Exception], Callable[[IndexProvider], object]]] = {
    "a conflict": (ConflictError, lambda store: store.commit([Put(A, TWO, ABSENT)])),
    "a missing record": (NotFoundError, lambda store: store.get(B)),
    "a bad key": (InvalidNameError, lambda store: store.get(Key("k", "\0", ""))),
    "a bad value": (CorruptDataError, lambda store: store.commit([Put(B, b"[]")])),
    "a bad limit": (ValueError, lambda store: store.scan("kind", limit=-1)),
    "operations that end": (ZeroDivisionError, lambda store: store.commit(_fail_half_way())),
}


def _fail_half_way() -> Iterator[Op]:
    yield Put(A, TWO)
    yield Put(B, TWO)
    raise ZeroDivisionError


def _many(value: bytes, expect: bytes | None = None) -> list[Put]:
    keys = [Key("many", f"{number:04d}", "") for number in range(1000)]
    return [Put(key, value, ABSENT if expect is None else expect) for key in keys]


class CommitTests(ProviderKit):
    """Reading and writing records: one at a time, many at once, all or nothing."""

    @pytest.mark.parametrize("body", GOOD_BODIES.values(), ids=GOOD_BODIES)
    def test_a_value_that_was_put_is_got_and_scanned(
        self, store: IndexProvider, body: bytes
    ) -> None:
        store.commit([Put(A, body)])
        assert is_same_body(store.get(A), body)
        [(key, found)] = store.scan("kind")
        assert key == A
        assert is_same_body(found, body)

    @pytest.mark.parametrize("body", GOOD_BODIES.values(), ids=GOOD_BODIES)
    def test_what_was_got_is_what_a_writer_may_expect(
        self, store: IndexProvider, body: bytes
    ) -> None:
        store.commit([Put(A, body)])
        store.commit([Put(A, store.get(A), expect=store.get(A)), Put(B, body)])
        store.commit([Delete(A, expect=body), Delete(B, expect=store.scan("kind", "b")[0][1])])
        assert names(store) == []

    def test_a_missing_key_is_not_found_and_named(self, store: IndexProvider) -> None:
        with pytest.raises(NotFoundError) as caught:
            store.get(A)
        assert caught.value.details["key"] == A

    def test_a_second_put_replaces_the_first(self, store: IndexProvider) -> None:
        store.commit([Put(A, ONE)])
        store.commit([Put(A, TWO)])
        assert json.loads(store.get(A)) == {"n": 2}

    def test_a_deleted_key_is_gone_and_may_be_deleted_again(self, store: IndexProvider) -> None:
        store.commit([Put(A, ONE)])
        store.commit([Delete(A)])
        store.commit([Delete(A)])
        assert store.scan("kind") == []

    def test_no_operations_change_nothing(self, store: IndexProvider) -> None:
        store.commit([Put(A, ONE)])
        store.commit([])
        assert names(store) == ["a"]

    def test_absent_refuses_what_exists(self, store: IndexProvider) -> None:
        store.commit([Put(A, ONE, ABSENT)])
        with pytest.raises(ConflictError) as caught:
            store.commit([Put(A, TWO, ABSENT)])
        assert caught.value.details["key"] == A
        assert json.loads(store.get(A)) == {"n": 1}

    @pytest.mark.parametrize("op", [Put(A, TWO, TWO), Delete(A, TWO)], ids=["put", "delete"])
    @pytest.mark.parametrize("is_there", [True, False], ids=["another", "missing"])
    def test_an_expected_value_must_be_there(
        self, store: IndexProvider, op: Op, is_there: bool
    ) -> None:
        if is_there:
            store.commit([Put(A, ONE)])
        with pytest.raises(ConflictError) as caught:
            store.commit([op])
        assert caught.value.details["key"] == A
        assert len(store.scan("kind")) == is_there

    def test_an_expected_value_is_compared_as_json(self, store: IndexProvider) -> None:
        store.commit([Put(A, b'{"a": 1, "b": [2.0]}')])
        store.commit([Put(A, ONE, expect=b'{"b":[2],"a":1}')])
        store.commit([Delete(A, expect=store.get(A))])
        assert store.scan("kind") == []

    @pytest.mark.parametrize("other", [b'{"n":true}', b'{"n":"1"}', b'{"n":[1]}', b'{"n":1,"m":1}'])
    def test_what_is_not_equal_json_is_not_what_was_expected(
        self, store: IndexProvider, other: bytes
    ) -> None:
        store.commit([Put(A, ONE)])
        with pytest.raises(ConflictError):
            store.commit([Put(A, ONE, expect=other)])

    def test_one_failed_expectation_undoes_the_whole_commit(self, store: IndexProvider) -> None:
        store.commit([Put(B, ONE)])
        ops: list[Op] = [
            Put(A, ONE),
            Put(Key("z", "z", "z"), ONE),
            Delete(Key("kind", "c", "")),
            Put(B, TWO, TWO),
        ]
        with pytest.raises(ConflictError) as caught:
            store.commit(ops)
        assert caught.value.details["key"] == B
        assert names(store) == ["b"]
        assert store.scan("z") == []

    def test_a_conflict_late_in_a_large_commit_undoes_all_of_it(self, store: IndexProvider) -> None:
        last = Key("many", "zzzz", "")
        store.commit([Put(last, ONE)])
        with pytest.raises(ConflictError) as caught:
            store.commit([*_many(ONE), Put(last, TWO, ABSENT)])
        assert caught.value.details["key"] == last
        assert [key for key, _ in store.scan("many")] == [last]

    def test_a_deletion_is_undone_with_the_rest(self, store: IndexProvider) -> None:
        store.commit([Put(A, ONE), Put(B, ONE)])
        with pytest.raises(ConflictError):
            store.commit([Delete(A), Put(B, TWO, TWO)])
        assert names(store) == ["a", "b"]

    def test_operations_that_raise_half_way_change_nothing(self, store: IndexProvider) -> None:
        with pytest.raises(ZeroDivisionError):
            store.commit(_fail_half_way())
        assert store.scan("kind") == []

    @pytest.mark.parametrize(("error", "fail"), FAILURES.values(), ids=FAILURES)
    def test_b2_a_failed_call_does_not_spoil_the_next(
        self,
        store: IndexProvider,
        error: type[Exception],
        fail: Callable[[IndexProvider], object],
    ) -> None:
        store.commit([Put(A, ONE)])
        for _ in range(3):
            with pytest.raises(error):
                fail(store)
        assert names(store) == ["a"]
        store.commit([Put(B, ONE, ABSENT), Put(A, TWO, ONE)])
        assert json.loads(store.get(A)) == {"n": 2}
        assert names(store) == ["a", "b"]

    def test_two_operations_on_one_key_are_refused_and_not_to_be_retried(
        self, store: IndexProvider
    ) -> None:
        with pytest.raises(InvalidNameError):
            store.commit([Put(A, ONE), Delete(A)])
        assert store.scan("kind") == []

    def test_puts_and_deletes_share_a_commit(self, store: IndexProvider) -> None:
        store.commit([Put(A, ONE)])
        ops: list[Op] = [Delete(A, ONE), Put(B, ONE, ABSENT), Put(Key("kind", "c", ""), ONE)]
        store.commit(iter(ops))
        assert names(store) == ["b", "c"]

    @pytest.mark.parametrize("body", BAD_BODIES.values(), ids=BAD_BODIES)
    def test_values_that_some_backend_could_not_hold_are_refused_by_all(
        self, store: IndexProvider, body: bytes
    ) -> None:
        with pytest.raises(CorruptDataError):
            store.commit([Put(B, ONE), Put(A, body)])
        with pytest.raises(CorruptDataError):
            store.commit([Put(B, ONE), Put(A, ONE, expect=body)])
        assert store.scan("kind") == []

    def test_a_value_may_take_a_megabyte(self, store: IndexProvider) -> None:
        body = json.dumps({"text": "é" * 500_000, "rows": list(range(50_000))}).encode()
        store.commit([Put(A, body), Put(B, ONE)])
        assert is_same_body(store.get(A), body)
        store.commit([Put(A, TWO, expect=body)])
        assert json.loads(store.get(A)) == {"n": 2}

    def test_a_thousand_operations_are_one_commit(self, store: IndexProvider) -> None:
        store.commit(_many(ONE))
        assert len(store.scan("many")) == 1000
        store.commit(_many(TWO, expect=ONE))
        assert {json.loads(body)["n"] for _, body in store.scan("many")} == {2}
        store.commit(Delete(key, TWO) for key, _ in store.scan("many"))
        assert store.scan("many") == []
