"""A topic's description on disk: identity, partitions, settings, and every version of its schema (the registry).

Imports connectors.filelog only.
"""

from __future__ import annotations

import dataclasses
import json
import re
from dataclasses import dataclass
from typing import Any

from tableapi.connectors.filelog.config import TopicConfig
from tableapi.connectors.filelog.crc import crc32
from tableapi.connectors.filelog.schema import TopicSchema
from tableapi.connectors.filelog.segment import Place
from tableapi.connectors.filelog.storage import Storage
from tableapi.errors import CorruptionError, UnknownNameError, ValidationError, did_you_mean

FORMAT_VERSION = 1
FILE = "topic.json"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}")


@dataclass(frozen=True)
class TopicInfo:
    """What is registered of a topic."""

    name: str
    id: bytes
    partitions: int
    config: TopicConfig
    schemas: tuple[TopicSchema, ...]
    created_ms: int

    @property
    def schema(self) -> TopicSchema:
        """The newest version."""
        return self.schemas[-1]

    def schema_version(self, version: int) -> TopicSchema:
        """A version.

        Raises:
            UnknownNameError: there is no such version.
        """
        if not 1 <= version <= len(self.schemas):
            raise UnknownNameError(
                f"topic '{self.name}' has no schema version {version}", exists=f"versions: 1 to {len(self.schemas)}"
            )
        return self.schemas[version - 1]

    def place(self, root: str, partition: int) -> Place:
        """Where a partition is."""
        if not 0 <= partition < self.partitions:
            raise UnknownNameError(
                f"topic '{self.name}' has no partition {partition}", exists=f"partitions: 0 to {self.partitions - 1}"
            )
        return Place(self.name, self.id, partition, f"{topic_directory(root, self.name)}/{partition}")

    def to_bytes(self) -> bytes:
        """The contents of topic.json."""
        value: dict[str, Any] = {
            "format": FORMAT_VERSION,
            "name": self.name,
            "id": self.id.hex(),
            "partitions": self.partitions,
            "created_ms": self.created_ms,
            "config": dataclasses.asdict(self.config),
            "schemas": [s.to_json() for s in self.schemas],
        }
        value["crc"] = _checksum(value)
        return json.dumps(value, indent=1).encode()


def _checksum(value: dict[str, Any]) -> int:
    return crc32(json.dumps({k: v for k, v in value.items() if k != "crc"}, sort_keys=True).encode())


def topic_directory(root: str, name: str) -> str:
    """Where a topic is."""
    return f"{root}/topics/{name}"


def check_name(name: str, what: str = "topic") -> str:
    """The name, when it may be one.

    Raises:
        ValidationError: it has other characters than letters, digits, `.`, `_`, `-`, or is too long.
    """
    if not _NAME.fullmatch(name):
        raise ValidationError(
            f"'{name}' cannot be the name of a {what}",
            fix="use letters, digits, '.', '_' and '-', not beginning with '.' or '-'",
        )
    return name


def topic_names(storage: Storage, root: str) -> list[str]:
    """Names of all topics."""
    return [n for n in storage.list(f"{root}/topics") if _NAME.fullmatch(n) and storage.exists(f"{root}/topics/{n}/{FILE}")]


def load_topic(storage: Storage, root: str, name: str) -> TopicInfo:
    """What is registered of a topic.

    Raises:
        UnknownNameError: there is no such topic.
        CorruptionError: its file is damaged.
    """
    path = f"{topic_directory(root, check_name(name))}/{FILE}"
    try:
        data = storage.read_file(path)
    except FileNotFoundError:
        names = topic_names(storage, root)
        raise UnknownNameError(
            f"there is no topic '{name}' in {root}",
            exists=f"topics: {', '.join(names) or 'none'}",
            fix=did_you_mean(name, names) or "create it first",
        ) from None
    try:
        value = json.loads(data)
        is_whole = value["crc"] == _checksum(value)
    except (ValueError, KeyError, TypeError):
        is_whole = False
    if not is_whole:
        raise CorruptionError(f"topic '{name}': file {path} is damaged", fix="restore it from a copy; it holds the schemas")
    if value["format"] != FORMAT_VERSION:
        raise ValidationError(f"topic '{name}' has format {value['format']}; this version reads {FORMAT_VERSION}")
    return TopicInfo(
        value["name"],
        bytes.fromhex(value["id"]),
        value["partitions"],
        TopicConfig(**value["config"]),
        tuple(TopicSchema.from_json(s) for s in value["schemas"]),
        value["created_ms"],
    )


def save_topic(storage: Storage, root: str, info: TopicInfo) -> None:
    """Registers a topic as a whole, durably."""
    storage.write_file(f"{topic_directory(root, info.name)}/{FILE}", info.to_bytes(), durable=True)
