"""``atdata verify``: every shard of a dataset read again and compared with what the index says."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import asdict, dataclass, field
from typing import IO, Any

import typer

from atdata.cli.datasets import Name
from atdata.cli.indexes import Allow, open_index
from atdata.cli.output import AsJson, complain, print_json, print_line, print_table, progress_bar
from atdata.dataset.source import shard_ids
from atdata.dataset.url import redacted
from atdata.errors import AtdataError, NoDataFilesError
from atdata.index import Index, LocalDatasetEntry
from atdata.shards import ShardReader, in_chunks
from atdata.stores import ShardInfo

_CHUNK = 1 << 20


@dataclass
class ShardReport:
    """What was found in one shard, and what is wrong with it."""

    url: str
    samples: int = 0
    # Members that other tools left in the archive, such as AppleDouble files of macOS.
    skipped: int = 0
    bytes: int = 0
    sha256: str | None = None
    problems: list[str] = field(default_factory=list)


def verify(
    context: typer.Context, name: Name, allow: Allow = None, as_json: AsJson = False
) -> None:
    """Read all shards again and compare them.

    Digest, size and number of samples of each shard must be what the index says, and every sample
    must decode.
    """
    with open_index(context.obj, allow=allow) as index:
        entry = index.get_dataset(name)
        with progress_bar() as progress:
            found = _reports(index, entry)
            total = len(entry.data_urls)
            reports = list(progress.track(found, total=total, description="verifying"))
    bad = sum(bool(report.problems) for report in reports)
    if as_json:
        print_json(_document(entry, reports))
    else:
        _print_reports(entry, reports)
    if bad:
        complain(f"{bad} of {len(reports)} shards of {entry.name!r} are not as they should be")
        raise typer.Exit(1)


def _reports(index: Index, entry: LocalDatasetEntry) -> Iterator[ShardReport]:
    if not entry.data_urls:
        raise NoDataFilesError(f"dataset {entry.name!r} has no shards", name=entry.name)
    sample_type = index.decode_schema(entry.schema_ref)
    source = index.create_entry_source(entry, entry.data_urls)
    known = {shard.url: shard for shard in entry.shards or ()}
    for shard in shard_ids(source):
        yield _check(source, shard, sample_type, known.get(shard))


def _check(source: Any, shard: str, sample_type: Any, known: ShardInfo | None) -> ShardReport:
    report = ShardReport(redacted(shard))
    try:
        with closing(source.open_shard(shard)) as stream:
            _read(_Measured(stream), report, sample_type)
    except (AtdataError, OSError) as error:
        report.problems.append(str(error))
    if known is not None and report.sha256 is not None:
        report.problems += list(_differences(report, known))
    return report


def _read(stream: Any, report: ShardReport, sample_type: Any) -> None:
    reader = ShardReader(sample_type)
    try:
        for rows in reader.read(stream, report.url):
            report.samples += sum(map(len, in_chunks(rows, 0, len(rows))))
    finally:
        report.skipped = reader.skipped
        # What does not decode still has a digest and a size.
        report.sha256 = stream.finish()
        report.bytes = stream.size


def _differences(report: ShardReport, known: ShardInfo) -> Iterator[str]:
    if report.bytes != known.bytes:
        yield f"it has {report.bytes} bytes, {known.bytes} were written"
    if report.sha256 != known.sha256:
        yield f"its SHA-256 is {report.sha256}, {known.sha256} was written"
    # What could not be decoded was not counted either.
    if report.samples != known.count and not report.problems:
        yield f"{report.samples} samples were read, {known.count} were written"


class _Measured(io.RawIOBase):
    """A stream that counts and digests all that is read of it."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self._sha256 = hashlib.sha256()
        self.size = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._take(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def finish(self) -> str:
        """Read what is left, even after closing, and return the SHA-256 of everything in hex."""
        while self._take(_CHUNK):
            pass
        return self._sha256.hexdigest()

    def _take(self, size: int) -> bytes:
        data = self._stream.read(size)
        self._sha256.update(data)
        self.size += len(data)
        return data


def _document(entry: LocalDatasetEntry, reports: list[ShardReport]) -> dict[str, Any]:
    return {
        "name": entry.name,
        "revision": entry.revision,
        "ok": not any(report.problems for report in reports),
        "digests_known": entry.shards is not None,
        "shards": [asdict(report) for report in reports],
    }


def _found(report: ShardReport) -> str:
    junk = f"{report.skipped} members of other tools were passed over"
    return "; ".join([*(report.problems or ["ok"]), *([junk] if report.skipped else [])])


def _print_reports(entry: LocalDatasetEntry, reports: list[ShardReport]) -> None:
    print_table(
        [
            {
                "url": report.url,
                "samples": report.samples,
                "bytes": report.bytes,
                "found": _found(report),
            }
            for report in reports
        ]
    )
    if entry.shards is None:
        print_line(
            "The index knows no digests of these shards, as atdata did not write them: "
            "they were read and decoded, but compared with nothing."
        )
