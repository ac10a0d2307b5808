"""Claim check: large values are kept as files beside the log, and events carry a reference to them.

A reference names the content by its SHA-256, so that equal values are kept once and a damaged file is noticed. Imports
connectors.filelog only.
"""

from __future__ import annotations

import hashlib
import re

from tableapi.connectors.filelog.log import EventLog
from tableapi.errors import CorruptionError, UnknownNameError

_REFERENCE = re.compile(r"claim:([0-9a-f]{64}):(\d+)")


def check_in(log: EventLog, data: bytes) -> str:
    """Keeps a value durably; the reference that an event carries instead of it.

    >>> import tempfile
    >>> log = EventLog(tempfile.mkdtemp())
    >>> reference = check_in(log, b"large")
    >>> reference[:12], check_out(log, reference)
    ('claim:d35c41', b'large')
    """
    digest = hashlib.sha256(data).hexdigest()
    directory = f"{log.path}/claims/{digest[:2]}"
    path = f"{directory}/{digest}"
    if not log.storage.exists(path):
        log.storage.make_directory(directory)
        log.storage.write_file(path, data, durable=True)
    return f"claim:{digest}:{len(data)}"


def check_out(log: EventLog, reference: str) -> bytes:
    """The value that a reference stands for.

    Raises:
        UnknownNameError: the text is no reference, or its file was removed.
        CorruptionError: the file is damaged.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise UnknownNameError(f"'{reference[:80]}' is no claim-check reference", fix="use what check_in returned")
    path = f"{log.path}/claims/{match[1][:2]}/{match[1]}"
    try:
        data = log.storage.read_file(path)
    except FileNotFoundError:
        raise UnknownNameError(f"the value of {reference} is gone: there is no file {path}") from None
    if hashlib.sha256(data).hexdigest() != match[1]:
        raise CorruptionError(f"file {path} is damaged", fix="restore it from a copy")
    return data


def remove_claims(log: EventLog, references_in_use: set[str]) -> int:
    """Removes kept values that no event refers to any more; how many.

    Args:
        references_in_use: All references that are still to work: those in the topics that carry them.
    """
    digests = {m[1] for m in map(_REFERENCE.fullmatch, references_in_use) if m}
    removed = 0
    for prefix in log.storage.list(f"{log.path}/claims"):
        for name in log.storage.list(f"{log.path}/claims/{prefix}"):
            if name not in digests:
                log.storage.remove(f"{log.path}/claims/{prefix}/{name}")
                removed += 1
    return removed
