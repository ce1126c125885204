"""A Redis server, asked again where that is safe, with errors translated."""

from __future__ import annotations

import random
import time
import weakref
from collections.abc import Callable, Iterator
from typing import Any, Final, TypeVar

from redis.exceptions import NoScriptError, TryAgainError

from atdata.errors import StorageError
from atdata_redis.addresses import Client, is_cluster, name_of
from atdata_redis.failures import FAILURES, is_lost, is_passing, translate
from atdata_redis.forks import ForkGate
from atdata_redis.scripts import Script

T = TypeVar("T")

PATIENCE: Final = 10.0
_FIRST_PAUSE: Final = 0.02
_LONGEST_PAUSE: Final = 1.0

# What a client must not do: decode replies, which hold msgpack and any bytes of keys.
_RAW: Final[dict[str, Any]] = {"NEVER_DECODE": True}


class Server:
    """Runs commands over a client; from many threads, and in a child after a fork.

    A command whose answer is lost is sent again for some seconds once the server has answered at
    all, so it must do no harm twice.
    """

    def __init__(self, client: Client, *, is_owned: bool) -> None:
        self.name = name_of(client)
        self._client: Client | None = client
        # One that is dropped without `close` must not leave its connections open.
        self._disposal = weakref.finalize(self, client.close) if is_owned else None
        self._gate = ForkGate()
        self._is_known = False

    def run(self, script: Script, keys: list[bytes], arguments: list[Any]) -> Any:
        """Run a script, which is sent whole only where the server does not know it."""

        def act(client: Client) -> Any:
            rest = (len(keys), *keys, *arguments)
            try:
                return _execute(client, "EVALSHA", script.digest, *rest)
            except NoScriptError:
                return _execute(client, "EVAL", script.text, *rest)

        return self._patiently(act)

    def command(self, *words: Any) -> Any:
        """Run a command on the server that has the key in it."""
        return self._patiently(lambda client: _execute(client, *words))

    def nodes(self) -> list[Any]:
        """Return a client for each server that holds a part of the data."""

        def act(client: Client) -> list[Any]:
            if is_cluster(client):
                return [client.get_redis_connection(node) for node in client.get_primaries()]
            return [client]

        return self._patiently(act)

    def on_node(self, node: Any, *commands: tuple[Any, ...]) -> list[Any]:
        """Run commands on one server at once; an answer may be an exception."""

        def act(_: Client) -> list[Any]:
            pipeline: Any = node.pipeline(transaction=False)
            for words in commands:
                pipeline.execute_command(*words, **_RAW)
            answers: list[Any] = pipeline.execute(raise_on_error=False)
            return answers

        return self._patiently(act)

    def check_open(self) -> Client:
        """Return the client; StorageError after `close`."""
        client = self._client
        if client is None:
            raise StorageError(f"the index at {self.name} is closed; open it again")
        return client

    def close(self) -> None:
        """Use the client no more, and close it if it is ours; twice is fine."""
        self._client = None
        if self._disposal is not None:
            with self._gate:
                self._disposal()

    def _patiently(self, act: Callable[[Client], T]) -> T:
        pauses = _pauses()
        while True:
            client = self.check_open()
            try:
                with self._gate:
                    result = act(client)
            except FAILURES as error:
                may_pass = is_passing(error) or (self._is_known and is_lost(error))
                pause = next(pauses, None) if may_pass else None
                if pause is None:
                    raise translate(error, self.name) from error
                time.sleep(pause)
            else:
                self._is_known = True
                return result


def _execute(client: Client, *words: Any) -> Any:
    try:
        return client.execute_command(*words, **_RAW)
    except AttributeError as error:
        # A cluster's client was sent to a node that it does not know, as while the first keys move
        # to a new one.
        if error.name == "redis_connection":
            raise TryAgainError(str(error)) from error
        raise


def _pauses() -> Iterator[float]:
    """Yield how long to wait before each further attempt, until patience is at an end."""
    end = time.monotonic() + PATIENCE
    pause = _FIRST_PAUSE
    while time.monotonic() + pause < end:
        # Clients that lost one server together must not come back together.
        yield pause * random.uniform(0.5, 1.0)
        pause = min(2 * pause, _LONGEST_PAUSE)


def to_map(answer: Any) -> dict[bytes, bytes]:
    """Return an answer of names and values, which the newer protocol has as a map already."""
    if isinstance(answer, dict):
        return answer
    return dict(zip(answer[::2], answer[1::2], strict=True))
