"""``Kit``: tests that a class adopts whole, none of them lost without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, TypeVar

_Test = TypeVar("_Test", bound=Callable[..., None])


class _Dropped:
    """What stands where a test was; pytest collects only what can be called."""


_DROPPED = _Dropped()


class Kit:
    """A class of tests that backends inherit.

    A subclass says how its backend is opened, and may add tests. It cannot replace any: two tests
    of one name among the classes it inherits from and itself are a TypeError. Tests that `needs`
    marks are left out where the subclass says that what they need is not there.
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        tests = _tests_of(cls)
        counts = Counter(name for name, _ in tests)
        twice = sorted(name for name, count in counts.items() if count > 1)
        if twice:
            message = f"{cls.__qualname__} redefines {', '.join(twice)}, which a kit holds"
            raise TypeError(f"{message}; give its own tests other names")
        for (name, _), test in tests.items():
            flag = getattr(test, "needs", None)
            if flag is not None:
                setattr(cls, name, test if getattr(cls, flag) else _DROPPED)


def needs(flag: str) -> Callable[[_Test], _Test]:
    """Leave a test out of the classes whose attribute ``flag`` is false."""

    def mark(test: _Test) -> _Test:
        test.needs = flag  # type: ignore[attr-defined]
        return test

    return mark


def _tests_of(kit: type) -> dict[tuple[str, int], Any]:
    return {
        (name, id(test)): test
        for kind in kit.__mro__
        for name, test in vars(kind).items()
        if name.startswith("test_") and test is not _DROPPED
    }
