"""Every error that leaves atdata because of data, names or backends.

::

    AtdataError
    ├── SampleTypeError          TypeError             a class cannot be a sample type
    ├── FieldError               TypeError ValueError  a value does not fit its field
    ├── BatchError               ValueError            samples cannot be stacked into one batch
    ├── LensNotFoundError        ValueError            no lens leads from one type to another
    │   └── AmbiguousLensError                         several equally short paths do
    ├── CorruptDataError         ValueError            bytes are not what they claim to be
    │   ├── TruncatedShardError  EOFError              a shard ends before its end mark
    │   └── MissingMsgpackError  RuntimeError KeyError a sample has no .msgpack member
    ├── SchemaError              ValueError            a schema record cannot be understood
    ├── InvalidNameError         ValueError            a name, version or reference is malformed
    │   └── UnknownNameError     NotFoundError         nothing can have the name that is looked up
    ├── NotFoundError            KeyError              the index holds no such thing
    │   └── IdentityNotFoundError  ValueError          nobody on the network is known by that name
    ├── ConflictError            ValueError            something else is stored under that key
    ├── EmptyDatasetError        ValueError RuntimeError  there are no samples to write, or to read
    ├── SplitNotFoundError       ValueError KeyError   a dataset has no such split
    ├── ShardNotFoundError       KeyError FileNotFoundError  a shard is not where it was said to be
    ├── NoDataFilesError         FileNotFoundError     a path or pattern matches nothing
    ├── DataFilesError           ValueError            files would be left out, or read twice
    ├── StorageError             OSError               a backend could not read or write
    │   └── AuthenticationError  PermissionError ValueError  a server does not accept who asks
    ├── IndexCorruptError        ValueError            an index file is damaged or not ours
    ├── UntrustedInputError      ValueError            input asks for something never done for it
    ├── LimitExceededError       ValueError            input is larger than a stated limit
    └── PluginError              RuntimeError          a plugin cannot be used
        ├── PluginNotFoundError  ImportError ValueError  nothing installed goes by that name
        ├── PluginConflictError                        two distributions claim one name
        └── PluginLoadError      ImportError           a plugin failed to import

    UnreadableRecordWarning      UserWarning           a record of an index was passed over

Each error also is the builtin that a careful caller would catch. What the sentence names is kept
in attributes as well, so that programs need not parse it.
"""

from __future__ import annotations

from typing import Any


class AtdataError(Exception):
    """Base of all errors raised by atdata; keyword arguments become attributes."""

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        self.details = details
        for name, value in details.items():
            setattr(self, name, value)

    def __str__(self) -> str:
        # KeyError and OSError would print their own form of the arguments.
        return self.message

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.message, self.details)


def _rebuild(kind: type[AtdataError], message: str, details: dict[str, Any]) -> AtdataError:
    return kind(message, **details)


class SampleTypeError(AtdataError, TypeError):
    """A class cannot be a sample type."""


class FieldError(AtdataError, TypeError, ValueError):
    """A value does not fit the field it is in."""


class BatchError(AtdataError, ValueError):
    """Samples cannot be stacked into one batch."""


class LensNotFoundError(AtdataError, ValueError):
    """No lens leads from one sample type to another."""


class AmbiguousLensError(LensNotFoundError):
    """Several equally short paths of lenses lead from one type to another."""


class CorruptDataError(AtdataError, ValueError):
    """Bytes are not what they claim to be."""


class TruncatedShardError(CorruptDataError, EOFError):
    """A shard ends before its end-of-archive mark."""


class MissingMsgpackError(CorruptDataError, RuntimeError, KeyError):
    """A sample has no ``.msgpack`` member."""


class SchemaError(AtdataError, ValueError):
    """A schema record cannot be understood."""


class InvalidNameError(AtdataError, ValueError):
    """A name, version or reference is malformed."""


class NotFoundError(AtdataError, KeyError):
    """The index holds no such dataset, schema or entry."""


class UnknownNameError(InvalidNameError, NotFoundError):
    """What is looked up has a name, version or reference that nothing can have."""


class IdentityNotFoundError(NotFoundError, ValueError):
    """Nobody on the network is known by that name, or no server is named for them."""


class ConflictError(AtdataError, ValueError):
    """Something else is stored under that key already."""


class EmptyDatasetError(AtdataError, ValueError, RuntimeError):
    """There are no samples to write, or to read."""


class SplitNotFoundError(AtdataError, ValueError, KeyError):
    """A dataset has no split of that name."""


class ShardNotFoundError(AtdataError, KeyError, FileNotFoundError):
    """A shard is not where it was said to be."""


class NoDataFilesError(AtdataError, FileNotFoundError):
    """A path or pattern matches no data files."""


class DataFilesError(AtdataError, ValueError):
    """Files that belong to a dataset would be left out, or read twice."""


class StorageError(AtdataError, OSError):
    """A backend could not read or write."""


class AuthenticationError(StorageError, PermissionError, ValueError):
    """A server does not accept who asks, or nobody is logged in."""


class IndexCorruptError(AtdataError, ValueError):
    """An index file is damaged, foreign, or of a newer format."""


class UntrustedInputError(AtdataError, ValueError):
    """Input from outside asks for something that is never done for it."""


class LimitExceededError(AtdataError, ValueError):
    """Input is larger than a stated limit."""


class PluginError(AtdataError, RuntimeError):
    """A plugin cannot be used."""


class PluginNotFoundError(PluginError, ImportError, ValueError):
    """Nothing installed goes by that name."""


class PluginConflictError(PluginError):
    """Two distributions claim the same name."""


class PluginLoadError(PluginError, ImportError):
    """A plugin failed to import."""


class UnreadableRecordWarning(UserWarning):
    """A record of an index cannot be read and was passed over; the message names its key."""
