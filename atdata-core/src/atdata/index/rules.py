"""Which URLs an index may name, and the data sources that are made of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

from atdata.dataset import as_source
from atdata.dataset.braces import expand_all
from atdata.dataset.named import NamedSource, check_named
from atdata.errors import InvalidNameError
from atdata.trust import Policy, check_allowed, has_secret, redacted

if TYPE_CHECKING:
    from atdata.index.provider import IndexProvider
    from atdata.protocols import AbstractDataStore, IndexEntry
    from atdata.trust import Owner, Writer


class Rules:
    """The rules for one index: by who writes to it, the stores in use, and what is allowed.

    ``store`` is the one that was given, ``own_store`` the one that is used without.
    """

    def __init__(
        self,
        provider: IndexProvider,
        store: AbstractDataStore | None,
        own_store: AbstractDataStore | None,
        allow: Sequence[str],
    ) -> None:
        stores = [one for one in (store, own_store) if hasattr(one, "owns")]
        # Providers of earlier releases do not say.
        self._writer: Writer = "own index" if getattr(provider, "is_own", False) else "shared index"
        self._store = store
        self._own_store = own_store
        self._stores = cast("tuple[Owner, ...]", tuple(stores))
        self.allow = check_allowed(allow)

    def policy(self, *, foreign: bool, allow: Sequence[str] = ()) -> Policy:
        """Return what may be named, here or in an entry that came from a stranger."""
        allowed = (*self.allow, *check_allowed(allow))
        if foreign:
            return Policy("network record", allowed)
        return Policy(self._writer, allowed, self._stores)

    def check(self, urls: Sequence[str], *, foreign: bool) -> None:
        """Refuse to name what could not be read back, or what would give others access.

        Raises UntrustedInputError or InvalidNameError.
        """
        for url in expand_all(urls):
            if has_secret(url):
                shown = redacted(url)
                raise InvalidNameError(
                    f"{shown} holds credentials, which all readers of the index would see; "
                    "register it without, and give them where it is opened",
                    url=shown,
                )
        check_named(urls, self.policy(foreign=foreign))

    def is_foreign(self, entry: IndexEntry) -> bool:
        """Tell whether a copy of an entry is a stranger's: marked so, or named by others alone.

        What a shared index names in the stores and starts of URLs that its reader named is not.
        """
        if getattr(entry, "foreign", False):
            return True
        policy = self.policy(foreign=False)
        ways = {way for _, way in check_named(entry.data_urls, policy)}
        return policy.is_public_only and not ways <= {"store", "allowed"}

    def create_source(self, urls: Sequence[str], policy: Policy) -> Any:
        """Make a data source, with the access of the store to what is its own."""
        ways = {way for _, way in check_named(urls, policy)}
        if policy.is_public_only and ways != {"store"}:
            return NamedSource(urls, policy)
        store = self._own_store if self._store is None else self._store
        create = getattr(store, "create_source", None)
        if create is not None:
            return create(urls)
        read_url = self._store.read_url if self._store is not None else str
        return as_source([read_url(url) for url in urls])
