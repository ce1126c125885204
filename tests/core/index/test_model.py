"""The same random operations on every provider, held against a plain dict."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule
from tests.core.index.kinds import Note, Point, changed

from atdata import Dataset, Index
from atdata.errors import ConflictError, InvalidNameError, NotFoundError
from atdata.index.cids import entry_cid
from atdata.index.names import bump_patch, version_key

NAMES = st.sampled_from(["a", "b", "A", "a/b", "ä", "a b", "a-1", "~"])
BAD_NAMES = st.sampled_from(["", "../a", "a\0", "x" * 300, "\ud800", "a@1"])
URLS = st.sampled_from(["x.tar", "y.tar", "z-{0..3}.tar"])
VERSIONS = st.sampled_from(["1.0.0", "1.0.1", "1.9.0", "1.10.0", "2.0.0-rc.1", "2.0.0-rc.2"])


TYPES = {
    "Note": Note,
    "Point": Point,
    "Note of str": changed(text=str),
    "Note of int": changed(text=int),
}


@dataclass
class Model:
    """What an index should hold."""

    datasets: dict[str, list[tuple[str, str, int]]] = field(default_factory=dict)
    schemas: dict[tuple[str, str], str] = field(default_factory=dict)

    def versions(self, name: str) -> list[str]:
        found = [version for schema, version in self.schemas if schema == name]
        return sorted(found, key=version_key)

    def publish(self, label: str, version: str | None) -> str:
        name = TYPES[label].__name__
        if version is None:
            present = self.versions(name)
            version = bump_patch(present[-1]) if present else "1.0.0"
        if self.schemas.setdefault((name, version), label) != label:
            raise ConflictError(name)
        return f"atdata://local/sampleSchema/{name}@{version}"

    def ensure(self, label: str) -> str:
        name = TYPES[label].__name__
        same = [version for version in self.versions(name) if self.schemas[name, version] == label]
        return self.publish(label, same[-1] if same else None)

    def add(self, name: str, label: str, url: str, number: int) -> str:
        ref = self.ensure(label)
        self.datasets.setdefault(name, []).append((ref, url, number))
        return entry_cid(ref, [url])


class Indexes(RuleBasedStateMachine):
    cids = Bundle("cids")
    kind: str

    def __init__(self) -> None:
        super().__init__()
        self.index = Index(provider=self.kind)
        self.model = Model()

    def teardown(self) -> None:
        self.index.close()

    @rule(
        target=cids,
        name=NAMES,
        label=st.sampled_from(sorted(TYPES)),
        url=URLS,
        number=st.integers(0, 9),
    )
    def add(self, name: str, label: str, url: str, number: int) -> str:
        ds = Dataset(url, sample_type=TYPES[label])
        entry = self.index.add_entry(ds, name=name, metadata={"number": number})
        cid = self.model.add(name, label, url, number)
        assert entry.cid == cid
        assert entry.revision == len(self.model.datasets[name])
        return cid

    @rule(label=st.sampled_from(sorted(TYPES)), version=st.none() | VERSIONS)
    def publish(self, label: str, version: str | None) -> None:
        try:
            expected = self.model.publish(label, version)
        except ConflictError:
            with pytest.raises(ConflictError):
                self.index.publish_schema(TYPES[label], version=version)
            return
        assert self.index.publish_schema(TYPES[label], version=version) == expected

    @rule(name=NAMES)
    def delete(self, name: str) -> None:
        if self.model.datasets.pop(name, None) is None:
            with pytest.raises(NotFoundError):
                self.index.delete(name)
        else:
            self.index.delete(name)

    @rule(name=BAD_NAMES)
    def refuse(self, name: str) -> None:
        with pytest.raises(InvalidNameError):
            self.index.add_entry(Dataset[Note]("x.tar"), name=name)

    @rule(name=NAMES, revision=st.none() | st.integers(0, 5))
    def get(self, name: str, revision: int | None) -> None:
        revisions = self.model.datasets.get(name, [])
        ref = name if revision is None else f"{name}@{revision}"
        number = len(revisions) if revision is None else revision
        if not 1 <= number <= len(revisions):
            with pytest.raises(NotFoundError):
                self.index.get_dataset(ref)
        else:
            assert seen(self.index.get_dataset(ref)) == revisions[number - 1]

    @rule(cid=cids)
    def get_by_cid(self, cid: str) -> None:
        owners = [
            (name, number)
            for name, revisions in self.model.datasets.items()
            for number, (ref, url, _) in enumerate(revisions, 1)
            if entry_cid(ref, [url]) == cid
        ]
        if not owners:
            with pytest.raises(NotFoundError):
                self.index.get_entry(cid)
        else:
            entry = self.index.get_entry(cid)
            assert (entry.name, entry.revision) in owners
            assert entry.cid == cid

    @rule(name=st.sampled_from(["Note", "Point"]))
    def get_newest_schema(self, name: str) -> None:
        versions = self.model.versions(name)
        if not versions:
            with pytest.raises(NotFoundError):
                self.index.get_schema(name)
        else:
            assert self.index.get_schema(name)["version"] == versions[-1]

    @rule(name=NAMES)
    def history(self, name: str) -> None:
        revisions = self.model.datasets.get(name)
        if revisions is None:
            with pytest.raises(NotFoundError):
                self.index.history(name)
        else:
            assert [seen(entry) for entry in self.index.history(name)] == revisions[::-1]

    @invariant()
    def listings_agree(self) -> None:
        listed = {entry.name: seen(entry) for entry in self.index.datasets}
        assert listed == {name: newest[-1] for name, newest in self.model.datasets.items()}
        assert list(listed) == sorted(listed, key=str.encode)
        schemas = [(record.name, record.version) for record in self.index.schemas]
        assert schemas == sorted(self.model.schemas)


def seen(entry: Any) -> tuple[str, str, int]:
    return entry.schema_ref, entry.data_urls[0], entry.metadata["number"]


class MemoryIndexes(Indexes):
    kind = "memory"


class SQLiteIndexes(Indexes):
    kind = "sqlite"


TestMemory = MemoryIndexes.TestCase
TestSQLite = SQLiteIndexes.TestCase
TestMemory.settings = TestSQLite.settings = settings(
    max_examples=50, stateful_step_count=30, deadline=None
)
