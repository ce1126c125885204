"""Lenses: views of samples of one type as another, and the network that finds them."""

from __future__ import annotations

import functools
import inspect
import operator
import sys
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, TypeVar, get_type_hints

from atdata.errors import AmbiguousLensError, LensNotFoundError, SampleTypeError
from atdata.samples import DictSample, PackableSample, Schema

S = TypeVar("S")
V = TypeVar("V")
W = TypeVar("W")

MAX_PATHS_SHOWN = 5


class Lens(Generic[S, V]):
    """A getter from a source type to a view type, and a putter that carries changes back.

    The types are read from the getter's annotations unless both are given. Called, a lens gets;
    without a putter, ``put`` returns the source unchanged. ``first | second`` views through both in
    that order, and ``second @ first`` is the same lens. Lenses pickle if their functions do.

    Raises:
        SampleTypeError: the getter does not take one sample and return one, both annotated.
    """

    # Those of the getter.
    __name__: str
    __qualname__: str

    def __init__(
        self,
        get: Callable[[S], V],
        put: Callable[[V, S], S] | None = None,
        *,
        source_type: type[S] | None = None,
        view_type: type[V] | None = None,
    ) -> None:
        if source_type is None or view_type is None:
            # Strings may name what only the caller's scope knows.
            source_type, view_type = _types_of(get, sys._getframe(1).f_locals)  # noqa: SLF001
        self.source_type: type[S] = source_type
        self.view_type: type[V] = view_type
        self._get = get
        self._put = put
        functools.update_wrapper(self, get, updated=())

    def __call__(self, s: S) -> V:
        """View a source sample."""
        return self._get(s)

    def get(self, s: S) -> V:
        """View a source sample."""
        return self._get(s)

    def put(self, v: V, s: S) -> S:
        """Return the source with the changes of a view in it."""
        return s if self._put is None else self._put(v, s)

    def putter(self, put: Callable[[V, S], S]) -> Callable[[V, S], S]:
        """Make a function of view and source the putter, and return the function."""
        self._put = put
        return put

    @classmethod
    def identity(cls, sample_type: type[W]) -> Lens[W, W]:
        """Make the lens through which samples look as they are."""
        return Lens(_itself, _view_alone, source_type=sample_type, view_type=sample_type)

    def __or__(self, other: Lens[V, W]) -> Lens[S, W]:
        if not isinstance(other, Lens):
            return NotImplemented
        if self.view_type is not other.source_type:
            raise LensNotFoundError(f"{self} and {other} do not meet in one type")
        return Lens(
            functools.partial(_get_through, self, other),
            functools.partial(_put_through, self, other),
            source_type=self.source_type,
            view_type=other.view_type,
        )

    def __matmul__(self, other: Lens[W, S]) -> Lens[W, V]:
        return other | self

    def __reduce__(self) -> str | tuple[Any, ...]:
        # A decorated function's name now means the lens: pickle it as that name, as functions are.
        if _named(self) is self:
            return self.__qualname__
        return _rebuild, (self._get, self._put, self.source_type, self.view_type)

    def __repr__(self) -> str:
        return f"Lens[{self.source_type.__name__} -> {self.view_type.__name__}]"


class LensNetwork:
    """The lenses of this process by source and view type; every instance is the same one.

    Every typed class is viewable from ``DictSample``, and as any type of the same schema (so a
    class rebuilt from a stored schema stands in for the one it was written with). Safe to use from
    several threads.
    """

    # No lock, which a fork could leave locked: a dict is changed and copied in one step.
    _registry: ClassVar[dict[tuple[type, type], Lens[Any, Any]]] = {}
    _instance: ClassVar[LensNetwork]

    def __new__(cls) -> LensNetwork:  # noqa: PYI034 -- every call gives the one instance
        """Return the one network."""
        return cls._instance

    def register(self, _lens: Lens[Any, Any]) -> None:
        """Make a lens the one between its two types, in place of any before it."""
        self._registry[_lens.source_type, _lens.view_type] = _lens

    def transform(self, source: type[S], view: type[V]) -> Lens[S, V]:
        """Find the lens from one type to another: the direct one, else the shortest chain.

        Raises:
            LensNotFoundError: nothing leads there.
            AmbiguousLensError: several equally short chains do; register a direct lens.
        """
        known = dict(self._registry)
        if found := known.get((source, view)) or _automatic(source, view):
            return found
        paths = _shortest_paths(known, source, view) or _paths_of_twins(known, source, view)
        if not paths:
            raise LensNotFoundError(
                f"no lens leads from {_name(source)} to {_name(view)}; define one with @lens",
                source=source,
                view=view,
            )
        if len(paths) > 1:
            raise _ambiguous(source, view, paths)
        chain: Lens[S, V] = functools.reduce(operator.or_, paths[0])
        return chain


LensNetwork._instance = object.__new__(LensNetwork)  # noqa: SLF001 -- made before any thread asks


def lens(f: Callable[[S], V]) -> Lens[S, V]:
    """Make a lens of a getter with annotated types, and register it in the network.

    Raises:
        SampleTypeError: the function does not take one sample and return one, both annotated.
    """
    # Strings may name what only the caller's scope knows.
    source_type, view_type = _types_of(f, sys._getframe(1).f_locals)  # noqa: SLF001
    made: Lens[S, V] = Lens(f, source_type=source_type, view_type=view_type)
    LensNetwork().register(made)
    return made


