"""References to what indexes hold, such as ``atdata://local/sampleSchema/MySample@1.0.0``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, NoReturn
from urllib.parse import quote, unquote

from atdata.errors import InvalidNameError
from atdata.index.names import check_class_name, check_dataset_name, check_version

Kind = Literal["schema", "dataset", "lens"]

LOCAL = "local"
_SCHEME = "atdata://"
_LEGACY = "local://schemas/"
_FORM = "atdata://{authority}/{sampleSchema|dataset|lens}/{name}[@{version}]"
_SHORT_FORM = "name[@version] or @authority/name[@version]"

_TYPE_OF_KIND: dict[Kind, str] = {"schema": "sampleSchema", "dataset": "dataset", "lens": "lens"}
# Releases from 0.3.1 on wrote "schema".
_KIND_OF_TYPE: dict[str, Kind] = {
    **{resource: kind for kind, resource in _TYPE_OF_KIND.items()},
    "schema": "schema",
}

# https://atproto.com/specs/did and https://atproto.com/specs/handle
_DID = re.compile(r"did:[a-z]+:[a-zA-Z0-9._:%-]*[a-zA-Z0-9._-]", re.ASCII)
_LABEL = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HANDLE = re.compile(rf"(?:{_LABEL}\.)+[a-zA-Z](?:[a-zA-Z0-9-]{{0,61}}[a-zA-Z0-9])?", re.ASCII)
_MAX_DID, _MAX_HANDLE = 2048, 253
# A revision of a dataset, or what a publisher on the network called its version.
_REVISION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,99}", re.ASCII)
_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Reference:
    """One schema, dataset or lens of one authority; without a version, the latest.

    The authority is "local", a DID, or a handle (in lower case). Every part is checked when the
    reference is made; `InvalidNameError` says which is wrong.
    """

    authority: str
    kind: Kind
    name: str
    version: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "authority", _check_authority(self.authority))
        if self.kind == "schema":
            check_class_name(self.name)
        else:
            check_dataset_name(self.name)
        if self.version is None:
            return
        if self.kind == "schema":
            check_version(self.version)
        elif not _REVISION.fullmatch(self.version):
            message = f"{self.version[:200]!r} is no version of a {self.kind}; use a number"
            raise InvalidNameError(message, version=self.version)

    @classmethod
    def parse(cls, text: str, kind: Kind | None = None) -> Reference:
        """Read a reference in any spelling; ``kind`` is what it must refer to, if not None.

        Besides the URI these are ``name[@version]``, ``@authority/name[@version]``, which mean a
        dataset unless ``kind`` says otherwise, and ``local://schemas/{module.Class}@{version}``
        of earlier releases, whose module is dropped.
        """
        try:
            reference = _parse(text, kind or "dataset")
        except InvalidNameError as error:
            form = _FORM if "://" in text else _SHORT_FORM
            message = f"{text[:200]!r} is no reference of the form {form}: {error}"
            raise InvalidNameError(message, reference=text) from error
        if kind is not None and reference.kind != kind:
            message = f"{text[:200]!r} refers to a {reference.kind}; give a {kind} here"
            raise InvalidNameError(message, reference=text)
        return reference

    def to_uri(self) -> str:
        """Return the canonical URI, which `parse` reads back to an equal reference."""
        resource = _TYPE_OF_KIND[self.kind]
        # Everything RFC 3986 lets stand in a path unescaped, so that class names keep their form.
        version = "" if self.version is None else f"@{self.version}"
        return f"{_SCHEME}{self.authority}/{resource}/{quote(self.name)}{version}"


def check_schema_ref(ref: str | None) -> None:
    """Raise `InvalidNameError` unless ``ref``, if given, may refer to a schema somewhere."""
    if ref is not None and not ref.startswith("at://"):
        Reference.parse(ref, "schema")


def _parse(text: str, kind: Kind) -> Reference:
    if text.startswith(_SCHEME):
        return _parse_uri(text.removeprefix(_SCHEME))
    if text.startswith(_LEGACY):
        name, version = _split_version(text.removeprefix(_LEGACY))
        return Reference(LOCAL, "schema", name.rpartition(".")[2], version)
    if "://" in text:
        _refuse("its scheme is unknown")
    authority = LOCAL
    if text.startswith("@"):
        authority, slash, text = text[1:].partition("/")
        if not slash:
            _refuse("a name must follow the authority")
    return Reference(authority, kind, *_split_version(text))


def _parse_uri(rest: str) -> Reference:
    authority, _, path = rest.partition("/")
    resource, _, path = path.partition("/")
    if resource not in _KIND_OF_TYPE:
        _refuse(f"{resource[:80]!r} is none of the resource types {', '.join(_KIND_OF_TYPE)}")
    if "?" in path or "#" in path:
        _refuse("it has a query or fragment; escape '#' in a name as '%23'")
    name, version = _split_version(path)
    return Reference(authority, _KIND_OF_TYPE[resource], _unescape(name), version)


def _split_version(text: str) -> tuple[str, str | None]:
    # Names hold no "@".
    name, at, version = text.rpartition("@")
    return (name, version) if at else (text, None)


def _unescape(text: str) -> str:
    if _ESCAPE.search(text):
        _refuse("a '%' is not followed by two hex digits")
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError as error:
        message = "what it escapes is no UTF-8"
        raise InvalidNameError(message) from error


def _check_authority(authority: str) -> str:
    if authority == LOCAL or (len(authority) <= _MAX_DID and _DID.fullmatch(authority)):
        return authority
    if len(authority) <= _MAX_HANDLE and _HANDLE.fullmatch(authority):
        return authority.lower()
    message = f"{authority[:80]!r} is no authority; use 'local', a DID, or a handle such as 'a.org'"
    raise InvalidNameError(message, authority=authority)


def _refuse(reason: str) -> NoReturn:
    raise InvalidNameError(reason)
