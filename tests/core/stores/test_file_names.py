"""Which names of shards are names of files, on POSIX systems and on Windows."""

from __future__ import annotations

import ntpath
import posixpath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atdata.stores.file_names import is_file_name, split_name

NOT_ON_WINDOWS = [
    *["con", "CON", "nul.tar", "Aux", "prn.x.y", "com1", "LPT9.tar", "com\u00b9.tar", "conin$"],
    *["nul .tar", "con:x"],
    *["a:b.tar", "c:", "a.tar:stream", "a?.tar", "*.tar", "a<b", 'a"b', "a|b"],
    *["a.", "a ", "...", ".SPOOL"],
]


@pytest.mark.parametrize("name", NOT_ON_WINDOWS)
def test_windows_takes_some_names_for_something_else(name: str) -> None:
    assert not is_file_name(name, "nt")
    assert is_file_name(name, "posix")


@pytest.mark.parametrize(
    "name", ["data--t--000001.tar", "a b.tar", "ü.tar", "console", "com10", "nulls.tar", ".a", "a~"]
)
def test_ordinary_names_are_taken_everywhere(name: str) -> None:
    assert is_file_name(name, "nt")
    assert is_file_name(name, "posix")


@pytest.mark.parametrize("system", ["nt", "posix"])
@given(name=st.text(st.characters() | st.sampled_from("./\\:~{} cCoOnNuUlL$1"), max_size=12))
def test_no_name_that_is_taken_leads_out_of_its_folder(system: str, name: str) -> None:
    parts = split_name(name, system)
    if parts is not None:
        paths, root = (ntpath, "C:\\root\\") if system == "nt" else (posixpath, "/root/")
        path = paths.join(root, *parts)
        assert path == root + paths.sep.join(parts)
        assert paths.normpath(path) == path
        assert not {".", "..", "~", ".spool"} & {*parts}


@pytest.mark.skipif(not hasattr(ntpath, "isreserved"), reason="Python 3.13 knows these names")
@given(
    name=st.from_regex(
        r"(?i)(con|nul|aux|prn|com[0-9]|lpt[0-9]|a)[ .:]{0,2}(tar|x)?", fullmatch=True
    )
)
def test_python_agrees_on_what_windows_reserves(name: str) -> None:
    is_reserved = vars(ntpath)["isreserved"]
    assert not (is_reserved(name) and is_file_name(name, "nt"))
