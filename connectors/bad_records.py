"""What happens to records that cannot be decoded: the job fails, or they are put aside with their bytes, place and reason.

Imports connectors.{base,formats.base,filesystem_store} and tableapi.errors only.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

from tableapi.connectors.base import Option
from tableapi.connectors.formats.base import BadRecord
from tableapi.errors import OptionError

BAD_RECORD_OPTIONS = (
    Option("bad-records.mode", ("fail", "quarantine"), "What to do with a record that cannot be decoded.", default="fail"),
    Option("bad-records.path", str, "Directory on the local disk for records that are put aside."),
)


@dataclass(frozen=True)
class BadRecordPolicy:
    """Fails the job (no directory) or puts records aside in `directory`.

    A record is put aside as a JSON line with the fields `file`, `offset`, `line`, `reason` and `record` (base64), in a file for
    each source file. A restarted reader may put a record aside again.
    """

    directory: str | None = None

    def handle(self, record: BadRecord, format_name: str, file: str, offset: int, first_line: Callable[[], int]) -> None:
        """Takes a record that was found in data starting at `offset` of `file`.

        Args:
            first_line: The 1-based number of the line at which that data starts.

        Raises:
            RecordError: when the policy is to fail.
        """
        if self.directory is None:
            raise record.error(format_name, file, first_line())
        entry = {
            "file": file,
            "offset": offset + record.offset,
            "line": first_line() + record.line,
            "reason": record.reason,
            "record": base64.b64encode(record.raw).decode(),
        }
        os.makedirs(self.directory, mode=0o700, exist_ok=True)
        name = f"bad-{blake2b(file.encode(), digest_size=8).hexdigest()}.json"
        with open(os.path.join(self.directory, name), "a", opener=_private) as out:
            out.write(json.dumps(entry) + "\n")


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def policy_of(options: Mapping[str, Any]) -> BadRecordPolicy:
    """The policy that a table's options ask for.

    Raises:
        OptionError: when records are to be put aside, but not where.
    """
    if options["bad-records.mode"] == "fail":
        return BadRecordPolicy()
    if not options["bad-records.path"]:
        raise OptionError("'bad-records.mode' = 'quarantine' needs 'bad-records.path'", fix="name a directory for such records")
    return BadRecordPolicy(os.path.abspath(options["bad-records.path"]))
