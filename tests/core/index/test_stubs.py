"""Generated modules: importable, type-checked, and never a way in."""

from __future__ import annotations

import ast
import importlib
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.core.index.kinds import Note, Point, changed, files

from atdata import Index, packable
from atdata.errors import AtdataError, ConflictError, SchemaError, StorageError
from atdata.index import Key, LocalSchemaRecord, Put
from atdata.index.stubs import StubFolder


@packable
class Everything:
    r"""All kinds of fields; "quotes", \backslashes and \"\"\" too."""

    flag: bool
    count: int
    ratio: float
    text: str
    raw: bytes
    any_array: NDArray[Any]
    typed: NDArray[np.float32]
    tags: list[str]
    matrix: list[list[int]]
    extra: dict[str, Any]
    maybe_array: NDArray[np.uint8] | None
    maybe_text: str | None = None


@pytest.fixture
def index(tmp_path: Path) -> Iterator[Index]:
    with Index(path=tmp_path / "index.db", auto_stubs=True, stub_dir=tmp_path / "stubs") as made:
        yield made
        made.clear_stubs()


def put(index: Index, name: str, version: str, **record: Any) -> None:
    body = {"name": name, "version": version, "fields": [], "description": None, **record}
    index.provider.commit([Put(Key("schema", name, version), json.dumps(body).encode())])


def run(script: str, *path: Path) -> str:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, check=True, env=env).stdout


def test_the_documented_import_gives_the_decoded_class(index: Index) -> None:
    ref = index.publish_schema(Note, version="1.0.0")
    made = index.load_schema(ref)
    assert index.get_import_path(ref) == "local.Note_1_0_0"
    module = importlib.import_module("local.Note_1_0_0")
    assert module.Note is made is index.types.Note
    assert index.decode_schema_as(ref, module.Note) is made


FRESH = """
from local.Note_1_0_0 import Note
from atdata import Index
index = Index(path={path!r})
assert index.decode_schema("Note@1.0.0") is Note
print(Note(text="a").text, Note.from_bytes(Note(text="b").packed).text)
"""


def test_a_fresh_process_imports_the_very_class_too(index: Index, tmp_path: Path) -> None:
    index.decode_schema(index.publish_schema(Note, version="1.0.0"))
    script = FRESH.format(path=str(tmp_path / "index.db"))
    assert run(script, tmp_path / "stubs") == "a b\n"


def test_a_module_of_the_users_own_called_local_is_not_shadowed(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "local.py").write_text("OWN = True\n")
    monkeypatch.syspath_prepend(tmp_path / "own")
    index.decode_schema(index.publish_schema(Note))
    assert importlib.import_module("local").OWN
    monkeypatch.delitem(sys.modules, "local")


def test_one_file_per_version_below_the_folder(index: Index, tmp_path: Path) -> None:
    for _ in range(2):
        index.decode_schema(index.publish_schema(Note))
    names = [path.relative_to(tmp_path / "stubs").as_posix() for path in files(tmp_path / "stubs")]
    assert names == ["local/Note_1_0_0.py", "local/Note_1_0_1.py", "local/__init__.py"]
    assert index.stub_dir == tmp_path / "stubs"


def test_the_default_folder_is_private_to_the_user(tmp_path: Path) -> None:
    with Index(auto_stubs=True) as index:
        index.decode_schema(index.publish_schema(Note))
        home = tmp_path / "atdata-home"
        assert index.stub_dir == home / "stubs"
        assert (home / "stubs" / "local" / "Note_1_0_0.py").exists()
        assert home.stat().st_mode & 0o777 == 0o700
        assert index.clear_stubs() == 1


def test_a_file_is_written_only_when_it_differs(index: Index, tmp_path: Path) -> None:
    ref = index.publish_schema(Note)
    index.decode_schema(ref)
    stub = tmp_path / "stubs" / "local" / "Note_1_0_0.py"
    os.utime(stub, ns=(1, 1))
    index.decode_schema(ref)
    assert stub.stat().st_mtime_ns == 1
    stub.write_text(stub.read_text() + "\n")
    index.decode_schema(ref)
    assert stub.stat().st_mtime_ns != 1


TAMPERED = [
    "import os; os.system('touch hacked')\n",
    '"""Schema: Note@1.0.0"""\nraise SystemExit\n',
    "",
    "\udcff",
]


@pytest.mark.parametrize("text", TAMPERED)
def test_a_tampered_file_is_replaced_and_never_run(index: Index, tmp_path: Path, text: str) -> None:
    ref = index.publish_schema(Note)
    made = index.decode_schema(ref)
    stub = tmp_path / "stubs" / "local" / "Note_1_0_0.py"
    good = stub.read_text()
    stub.write_bytes(text.encode(errors="surrogateescape"))
    assert index.decode_schema(ref) is made
    assert stub.read_text() == good
    assert not Path("hacked").exists()


