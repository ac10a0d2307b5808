"""What a session's Python functions need besides code: files to import, archives to read, packages to be there.

`python.files`, `python.archives` and `python.requirements` are read here, whether a method or `SET` wrote them. Imports errors only.
"""

from __future__ import annotations

import atexit
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from importlib import metadata
from pathlib import Path

from tableapi.errors import UnknownNameError, UnsupportedError, ValidationError

FILES, ARCHIVES, REQUIREMENTS = "python.files", "python.archives", "python.requirements"


def prepare(option: Callable[[str], str | None]) -> None:
    """Makes a session's files importable and checks its packages.

    Args:
        option: Gives the text of a configuration key.

    Raises:
        UnknownNameError: A file does not exist.
        ValidationError: Packages are missing.
    """
    for path in (option(FILES) or "").split(","):
        if path.strip():
            use_file(path.strip())
    requirements = option(REQUIREMENTS)
    if requirements:
        check_requirements(requirements.partition("#")[0])


def use_file(file_path: str) -> str:
    """Makes a Python file, folder or zip importable; its whole path.

    Raises:
        UnknownNameError: It does not exist.
    """
    path = os.path.abspath(os.path.expanduser(file_path))
    if not os.path.exists(path):
        raise UnknownNameError(f"'{file_path}' does not exist", fix="check the path")
    folder = os.path.dirname(path) if path.endswith(".py") else path
    if folder not in sys.path:
        sys.path.insert(0, folder)
    return path


def check_requirements(file_path: str) -> None:
    """Checks that the packages of a requirements file are installed: functions run with this interpreter's packages.

    Raises:
        UnknownNameError: The file does not exist.
        ValidationError: Packages are missing, or of another version.
    """
    path = Path(file_path).expanduser()
    if not path.is_file():
        raise UnknownNameError(f"'{file_path}' does not exist", fix="check the path")
    missing = [problem for line in _requirement_lines(path) if (problem := _problem(line)) is not None]
    if missing:
        raise ValidationError(
            f"packages of '{file_path}' are not there: {'; '.join(missing)}",
            fix=f"install them for this interpreter: {os.path.basename(sys.executable)} -m pip install -r {file_path}",
        )


def _requirement_lines(path: Path) -> Iterator[str]:
    for text in path.read_text().splitlines():
        line = re.sub(r"(^|\s)#.*$", "", text).strip()
        nested = re.match(r"(?:-r|--requirement)[ =](.+)", line)
        if nested:
            yield from _requirement_lines(path.parent / nested[1].strip())
        elif line and not line.startswith("-"):
            yield line


def _problem(line: str) -> str | None:
    """What is wrong with a requirement; None when it is met."""
    name = re.match(r"[A-Za-z0-9][A-Za-z0-9._-]*", line)
    if name is None:
        return f"'{line}' is not a requirement"
    try:
        installed = metadata.version(name[0])
    except metadata.PackageNotFoundError:
        installed = None
    if line == name[0]:
        return None if installed is not None else line
    try:
        from packaging.requirements import InvalidRequirement, Requirement
    except ImportError:
        raise UnsupportedError(f"versions such as '{line}' cannot be checked", fix="pip install packaging") from None
    try:
        requirement = Requirement(line)
    except InvalidRequirement as error:
        return f"'{line}' is not a requirement ({error})"
    if requirement.marker is not None and not requirement.marker.evaluate():
        return None
    if installed is None:
        return line
    return None if requirement.specifier.contains(installed, prereleases=True) else f"{line} (installed: {installed})"


def archive_text(archive_path: str, target_dir: str | None) -> str:
    """An archive as `python.archives` names it.

    Raises:
        UnknownNameError: It does not exist.
        UnsupportedError: It is no archive.
    """
    path = os.path.abspath(os.path.expanduser(archive_path))
    if not os.path.isfile(path):
        raise UnknownNameError(f"'{archive_path}' does not exist", fix="check the path")
    if not any(path.endswith(suffix) for _, suffixes, _ in shutil.get_unpack_formats() for suffix in suffixes):
        raise UnsupportedError(f"'{archive_path}' is not an archive that Python can unpack", exists=".zip, .tar, .tar.gz, …")
    return f"{path}#{target_dir}" if target_dir else path


def archives_directory(text: str | None) -> str | None:
    """The folder in which functions find the archives of `python.archives`, each under its name there; None without any.

    Raises:
        UnknownNameError: An archive does not exist.
        ValidationError: A name leads out of the folder.
    """
    archives = [part.strip() for part in (text or "").split(",") if part.strip()]
    return _unpacked(tuple(archives)) if archives else None


@cache
def _unpacked(archives: tuple[str, ...]) -> str:
    root = tempfile.mkdtemp(prefix="tableapi-archives-")
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    for archive in archives:
        path, _, target = archive.partition("#")
        path = archive_text(path, None)
        folder = os.path.normpath(os.path.join(root, target or os.path.basename(path)))
        if not folder.startswith(root + os.sep):
            raise ValidationError(f"the archive '{path}' cannot be unpacked to '{target}'", fix="give a name without '..'")
        options = {} if path.endswith(".zip") else {"filter": "data"}
        shutil.unpack_archive(path, folder, **options)  # type: ignore[arg-type]
    return root
