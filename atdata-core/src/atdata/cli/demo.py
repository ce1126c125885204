"""``atdata demo``, the main job: handwritten digits are written, found by name, and learned."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from atdata.cli.datasets import listing_row, shard_rows, summary
from atdata.cli.output import (
    AsJson,
    complain,
    print_facts,
    print_json,
    print_line,
    print_table,
    progress_bar,
)
from atdata.errors import AtdataError, PluginNotFoundError
from atdata.home import make_home
from atdata.index import Index, LocalDatasetEntry
from atdata.samples import packable
from atdata.stores import LocalDiskStore

NAME = "digits"
SHARD_SAMPLES = 400
# One in so many images is kept for the test.
TEST_EVERY = 5
GOOD_ACCURACY = 0.90


@packable
class Digit:
    """A handwritten digit: 8x8 pixels in shades from 0 to 16, and the number meant."""

    image: NDArray[np.uint8]
    label: int


def demo(
    path: Annotated[
        Path | None, typer.Option(help="Where index and data are kept; ~/.atdata/demo by default.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write handwritten digits, and learn them.

    The 1,797 images that scikit-learn ships become a dataset in an index and folder of their own.
    A new process then finds it by name, and trains a classifier on it.
    """
    folder = (path or make_home() / "demo").expanduser().absolute()
    database = folder / "index.db"
    with Index(path=database, data_store=LocalDiskStore(folder / "data")) as index:
        entry = write_digits(index)
        listing = [summary(one) for one in index.datasets]
    learned = learn_in_new_process(database)
    report = {"index": str(database), "data": str(folder / "data"), "datasets": listing, **learned}
    report |= {"revision": entry.revision, "cid": entry.cid, "shards": shard_rows(entry)}
    print_json(report) if as_json else _print_report(report)
    if learned["accuracy"] <= GOOD_ACCURACY:
        complain(f"the test accuracy is not above {GOOD_ACCURACY}")
        raise typer.Exit(1)


def write_digits(index: Index) -> LocalDatasetEntry:
    """Write the images in two splits of several shards, as the next revision of their name."""
    digits = load_digits()
    splits = {
        "train": [digit for n, digit in enumerate(digits) if n % TEST_EVERY],
        "test": digits[::TEST_EVERY],
    }
    with progress_bar() as progress:
        return index.write(
            {
                split: progress.track(samples, description=f"writing {split}")
                for split, samples in splits.items()
            },
            name=NAME,
            maxcount=SHARD_SAMPLES,
            metadata={"source": "sklearn.datasets.load_digits", "origin": "UCI digits, test part"},
        )


def load_digits() -> list[Digit]:
    """Load the 1,797 images that scikit-learn ships."""
    try:
        # Takes seconds, and only the demo needs it.
        from sklearn import datasets
    except ImportError as error:
        raise PluginNotFoundError(
            "the demo's images come with scikit-learn; pip install 'atdata-core[demo]'",
            package="scikit-learn",
        ) from error
    found = datasets.load_digits()
    return [
        Digit(image=image.astype(np.uint8), label=int(label))
        for image, label in zip(found.images, found.target, strict=True)
    ]


def learn_in_new_process(database: Path) -> dict[str, Any]:
    """Train where nothing is known of ``Digit`` but what the index says; return the report."""
    # -P, as modules in the user's folder are not meant; a group of its own, as an interrupt is for
    # this process, which ends the other one.
    command = [sys.executable, "-P", "-m", "atdata.cli.training", str(database), NAME]
    done = subprocess.run(  # noqa: S603 -- our own module in our own interpreter
        command, stdout=subprocess.PIPE, check=False, process_group=0
    )
    if done.returncode:
        raise AtdataError(f"the training process failed with exit code {done.returncode}")
    return json.loads(done.stdout)  # type: ignore[no-any-return]


def _print_report(report: dict[str, Any]) -> None:
    print_table([listing_row(one) for one in report["datasets"]], "the index")
    print_line(
        f"A new process knew only the name {NAME!r}. It rebuilt {report['type']} from the stored "
        f"schema, viewed it as {report['view']}, and learned from {report['samples']['train']} "
        f"images in {report['epochs']} epochs of shuffled batches."
    )
    print_line(f"Test accuracy: {report['accuracy']:.3f} of {report['samples']['test']} images")
    print_line()
    print_table(report["shards"], "the shards")
    print_facts({name: report[name] for name in ("revision", "cid", "index", "data")})
    print_line(f"Look around with: atdata --index {report['index']} show {NAME}")