def test_a_file_that_is_tampered_with_below_its_heading_is_replaced(
    index: Index, tmp_path: Path
) -> None:
    ref = index.publish_schema(Note)
    index.decode_schema(ref)
    stub = tmp_path / "stubs" / "local" / "Note_1_0_0.py"
    good = stub.read_text()
    stub.write_text(good + "raise SystemExit\n")
    index.decode_schema(ref)
    assert stub.read_text() == good


def test_p8_a_file_of_another_schema_is_not_overwritten(index: Index, tmp_path: Path) -> None:
    # On a file system that ignores case, this is where "note" would find "Note".
    index.decode_schema(index.publish_schema(Note))
    folder = tmp_path / "stubs" / "local"
    (folder / "Note_1_0_0.py").rename(folder / "note_1_0_0.py")
    put(index, "note", "1.0.0")
    before = (folder / "note_1_0_0.py").read_text()
    with pytest.raises(ConflictError, match="clear_stubs"):
        index.decode_schema("note@1.0.0")
    assert (folder / "note_1_0_0.py").read_text() == before


def test_indexes_that_share_a_folder_keep_each_other_s_modules(tmp_path: Path) -> None:
    folder = tmp_path / "stubs"
    kinds = [Note, changed(text=int), changed(text=str, more=float)]
    indexes = [Index(auto_stubs=True, stub_dir=folder) for _ in kinds]
    refs = [
        index.publish_schema(kind, version="1.0.0")
        for index, kind in zip(indexes, kinds, strict=True)
    ]
    for index, ref in zip(indexes, refs, strict=True):
        index.decode_schema(ref)
    decoded = [index.decode_schema(ref) for index, ref in zip(indexes, refs, strict=True)]
    paths = [index.get_import_path(ref) for index, ref in zip(indexes, refs, strict=True)]
    assert paths[0] == "local.Note_1_0_0"
    assert len({*paths}) == len(kinds)
    for path, kind in zip(paths, decoded, strict=True):
        assert path is not None
        module = folder.joinpath(*path.split(".")).with_suffix(".py")
        assert sys.modules[path].Note is kind
        assert runpy.run_path(str(module))["Note"] is kind
    assert indexes[0].clear_stubs() == len(kinds)


def test_indexes_of_the_same_schema_share_its_module(tmp_path: Path) -> None:
    indexes = [Index(auto_stubs=True, stub_dir=tmp_path) for _ in range(2)]
    for index, text in zip(indexes, "ab", strict=True):
        ref = index.publish_schema(Note, description=text)
        index.decode_schema(ref)
        assert index.get_import_path(ref) == "local.Note_1_0_0"


def test_p8_versions_that_differ_in_punctuation_have_files_of_their_own(index: Index) -> None:
    versions = ["1.0.0-a.1", "1.0.0-a-1", "1.0.0", "1.0.0+a.1", "1.0.0-a1"]
    refs = [index.publish_schema(Note, version=version) for version in versions]
    classes = [index.decode_schema(ref) for ref in refs]
    paths = [index.get_import_path(ref) for ref in refs]
    assert len(set(paths)) == len(versions)
    for made, path in zip(classes, paths, strict=True):
        assert path is not None
        assert importlib.import_module(path).Note is made


def test_clearing_removes_generated_modules_alone(index: Index, tmp_path: Path) -> None:
    for sample_type in (Note, Point):
        index.decode_schema(index.publish_schema(sample_type))
    own = tmp_path / "stubs" / "local" / "mine.py"
    own.write_text('"""Schema: mine."""\n')
    assert index.clear_stubs() == 2
    assert own.exists()
    assert index.clear_stubs() == 0
    assert "local.Note_1_0_0" not in sys.modules


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    index = Index(auto_stubs=True, stub_dir=tmp_path / "file")
    with pytest.raises(StorageError, match="Note_1_0_0"):
        index.decode_schema(index.publish_schema(Note))


def test_a_failed_write_leaves_no_temporary_file(index: Index, tmp_path: Path) -> None:
    stub = tmp_path / "stubs" / "local" / "Note_1_0_0.py"
    stub.mkdir(parents=True)
    with pytest.raises(StorageError):
        index.decode_schema(index.publish_schema(Note))
    assert [path.name for path in files(tmp_path / "stubs")] == ["__init__.py"]


HOSTILE_TEXT = [
    '"""; __import__("os").system("touch hacked"); """',
    "'''; import os\nos.system('touch hacked')\n'''",
    "\\",
    "line\n    raise SystemExit\n",
    "{name} {0} %s",
    "\r\x0b\x0c\u2028\x85\u202e",
    "\x00",
    "\ud800",
    "\N{SNOWMAN}",
]


@pytest.mark.parametrize("text", HOSTILE_TEXT)
def test_a_hostile_description_stays_text(tmp_path: Path, text: str) -> None:
    record = LocalSchemaRecord(
        {"name": "Hostile", "version": "1.0.0", "fields": [], "description": text}
    )
    path = StubFolder(tmp_path).write(record)
    source = path.read_text("utf-8")
    assert list(stub_classes(source)) == ["Hostile"]
    namespace: dict[str, Any] = {}
    exec(compile(source, str(path), "exec"), namespace)
    assert namespace["Hostile"] is record.to_type()
    assert not Path("hacked").exists()