def _types_of(get: Callable[..., Any], local_names: Mapping[str, Any]) -> tuple[Any, Any]:
    name = _name(get)
    try:
        parameters = list(inspect.signature(get).parameters)
        hints = get_type_hints(get, localns=dict(local_names))
    # What has no signature or no annotations, and annotations that name nothing.
    except (NameError, AttributeError, TypeError, ValueError, SyntaxError) as error:
        raise SampleTypeError(f"the types of lens {name} cannot be found: {error}") from error
    found = [hints.get(parameter) for parameter in [*parameters, "return"]]
    if len(parameters) != 1 or not all(_is_sample_type(kind) for kind in found):
        raise SampleTypeError(
            f"lens {name} must take one parameter and return a value, "
            "both annotated with sample types"
        )
    return found[0], found[1]


def _is_sample_type(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, PackableSample | DictSample)


def _automatic(source: type[Any], view: type[Any]) -> Lens[Any, Any] | None:
    """Make the lens that needs no registering, if there is one between the two types."""
    if source is view:
        return Lens.identity(source)
    if not (_is_sample_type(source) and _is_sample_type(view)) or issubclass(view, DictSample):
        return None
    if issubclass(source, DictSample):
        return Lens(functools.partial(_read_as, view), source_type=source, view_type=view)
    if source.__name__ != view.__name__ or Schema.from_type(source) != Schema.from_type(view):
        return None
    return Lens(
        functools.partial(_copy_as, view),
        functools.partial(_copy_back, source),
        source_type=source,
        view_type=view,
    )


def _shortest_paths(
    known: Mapping[tuple[type, type], Lens[Any, Any]], source: type, view: type
) -> list[list[Lens[Any, Any]]]:
    """Search breadth first for all chains of the least length."""
    frontier: list[list[Lens[Any, Any]]] = [[]]
    seen = {source}
    while frontier:
        longer = [
            [*path, step]
            for path in frontier
            for (start, end), step in known.items()
            if start is (path[-1].view_type if path else source) and end not in seen
        ]
        if arrived := [path for path in longer if path[-1].view_type is view]:
            return arrived
        seen |= {path[-1].view_type for path in longer}
        frontier = longer
    return []


def _paths_of_twins(
    known: Mapping[tuple[type, type], Lens[Any, Any]], source: type, view: type
) -> list[list[Lens[Any, Any]]]:
    """Search as ``_shortest_paths`` does, from and to other types of the same schemas as well."""
    starts = {start: [step] for start, _ in known if (step := _automatic(source, start))}
    ends = {end: [step] for _, end in known if (step := _automatic(end, view))}
    ends.pop(DictSample, None)  # untyped data would lead to every type there is
    paths = [
        [*first, *path, *last]
        for start, first in {**starts, source: []}.items()
        for end, last in {**ends, view: []}.items()
        for path in _shortest_paths(known, start, end)
    ]
    least = min(map(len, paths), default=0)
    return [path for path in paths if len(path) == least]


def _ambiguous(source: type, view: type, paths: list[list[Lens[Any, Any]]]) -> AmbiguousLensError:
    shown = [
        " -> ".join(_name(t) for t in [source, *(step.view_type for step in p)]) for p in paths
    ]
    return AmbiguousLensError(
        f"{len(paths)} equally short ways lead from {_name(source)} to {_name(view)}: "
        f"{'; '.join(sorted(shown)[:MAX_PATHS_SHOWN])}; register a direct lens to choose",
        source=source,
        view=view,
        paths=sorted(shown),
    )


def _name(kind: object) -> str:
    return getattr(kind, "__name__", repr(kind))


def _named(made: Lens[Any, Any]) -> object:
    """Look up what a lens's own module and name lead to today."""
    module = sys.modules.get(getattr(made, "__module__", ""))
    try:
        return operator.attrgetter(made.__qualname__)(module)
    except AttributeError:
        return None


def _rebuild(get: Any, put: Any, source_type: type, view_type: type) -> Lens[Any, Any]:
    return Lens(get, put, source_type=source_type, view_type=view_type)


def _itself(sample: W) -> W:
    return sample


def _view_alone(view: W, _source: W) -> W:
    return view


def _get_through(first: Lens[S, V], second: Lens[V, W], source: S) -> W:
    return second.get(first.get(source))


def _put_through(first: Lens[S, V], second: Lens[V, W], view: W, source: S) -> S:
    return first.put(second.put(view, first.get(source)), source)


def _read_as(view: Any, source: DictSample | dict[str, Any]) -> Any:
    # A map of untyped samples may make plain dicts of them.
    return view.from_data(source.to_dict() if isinstance(source, DictSample) else source)


def _copy_as(view: Any, source: Any) -> Any:
    return view.from_data({name: getattr(source, name) for name in Schema.from_type(view).names})


def _copy_back(source_type: Any, view: Any, _source: Any) -> Any:
    return _copy_as(source_type, view)
