"""What type checkers see of lenses."""

from __future__ import annotations

from typing import assert_type

import atdata
from atdata import Dataset, DictSample, Lens, LensNetwork
from atdata.testing import check_lens_laws


@atdata.packable
class Full:
    label: str
    score: float


@atdata.packable
class Simple:
    label: str


@atdata.packable
class Other:
    text: str


@atdata.lens
def simplify(source: Full) -> Simple:
    return Simple(source.label)


@simplify.putter
def simplify_put(view: Simple, source: Full) -> Full:
    return Full(view.label, source.score)


@atdata.lens
def other(source: Simple) -> Other:
    return Other(source.label)


full = Full("a", 0.5)
assert_type(simplify, Lens[Full, Simple])
assert_type(simplify(full), Simple)
assert_type(simplify.get(full), Simple)
assert_type(simplify.put(Simple("b"), full), Full)
assert_type(simplify_put(Simple("b"), full), Full)
assert_type(simplify | other, Lens[Full, Other])
assert_type(other @ simplify, Lens[Full, Other])
assert_type(Lens.identity(Full), Lens[Full, Full])
assert_type(LensNetwork().transform(Full, Other), Lens[Full, Other])
assert_type(LensNetwork().transform(DictSample, Full), Lens[DictSample, Full])
assert_type(Dataset[Full]("data.tar").as_type(Other), Dataset[Other])

# Lenses that do not meet, samples of another type, and putters of another lens are errors.
_ = other | simplify  # type: ignore[operator] # pyright: ignore[reportOperatorIssue, reportUnknownVariableType]
simplify(Simple("a"))  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]
other.putter(simplify_put)  # type: ignore[arg-type] # pyright: ignore[reportArgumentType]

check_lens_laws(simplify, [full], [Simple("b")])
check_lens_laws(simplify, [Simple("a")])  # type: ignore[misc] # pyright: ignore[reportArgumentType]
