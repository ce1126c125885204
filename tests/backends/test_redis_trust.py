"""Others may write to a Redis database: its rows open only what is public or one's own."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.services.redis_server import Place
from tests.web_server import serving

import atdata
from atdata import Index, LocalDiskStore
from atdata.errors import UntrustedInputError
from atdata.index import Key, Put


@atdata.packable
class Note:
    """A text."""

    text: str


def forge(index: Index, ref: str, url: str) -> None:
    row = {"name": "odd", "schema_ref": ref, "data_urls": [url]}
    index.provider.commit([Put(Key("dataset", "odd", ""), json.dumps(row).encode())])


def test_rows_of_others_open_neither_files_nor_servers_inside(
    redis_server: Place, tmp_path: Path
) -> None:
    url = redis_server.fresh_url()
    private = Index(path=tmp_path / "private" / "index.db")
    [file] = private.write([Note("private")], name="mine").data_urls
    with (
        serving(tmp_path) as web,
        Index(url=url, data_store=LocalDiskStore(tmp_path / "team")) as index,
    ):
        entry = index.write([Note("ours")], name="ours")
        inside = f"{web.url}/{Path(file).relative_to(tmp_path)}"
        for other in (file, f"file://{file}", inside, f"zip://a.tar::{inside}", "memory://a.tar"):
            forge(index, entry.schema_ref, other)
            with pytest.raises(UntrustedInputError):
                atdata.load_dataset("@local/odd", index=index, split="train")
            with pytest.raises(UntrustedInputError):
                Index(path=tmp_path / "copies.db").copy_from(index, "odd")
        assert web.requests == []
        ours = atdata.load_dataset("@local/ours", Note, index=index, split="train")
        assert list(ours) == [Note("ours")]
        forge(index, entry.schema_ref, inside)
        allowed = atdata.load_dataset(
            "@local/odd", Note, index=index, split="train", allow=[f"{web.url}/"]
        )
        assert list(allowed) == [Note("private")]
