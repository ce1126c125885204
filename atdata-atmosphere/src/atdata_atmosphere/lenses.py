"""Lenses in repositories: what leads from one schema to another, and where its code is kept.

Code is only ever referred to. Nothing here fetches, imports or runs it: who wants a lens installs
the code that its record names, and decides to trust it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from atdata.errors import FieldError
from atdata_atmosphere.listing import first_values, iterate_records
from atdata_atmosphere.records.collections import LENS
from atdata_atmosphere.records.lenses import lens_to_record, read_lens

if TYPE_CHECKING:
    from atdata.lens import Lens
    from atdata_atmosphere.client import AtmosphereClient
    from atdata_atmosphere.uri import AtUri

Code = Mapping[str, str]


class LensPublisher:
    """Publishes lenses to the repository of a client's account."""

    def __init__(self, client: AtmosphereClient) -> None:
        self._client = client

    def publish(  # noqa: PLR0913, PLR0917 -- both documented spellings
        self,
        name: str,
        source_schema_uri: str | AtUri | None = None,
        target_schema_uri: str | AtUri | None = None,
        description: str | None = None,
        code_repository: str | None = None,
        code_commit: str | None = None,
        getter_path: str | None = None,
        putter_path: str | None = None,
        rkey: str | None = None,
        *,
        source_schema: str | AtUri | None = None,
        target_schema: str | AtUri | None = None,
        getter_code: Code | None = None,
        putter_code: Code | None = None,
    ) -> AtUri:
        """Publish a lens as a new record and return its URI.

        The schemas are AT URIs, spelled either way. The code is a repository, a commit and the
        paths in it, or one map of ``repository``, ``commit`` and ``path`` for each function.
        ``ValueError`` if a reference to code is incomplete.
        """
        codes = {"getterCode": getter_code, "putterCode": putter_code}
        paths = {"getterCode": getter_path, "putterCode": putter_path}
        codes |= _codes(code_repository, code_commit, paths)
        record = lens_to_record(
            name,
            _one(source_schema_uri, source_schema, "source_schema"),
            _one(target_schema_uri, target_schema, "target_schema"),
            description=description,
            codes={key: code for key, code in codes.items() if code is not None},
        )
        return self._client.create_record(LENS, record, rkey=rkey)

    def publish_from_lens(  # noqa: PLR0913 -- documented so
        self,
        lens_obj: Lens[Any, Any],
        *,
        name: str | None = None,
        source_schema_uri: str | AtUri | None = None,
        target_schema_uri: str | AtUri | None = None,
        code_repository: str | None = None,
        code_commit: str | None = None,
        description: str | None = None,
        rkey: str | None = None,
        source_schema: str | AtUri | None = None,
        target_schema: str | AtUri | None = None,
    ) -> AtUri:
        """Publish a lens of this program; its functions are named as the paths of the code.

        Without ``code_repository`` and ``code_commit`` the record names no code.
        """
        named = name or lens_obj.__name__
        has_code = code_repository is not None or code_commit is not None
        put = lens_obj._put  # noqa: SLF001 -- None where there is none, which put() does not tell
        return self.publish(
            named,
            source_schema_uri,
            target_schema_uri,
            description,
            code_repository,
            code_commit,
            _path_of(lens_obj, named) if has_code else None,
            _path_of(put, named) if has_code else None,
            rkey,
            source_schema=source_schema,
            target_schema=target_schema,
        )


class LensLoader:
    """Finds lens records, of any generation and in anybody's repository."""

    def __init__(self, client: AtmosphereClient) -> None:
        self._client = client

    def get(self, uri: str | AtUri) -> dict[str, Any]:
        """Return a lens record; ``ValueError`` if the record is none."""
        return read_lens(self._client.get_record(uri), uri)

    def list_all(self, repo: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """Return up to ``limit`` lens records of a repository, by default the client's own."""
        return first_values(self._client, "lens", repo, limit)

    def find_by_schemas(
        self,
        source_schema_uri: str | AtUri,
        target_schema_uri: str | AtUri | None = None,
        repo: str | None = None,
    ) -> list[dict[str, Any]]:
        """Return all lenses of a repository that lead from a schema, to another if it is given."""
        source = str(source_schema_uri)
        target = None if target_schema_uri is None else str(target_schema_uri)
        return [
            listed.value
            for listed in iterate_records(self._client, "lens", repo)
            if listed.value.get("sourceSchema") == source
            and (target is None or listed.value.get("targetSchema") == target)
        ]


def _one(uri: str | AtUri | None, same: str | AtUri | None, name: str) -> str:
    if (uri is None) == (same is None):
        raise TypeError(f"a lens has one {name}; give {name}_uri or {name}")
    return str(same if uri is None else uri)


def _codes(
    repository: str | None, commit: str | None, paths: Mapping[str, str | None]
) -> dict[str, Code]:
    """Return the references that a repository, a commit and paths in it make together."""
    given = {key: path for key, path in paths.items() if path is not None}
    if not given and repository is None and commit is None:
        return {}
    if not given or repository is None or commit is None:
        raise FieldError(
            "a reference to code needs code_repository, code_commit and getter_path or "
            "putter_path together, so that readers can find the very code",
            field="code",
        )
    return {
        key: {"repository": repository, "commit": commit, "path": path}
        for key, path in given.items()
    }


def _path_of(function: Any, lens_name: str) -> str | None:
    if function is None:
        return None
    qualified = getattr(function, "__qualname__", "<")
    if "<" in qualified:
        raise FieldError(
            f"the functions of lens {lens_name} have no path that others could import; "
            "define them at the top of a module",
            field="path",
        )
    return f"{function.__module__}:{qualified}"
