"""What functions need besides code: files to import, archives to read, packages."""

from __future__ import annotations

import os
import tarfile
import zipfile

import pytest

from tableapi.errors import UnknownNameError, UnsupportedError, ValidationError
from tableapi.expressions import call, col
from tableapi.udf import udf


@pytest.fixture
def table(env):
    return env.from_elements([(1,), (2,)], ["a"])


@pytest.mark.parametrize("mode", ["thread", "process"])
@pytest.mark.parametrize("how", ["method", "option"])
def test_files_are_importable_where_functions_run(env, table, tmp_path, mode, how):
    name = f"helper_{mode}_{how}_{os.getpid()}"
    path = tmp_path / f"{name}.py"
    path.write_text("from tableapi.udf import udf\n\ndef add(x):\n    return x + 40\n\nfour = udf(add, result_type='BIGINT')\n")
    env.get_config().set("python.execution-mode", mode)
    if how == "method":
        env.add_python_file(str(path))
    else:
        env.get_config().set("python.files", str(path))
    env.execute_sql(f"CREATE TEMPORARY FUNCTION four AS '{name}.four' LANGUAGE PYTHON")
    assert table.select(call("four", col("a")).alias("b")).to_polars()["b"].to_list() == [41, 42]

    def imports(x):
        import importlib

        return importlib.import_module(name).add(x)

    assert table.select(udf(imports, result_type="BIGINT")(col("a")).alias("b")).to_polars()["b"].to_list() == [41, 42]


def archive(tmp_path, kind):
    (tmp_path / "words.txt").write_text("one two")
    path = tmp_path / f"data.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as file:
            file.write(tmp_path / "words.txt", "words.txt")
    else:
        with tarfile.open(path, "w:gz") as file:
            file.add(tmp_path / "words.txt", "words.txt")
    return path


@pytest.mark.parametrize(("kind", "target"), [("zip", None), ("tar.gz", "vocabulary")])
def test_archives_are_where_functions_look_for_them(env, table, tmp_path, monkeypatch, kind, target):
    path = archive(tmp_path, kind)
    env.add_python_archive(str(path), target)
    place = f"{target or path.name}/words.txt"

    def read(x):
        with open(place) as file:
            return file.read().split()[x - 1]

    assert table.select(udf(read, result_type="STRING")(col("a")).alias("w")).to_polars()["w"].to_list() == ["one", "two"]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a.csv").write_text("2\n")
    env.execute_sql("CREATE TABLE t (a BIGINT) WITH ('connector'='filesystem', 'path'='in', 'format'='csv')")
    found = env.from_path("t").select(udf(read, result_type="STRING")(col("a")).alias("w")).to_polars()
    assert found["w"].to_list() == ["two"]


def test_archives_that_cannot_be_used_are_named(env, table, tmp_path):
    with pytest.raises(UnknownNameError, match=r"'no\.zip' does not exist"):
        env.add_python_archive("no.zip")
    (tmp_path / "x.rar").touch()
    with pytest.raises(UnsupportedError, match="not an archive"):
        env.add_python_archive(str(tmp_path / "x.rar"))
    env.add_python_archive(str(archive(tmp_path, "zip")), "../out")
    with pytest.raises(ValidationError, match=r"cannot be unpacked to '\.\./out'"):
        table.select(udf(lambda x: x, result_type="BIGINT")(col("a"))).execute()


def test_requirements_are_checked(env, tmp_path):
    path, more = tmp_path / "requirements.txt", tmp_path / "more.txt"
    more.write_text("pyarrow\n")
    path.write_text("# a comment\npolars>=1  # why\n-r more.txt\n--no-index\nwinloop; sys_platform == 'win32'\n")
    env.set_python_requirements(str(path))
    more.write_text("polars<1\nno-such-package-here==3\n")
    with pytest.raises(ValidationError, match=r"polars<1 \(installed: .*\); no-such-package-here==3(.|\n)*pip install -r"):
        env.set_python_requirements(str(path))
    env.get_config().set("python.requirements", str(path))
    with pytest.raises(ValidationError, match="no-such-package-here"):
        env.execute_sql("SELECT 1")
    with pytest.raises(UnknownNameError, match="does not exist"):
        env.set_python_requirements(str(tmp_path / "none.txt"))
