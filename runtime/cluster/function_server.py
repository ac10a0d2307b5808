"""Runs Python functions for a batch job inside a worker process.

The program sends definitions and frames; each frame is answered by one frame, or by `Failed`. Imports the functions' runtime
and the protocol.
"""

from __future__ import annotations

import pickle
from dataclasses import replace
from typing import Any

from tableapi.runtime.cluster.protocol import Define, Serve
from tableapi.runtime.exchange.link import Delivery, Link
from tableapi.runtime.failures import clean_failures
from tableapi.runtime.stream.batch import Batch
from tableapi.runtime.udf_scope import FunctionScope, FunctionTask


class FunctionServer:
    """The functions of one job in this process.

    Args:
        order: Whom to serve.
        control: The connection to the program.
    """

    def __init__(self, order: Serve, control: Link) -> None:
        self._job, self._control = order.job, control
        self._scope = FunctionScope(pickle.loads(order.settings), order.subtask, order.parallelism)
        self._definitions: dict[int, Define] = {}
        self._pickled: dict[int, bytes] = {}
        self._functions: dict[int, Any] = {}
        self._tasks: dict[int, FunctionTask] = {}

    def define(self, order: Define) -> None:
        """Learns of a task."""
        self._definitions[order.number] = order
        if order.function is not None:
            self._pickled[order.function_number] = order.function

    def answer(self, request: Delivery) -> Batch:
        """The result for a frame."""
        frame = request.batch.frame
        with clean_failures():
            return Batch(self._task(request.channel).run(frame, self._scope))

    def _task(self, number: int) -> FunctionTask:
        if number not in self._tasks:
            order = self._definitions[number]
            if order.function_number not in self._functions:
                self._functions[order.function_number] = pickle.loads(self._pickled[order.function_number])
            task: Any = pickle.loads(order.task)
            self._tasks[number] = replace(task, function=self._functions[order.function_number])
        return self._tasks[number]

    def metrics(self) -> dict[str, int]:
        """What the functions have counted."""
        return self._scope.metrics()

    def close(self) -> None:
        """Closes the functions."""
        with clean_failures():
            self._scope.close()
