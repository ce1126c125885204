"""The laws of lenses, checked on samples."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product
from typing import Any, TypeVar

from atdata.lens import Lens

S = TypeVar("S")
V = TypeVar("V")

_SHOWN = 300


def check_lens_laws(lens: Lens[S, V], sources: Iterable[S], views: Iterable[V] = ()) -> None:
    """Check GetPut, PutGet and PutPut on every combination of some sources and views.

    What the lens shows of the sources is put as well, so views need only be given where they hold
    values no source does. PutPut costs the square of the number of views: give a handful.

    Raises:
        AssertionError: the law that is broken, and the samples that show it.
        ValueError: there are no sources, so nothing would be checked.
    """
    sources = list(sources)
    if not sources:
        raise ValueError(f"{lens} cannot be checked without any source")
    views = [*map(lens.get, sources), *views]
    for source in sources:
        _check("GetPut", lens, source, lens.put(lens.get(source), source), source=source)
    for source, view in product(sources, views):
        _check("PutGet", lens, view, lens.get(lens.put(view, source)), source=source, view=view)
    for source, first, view in product(sources, views, views):
        twice = lens.put(view, lens.put(first, source))
        once = lens.put(view, source)
        _check("PutPut", lens, once, twice, source=source, first=first, view=view)


_LAWS = {
    "GetPut": "put(get(source), source) == source",
    "PutGet": "get(put(view, source)) == view",
    "PutPut": "put(view, put(first, source)) == put(view, source)",
}


def _check(law: str, lens: Lens[Any, Any], expected: Any, got: Any, **samples: Any) -> None:
    if got == expected:
        return
    where = "".join(f"\n  {name} = {sample!r:.{_SHOWN}}" for name, sample in samples.items())
    raise AssertionError(
        f"{lens} breaks {law}, {_LAWS[law]}:{where}\n"
        f"  expected {expected!r:.{_SHOWN}}\n  got      {got!r:.{_SHOWN}}"
    )
