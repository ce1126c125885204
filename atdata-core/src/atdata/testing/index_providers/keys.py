"""Keys as odd as keys may be, and those that are none."""

from __future__ import annotations

import json

import pytest

from atdata.errors import InvalidNameError, NotFoundError
from atdata.index.provider import MAX_KEY_BYTES, Delete, IndexProvider, Key, Put
from atdata.testing.index_providers.handles import ONE, TWO, ProviderKit

BAD_KEYS = {
    "NUL in the name": Key("kind", "a\0b", ""),
    "NUL in the kind": Key("kind\0", "a", ""),
    "NUL in the version": Key("kind", "a", "\0"),
    "a lone low surrogate": Key("kind", "a", "\udc80"),
    "a lone high surrogate": Key("kind", "\ud83e", "1"),
    "too long": Key("kind", "é" * (MAX_KEY_BYTES // 2), ""),
    "a megabyte": Key("kind", "a" * 1_000_000, ""),
}

# Patterns, quotes, separators, escapes and characters that are not seen.
ODD_NAMES = {
    name.encode("unicode_escape").decode() or "empty": name
    for name in [
        *("*", "a*", "?bc", "[a-z]bc", "%", "_bc", "a%", "^", ".", "a.c", "(.*)", "\\", "a\\*"),
        *("'", '"', "'; DROP TABLE atdata_records; --", "$1", ":name", "%s", "%(name)s", "{}"),
        *("a:b", "a/b", "../a", "{a}", "a@1", "a\tb", "a\nb", " ", " abc", "abc ", "\x01", "\x7f"),
        *(
            "ABC",
            "\uff41\uff42\uff43",
            "🦆",
            "\u202eA",
            "\u200b",
            "\uffff",
            "\U0010ffff",
            "a\u0301",
            "\xe1",
        ),
    ]
}

SIMILAR_NAMES = [
    "",
    " ",
    "A",
    "A ",
    "a",
    "a ",
    "a\u0301",
    "á",
    "ss",
    "ß",
    "İ",
    "i",
    "\uff49",
    "\u0131",
]


class KeyTests(ProviderKit):
    """Keys as odd as keys may be, and those that are none."""

    @pytest.mark.parametrize("key", BAD_KEYS.values(), ids=BAD_KEYS)
    def test_p5_keys_that_some_backend_could_not_hold_are_refused_by_all(
        self, store: IndexProvider, key: Key
    ) -> None:
        for use in (
            lambda: store.get(key),
            lambda: store.commit([Put(key, ONE)]),
            lambda: store.commit([Delete(key)]),
            lambda: store.scan(key.kind, after=key),
        ):
            with pytest.raises(InvalidNameError):
                use()

    def test_p5_a_key_may_take_a_kibibyte(self, store: IndexProvider) -> None:
        key = Key("k", "é" * 511, "1")
        store.commit([Put(key, ONE)])
        assert store.scan("k")[0][0] == key

    @pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES)
    def test_p3_p5_special_characters_are_only_characters(
        self, store: IndexProvider, name: str
    ) -> None:
        store.commit([Put(Key("kind", "abc", "1"), ONE)])
        with pytest.raises(NotFoundError):
            store.get(Key("kind", name, "1"))
        assert store.scan("kind", name) == []
        assert store.scan(name) == []
        store.commit([Put(Key("kind", name, "1"), TWO), Put(Key(name, name, name), TWO)])
        assert [key.name for key, _ in store.scan("kind", name)] == [name]
        assert [key for key, _ in store.scan(name)] == [Key(name, name, name)]
        store.commit([Delete(Key("kind", name, "1"))])
        assert [key.name for key, _ in store.scan("kind")] == ["abc"]

    def test_p4_the_parts_of_a_key_are_never_confused(self, store: IndexProvider) -> None:
        parts = ["", "a", "a@b", "a:b", "a/b", "b", "b@1", ":", "/", "1"]
        keys = [Key(kind, name, version) for kind in parts for name in parts for version in parts]
        store.commit(Put(key, json.dumps({"at": key}).encode()) for key in keys)
        assert [json.loads(store.get(key))["at"] for key in keys[::50]] == [
            list(key) for key in keys[::50]
        ]
        for kind in parts:
            found = store.scan(kind)
            assert [key for key, _ in found] == sorted(key for key in keys if key.kind == kind)
            assert all(json.loads(body)["at"] == list(key) for key, body in found)

    def test_p5_names_that_look_alike_are_different(self, store: IndexProvider) -> None:
        keys = [Key("k", name, version) for name in SIMILAR_NAMES for version in SIMILAR_NAMES]
        store.commit(Put(key, json.dumps({"at": key}).encode()) for key in keys)
        assert len(store.scan("k")) == len(keys)
        for name in SIMILAR_NAMES:
            found = store.scan("k", name)
            assert sorted(key.version for key, _ in found) == sorted(SIMILAR_NAMES)
            assert all(json.loads(body)["at"] == list(key) for key, body in found)