def stub_classes(source: str) -> Iterator[str]:
    """Yield the names of the classes of a generated module, which must hold nothing else."""
    tree = ast.parse(source)
    kinds = [type(node).__name__ for node in tree.body]
    assert kinds == ["Expr", *["ImportFrom"] * 3, "Import", *["ImportFrom"] * 2, "If", "Assign"]
    (branch,) = (node for node in tree.body if isinstance(node, ast.If))
    for node in branch.body:
        assert isinstance(node, ast.ClassDef)
        assert all(
            isinstance(line, ast.AnnAssign | ast.Pass)
            or (isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant))
            for line in node.body
        )
        yield node.name


@given(
    st.dictionaries(st.from_regex(r"[A-Za-z_][A-Za-z0-9_]{0,8}", fullmatch=True), st.booleans()),
    st.text(),
)
def test_whatever_a_schema_says_its_module_holds_one_class_and_no_code(
    tmp_path_factory: pytest.TempPathFactory, fields: dict[str, bool], description: str
) -> None:
    body = {
        "name": "Any",
        "version": "1.0.0",
        "description": description,
        "fields": [
            {"name": name, "fieldType": {"$type": "local#ndarray"}, "optional": optional}
            for name, optional in fields.items()
        ],
    }
    try:
        path = StubFolder(tmp_path_factory.mktemp("stubs")).write(LocalSchemaRecord(body))
    except SchemaError:
        return
    assert list(stub_classes(path.read_text("utf-8"))) == ["Any"]


HOSTILE_RECORDS: list[dict[str, Any]] = [
    {"name": "../../evil"},
    {"name": "/etc/evil"},
    {"name": "evil\0"},
    {"name": "class"},
    {"name": "__init__"},
    {"name": 'A"""'},
    {"name": "é"},
    {"name": ["A"]},
    {"version": "1/../../x"},
    {"version": '1.0.0"""; __import__("os").system("touch hacked"); """'},
    {"version": "1.0.0\n"},
    {"version": 1},
    {"fields": [{"name": "x: int = __import__('os').system('touch hacked')", "fieldType": {}}]},
    {
        "fields": [
            {
                "name": "x",
                "fieldType": {
                    "$type": "local#primitive",
                    "primitive": "__import__('os').system('touch hacked')",
                },
            }
        ]
    },
    {"fields": [{"name": "x", "fieldType": {"$type": "local#ndarray", "scalarType": "x[1]"}}]},
    {"fields": [{"name": "x", "fieldType": {"$type": "local#ref", "ref": "os:system"}}]},
]


@pytest.mark.parametrize("hostile", HOSTILE_RECORDS)
def test_x4_x5_p8_hostile_records_are_refused_and_write_nothing(
    tmp_path: Path, hostile: dict[str, Any]
) -> None:
    folder = tmp_path / "deep" / "stubs"
    body = {"name": "A", "version": "1.0.0", "fields": [], "description": None, **hostile}
    with pytest.raises(AtdataError):
        StubFolder(folder).write(LocalSchemaRecord(body))
    assert files(tmp_path) == []
    assert not Path("hacked").exists()


@pytest.mark.parametrize("hostile", HOSTILE_RECORDS)
def test_x4_x5_p8_hostile_records_in_the_store_are_refused(
    index: Index, tmp_path: Path, hostile: dict[str, Any]
) -> None:
    body = {"name": "A", "version": "1.0.0", "fields": [], "description": None, **hostile}
    encoded = json.dumps(body).replace("\\u0000", "?").encode()
    index.provider.commit([Put(Key("schema", "A", "1.0.0"), encoded)])
    with pytest.raises(AtdataError):
        index.decode_schema("A@1.0.0")
    with pytest.raises(AtdataError):
        index.load_schema("A")
    assert not (tmp_path / "stubs").exists()
    assert not Path("hacked").exists()


def test_generated_modules_type_check(index: Index, tmp_path: Path) -> None:
    index.decode_schema(index.publish_schema(Everything))
    use = tmp_path / "use.py"
    use.write_text(
        "import numpy as np\n"
        "from numpy.typing import NDArray\n"
        "from local.Everything_1_0_0 import Everything\n\n\n"
        "def typed(sample: Everything) -> NDArray[np.float32]:\n"
        "    return sample.typed\n\n\n"
        "def tags(sample: Everything) -> list[str]:\n"
        "    return [*sample.tags, sample.maybe_text or '']\n"
    )
    if find_spec("mypy") is None:
        pytest.skip("mypy is not installed; the types session has it")
    env = {**os.environ, "MYPYPATH": str(tmp_path / "stubs")}
    command = [sys.executable, "-m", "mypy", "--strict", "--config-file=", str(use)]
    found = subprocess.run(
        command, capture_output=True, text=True, env=env, cwd=tmp_path, check=False
    )
    assert found.returncode == 0, found.stdout + found.stderr
