"""`PlanReference`: where a stored plan is: in a file, a text, or bytes. Imports nothing from the package."""

from __future__ import annotations

from pathlib import Path


class PlanReference:
    """Where a stored plan is."""

    @staticmethod
    def from_file(path: str | Path) -> FilePlanReference:
        """A plan in a file."""
        return FilePlanReference(Path(path))

    @staticmethod
    def from_json_string(json_string: str) -> JsonContentPlanReference:
        """A plan as JSON text."""
        return JsonContentPlanReference(json_string)

    @staticmethod
    def from_smile_bytes(smile_bytes: bytes) -> BytesContentPlanReference:
        """A plan as bytes (JSON in UTF-8 here)."""
        return BytesContentPlanReference(smile_bytes)

    def text(self) -> str:
        """The plan as JSON text."""
        raise NotImplementedError(type(self).__name__)


class FilePlanReference(PlanReference):
    """A plan in a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get_file(self) -> Path:
        """The file."""
        return self._path

    def text(self) -> str:
        """The plan as JSON text."""
        return self._path.read_text(encoding="utf-8")


class JsonContentPlanReference(PlanReference):
    """A plan as JSON text."""

    def __init__(self, content: str) -> None:
        self._content = content

    def get_content(self) -> str:
        """The text."""
        return self._content

    def text(self) -> str:
        """The plan as JSON text."""
        return self._content


class BytesContentPlanReference(PlanReference):
    """A plan as bytes."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    def get_content(self) -> bytes:
        """The bytes."""
        return self._content

    def text(self) -> str:
        """The plan as JSON text."""
        return self._content.decode("utf-8")
