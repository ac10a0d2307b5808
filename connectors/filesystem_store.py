"""Where files live: the local disk, or a remote store through `pyarrow.fs` (and fsspec, for what that does not know).

The one place of the filesystem connector that opens, lists, renames and removes files.
Imports tableapi.errors and (lazily) pyarrow only.
"""

from __future__ import annotations

import fnmatch
import glob
import os
import shutil
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from tableapi.errors import ExecutionError, UnsupportedError

HIDDEN = ("_", ".")
"""Files and directories whose name starts with one of these are not data."""


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A file, its size and when it was last changed."""

    path: str
    size_bytes: int
    modified_ms: int


class FileStore(ABC):
    """The operations that the connector needs. Paths are those of the store."""

    is_local = False

    @abstractmethod
    def files(self, path: str) -> list[FileInfo] | None:
        """The data files at `path` (a file, a directory with all in it, or a pattern) by name; None when it does not exist."""

    @abstractmethod
    def open(self, path: str) -> BinaryIO:
        """A file for reading; seekable."""

    @abstractmethod
    def create(self, path: str) -> BinaryIO:
        """A new file for writing; makes the directories above it."""

    @abstractmethod
    def rename(self, source: str, target: str) -> None:
        """Moves a file; makes the directories above the target."""

    @abstractmethod
    def remove(self, path: str) -> None:
        """Removes a file or a directory with all below it, if it exists."""

    @abstractmethod
    def make_directory(self, path: str) -> None:
        """Makes a directory and those above it."""

    @abstractmethod
    def all_files(self, path: str) -> list[str]:
        """Every file below a directory, hidden ones too."""


class LocalStore(FileStore):
    """The local disk."""

    is_local = True

    def files(self, path: str) -> list[FileInfo] | None:
        if os.path.isfile(path):
            return [_info(path)]
        if os.path.isdir(path):
            return sorted(_walk(path), key=lambda f: f.path)
        matches = sorted(glob.glob(path)) if glob.has_magic(path) else []
        found = [f for match in matches if not os.path.basename(match).startswith(HIDDEN) for f in self.files(match) or ()]
        return found if matches else None

    def open(self, path: str) -> BinaryIO:
        return open(path, "rb")

    def create(self, path: str) -> BinaryIO:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        return open(path, "wb")

    def rename(self, source: str, target: str) -> None:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        os.replace(source, target)

    def remove(self, path: str) -> None:
        if os.path.isdir(path) and not os.path.islink(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.remove(path)

    def make_directory(self, path: str) -> None:
        os.makedirs(path, exist_ok=True)

    def all_files(self, path: str) -> list[str]:
        return sorted(os.path.join(folder, name) for folder, _, names in os.walk(path) for name in names)


def _info(path: str) -> FileInfo:
    stat = os.stat(path)
    return FileInfo(path, stat.st_size, stat.st_mtime_ns // 1_000_000)


def _walk(path: str) -> list[FileInfo]:
    found: list[FileInfo] = []
    with os.scandir(path) as entries:
        for entry in entries:
            if entry.name.startswith(HIDDEN):
                continue
            if entry.is_dir():
                found += _walk(entry.path)
            elif entry.is_file():
                stat = entry.stat()
                found.append(FileInfo(entry.path, stat.st_size, stat.st_mtime_ns // 1_000_000))
    return found


class ArrowStore(FileStore):
    """A remote store behind a `pyarrow.fs.FileSystem`."""

    def __init__(self, filesystem: Any) -> None:
        self._fs = filesystem

    def files(self, path: str) -> list[FileInfo] | None:
        from pyarrow import fs

        info = self._fs.get_file_info(path)
        if info.type == fs.FileType.File:
            return [_remote_info(info)]
        if info.type == fs.FileType.NotFound:
            return self._matching(path) if glob.has_magic(path) else None
        below = self._fs.get_file_info(fs.FileSelector(path, recursive=True))
        visible = [i for i in below if i.type == fs.FileType.File and not _has_hidden_part(i.path[len(path) :])]
        return sorted(map(_remote_info, visible), key=lambda f: f.path)

    def _matching(self, pattern: str) -> list[FileInfo] | None:
        """The files that a pattern names, and those below the directories that it names; None when it names nothing."""
        from pyarrow import fs

        parts = pattern.split("/")
        fixed = next(i for i, part in enumerate(parts) if glob.has_magic(part))
        known = ["/".join(parts[:fixed])]
        for part in parts[fixed:]:
            found = []
            for folder in known:
                entries = self._fs.get_file_info(fs.FileSelector(folder, allow_not_found=True))
                visible = [e for e in entries if not e.base_name.startswith(HIDDEN)]
                found += [e.path for e in visible if fnmatch.fnmatchcase(e.base_name, part)]
            known = sorted(found)
        return [file for path in known for file in self.files(path) or ()] if known else None

    def open(self, path: str) -> BinaryIO:
        file: BinaryIO = self._fs.open_input_file(path)
        return file

    def create(self, path: str) -> BinaryIO:
        self._fs.create_dir(path.rpartition("/")[0], recursive=True)
        file: BinaryIO = self._fs.open_output_stream(path)
        return file

    def rename(self, source: str, target: str) -> None:
        self._fs.create_dir(target.rpartition("/")[0], recursive=True)
        self._fs.move(source, target)

    def remove(self, path: str) -> None:
        from pyarrow import fs

        kind = self._fs.get_file_info(path).type
        if kind == fs.FileType.Directory:
            self._fs.delete_dir(path)
        elif kind == fs.FileType.File:
            self._fs.delete_file(path)

    def make_directory(self, path: str) -> None:
        self._fs.create_dir(path, recursive=True)

    def all_files(self, path: str) -> list[str]:
        from pyarrow import fs

        below = self._fs.get_file_info(fs.FileSelector(path, recursive=True, allow_not_found=True))
        return sorted(i.path for i in below if i.type == fs.FileType.File)


def _remote_info(info: Any) -> FileInfo:
    return FileInfo(info.path, info.size, (info.mtime_ns or 0) // 1_000_000)


def _has_hidden_part(path: str) -> bool:
    return any(part.startswith(HIDDEN) for part in path.split("/"))


def whole_path(location: str) -> str:
    """A path that means the same in every process, wherever it works; a URI as it is."""
    is_uri = "://" in location or location.startswith("file:")
    return location if is_uri else os.path.abspath(os.path.expanduser(location))


def open_store(location: str) -> tuple[FileStore, str]:
    """The store of a path or URI, and the path inside it.

    Raises:
        UnsupportedError: when no installed package can reach the store.

    >>> open_store("file:///tmp/data")[1]
    '/tmp/data'
    """
    scheme = (
        urlsplit(location).scheme if "://" in location else location.partition(":")[0] if location.startswith("file:") else ""
    )
    if scheme == "":
        return LocalStore(), os.path.abspath(os.path.expanduser(location))
    if scheme == "file":
        return LocalStore(), os.path.abspath(url2pathname(urlsplit(location).path))
    from pyarrow import fs

    try:
        found, path = fs.FileSystem.from_uri(location)
        return ArrowStore(found), path
    except (ValueError, OSError, NotImplementedError, ImportError) as e:
        return _fsspec_store(scheme, location, e)


def _fsspec_store(scheme: str, location: str, cause: Exception) -> tuple[FileStore, str]:
    try:
        import fsspec  # type: ignore[import-not-found, import-untyped, unused-ignore]
        from pyarrow import fs

        store, path = fsspec.core.url_to_fs(location)
        return ArrowStore(fs.PyFileSystem(fs.FSSpecHandler(store))), path
    except (ImportError, ValueError) as e:
        raise UnsupportedError(
            f"files at '{scheme}://' cannot be reached: {cause}",
            exists="local paths, file://, s3://, gs://, hdfs:// and what fsspec knows",
            fix=f"install fsspec and the package for '{scheme}' ({e})",
        ) from None


def io_error(action: str, path: str, error: OSError) -> ExecutionError:
    """The error for a failed file operation, in the user's words."""
    reason = error.strerror or str(error)
    return ExecutionError(f"cannot {action} '{path}': {reason}", fix="check that the path is right and that you may access it")
