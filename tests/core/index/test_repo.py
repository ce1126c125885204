"""``Repo`` of earlier releases, on a stand-in for the S3 plugin."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.core.plugins.distributions import Site

PLUGIN = """
from atdata.hookspecs import hookimpl

@hookimpl
def register_data_stores(register):
    register("s3", "plugin_s3_store:Store")
"""

STORE = """
import os
from atdata.stores import LocalDiskStore

class Store(LocalDiskStore):
    def __init__(self, *, credentials, bucket):
        super().__init__(os.path.join(credentials["ROOT"], bucket))
"""

SCRIPT = """
import sys
import atdata.local, atdata.stores
from tests.core.index.kinds import Point, points
first = atdata.Index().write(points(5), name="first")
credentials = {"ROOT": sys.argv[1]}
repo = atdata.local.Repo(s3_credentials=credentials, hive_path="bucket/some/prefix")
ds = atdata.Dataset[Point](first.data_urls[0])
entry, stored = repo.insert(ds, name="mine", cache_local=False, maxcount=3, maxsize=100_000_000)
assert repo.index.get_entry(entry.cid) == entry
assert stored.sample_type is Point
assert stored.shard_list == entry.data_urls
assert isinstance(repo.index.data_store, atdata.local.S3DataStore)
assert atdata.local.S3DataStore is atdata.stores.S3DataStore is atdata.S3DataStore
print(*entry.data_urls, *(sample.label for sample in stored))
"""


def test_a_repo_writes_to_its_bucket_and_returns_entry_and_dataset(tmp_path: Path) -> None:
    site = Site(tmp_path / "site")
    site.write_module("plugin_s3_store", STORE)
    site.install("s3", PLUGIN)
    env = {**os.environ, "PYTHONPATH": str(site.path)}
    command = [sys.executable, "-W", "error", "-c", SCRIPT, str(tmp_path / "root")]
    printed = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert printed.returncode == 0, printed.stderr
    first, second, *labels = printed.stdout.split()
    assert labels == ["0", "1", "2", "3", "4"]
    for url in (first, second):
        assert Path(url).parent == tmp_path / "root" / "bucket" / "some" / "prefix"
