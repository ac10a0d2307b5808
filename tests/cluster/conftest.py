"""One executor for all tests of the cluster, so that its workers stay warm."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="session")
def executor():
    from tableapi.runtime.cluster.coordinator import LocalExecutor

    executor = LocalExecutor()
    yield executor
    executor.close()
