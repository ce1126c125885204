"""Take from atdata what other systems lack, in each Python that has this folder in its path.

``ATDATA_TEST_SYSTEM`` says which system is meant. What is taken away is missing to atdata's own
modules alone: they get an ``os`` of their own, and cannot import ``fcntl``. pytest, numpy and the
standard library go on with what is there, as they would with their own ways elsewhere.
"""

from __future__ import annotations

import builtins
import errno
import os
import stat
from collections.abc import Callable
from types import ModuleType
from typing import Any

SYSTEM = os.environ.get("ATDATA_TEST_SYSTEM", "")

_LINUX = {"preadv", "posix_fadvise", "POSIX_FADV_WILLNEED", "sched_getaffinity", "O_PATH"}
_POSIX = {
    *{"fork", "register_at_fork", "pread", "fchmod", "fchown", "getuid", "geteuid", "getgid"},
    *{"getpgid", "setsid", "killpg", "statvfs", "mkfifo", "waitstatus_to_exitcode"},
    *{"O_NOFOLLOW", "O_DIRECTORY", "O_NONBLOCK", "O_CLOEXEC"},
}
# "bare" is a system without links and locks, besides what Windows lacks.
MISSING = {
    "macos": _LINUX,
    "windows": _LINUX | _POSIX,
    "bare": _LINUX | _POSIX | {"link"},
}
MODULES = {
    "macos": set[str](),
    "windows": {"fcntl", "pwd", "grp", "resource"},
    "bare": {"fcntl", "pwd", "grp", "resource", "msvcrt"},
}
_import = builtins.__import__
_link = os.link


def _no_proc(path: Any, *args: Any, **options: Any) -> Any:
    if str(path).startswith("/proc/"):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), path)
    return os.readlink(path, *args, **options)


def _by_path_only(function: Callable[..., Any]) -> Callable[..., Any]:
    """Make a call as on Windows, where folders have no numbers."""

    def call(*args: Any, **options: Any) -> Any:
        if any(value is not None for name, value in options.items() if name.endswith("dir_fd")):
            raise NotImplementedError("dir_fd unavailable on this platform")
        return function(*args, **options)

    return call


def _open(path: Any, flags: int, mode: int = 0o777) -> int:
    if os.path.isdir(path) and not flags & os.O_EXCL:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
    return os.open(path, flags, mode)


def _scandir(path: Any = ".") -> Any:
    if isinstance(path, int):
        raise TypeError("scandir: path should be string, bytes, os.PathLike or None, not int")
    return os.scandir(path)


def _refuse_open(path: Any) -> None:
    """Refuse what cannot be moved or removed, as a process has it open (this one, here)."""
    wanted = os.stat(path, follow_symlinks=False)
    for number in os.listdir("/proc/self/fd"):
        try:
            status = os.fstat(int(number))
        except OSError:
            continue
        if os.path.samestat(status, wanted) and stat.S_ISREG(status.st_mode):
            raise PermissionError(errno.EACCES, "it is being used by another process", path)


def _unlink(path: Any) -> None:
    _refuse_open(path)
    os.unlink(path)


def _rename(path: Any, new: Any) -> None:
    _refuse_open(path)
    _link(path, new, follow_symlinks=False)
    os.unlink(path)


def _fsync(number: int) -> None:
    import fcntl

    if fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE == os.O_RDONLY:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    os.fsync(number)


def _locking(number: int, mode: int, count: int) -> None:
    import fcntl

    assert (mode, count) == (2, 1)
    assert os.lseek(number, 0, os.SEEK_CUR) == 0x7FFF_FFFF
    try:
        fcntl.flock(number, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES)) from error


def _module(name: str, contents: dict[str, Any]) -> ModuleType:
    module = ModuleType(name)
    vars(module).update(contents)
    return module


def _own_os() -> ModuleType:
    """Make the ``os`` of the system that is meant."""
    contents = {name: value for name, value in vars(os).items() if name not in MISSING[SYSTEM]}
    contents["readlink"] = _no_proc
    if SYSTEM != "macos":
        calls: dict[str, Any] = {
            "mkdir": os.mkdir,
            "stat": os.stat,
            "link": os.link,
            "chmod": os.chmod,
        }
        contents |= {name: _by_path_only(call) for name, call in calls.items() if name in contents}
        contents |= {"open": _open, "scandir": _scandir, "unlink": _unlink, "remove": _unlink}
        contents |= {"rename": _rename, "fsync": _fsync, "name": "nt"}
        contents |= {"supports_dir_fd": set(), "supports_fd": set()}
    return _module("os", contents)


def _for_ours(name: str, *args: Any, **options: Any) -> Any:
    importer = (args[0] if args else options.get("globals")) or {}
    module = str(importer.get("__package__") or importer.get("__name__") or "")
    if module.partition(".")[0].startswith("atdata"):
        if name in MODULES[SYSTEM]:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        if name in _OWN:
            return _OWN[name]
    return _import(name, *args, **options)


_OWN: dict[str, ModuleType] = {}
if SYSTEM:
    _OWN["os"] = _own_os()
    if SYSTEM == "windows":
        _OWN["msvcrt"] = _module("msvcrt", {"LK_NBLCK": 2, "locking": _locking})
    builtins.__import__ = _for_ours
