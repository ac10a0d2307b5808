"""The classes that Python functions derive from, and the context that they are opened with. May import types only."""

from __future__ import annotations

import abc
from collections.abc import Callable, Iterable
from typing import Any, Generic, TypeVar

from tableapi.types import DataType

T = TypeVar("T")
ACC = TypeVar("ACC")


class Counter:
    """A metric that goes up and down."""

    def __init__(self) -> None:
        self._count = 0

    def inc(self, n: int = 1) -> None:
        """Adds `n`."""
        self._count += n

    def dec(self, n: int = 1) -> None:
        """Takes `n` away."""
        self._count -= n

    def get_count(self) -> int:
        """The value."""
        return self._count


class Meter:
    """A metric that counts events."""

    def __init__(self) -> None:
        self._count = 0

    def mark_event(self, value: int = 1) -> None:
        """Notes `value` events."""
        self._count += value

    def get_count(self) -> int:
        """How many events there were."""
        return self._count


class Distribution:
    """A metric of values: their number, sum, smallest and largest."""

    def __init__(self) -> None:
        self.count, self.sum = 0, 0
        self.min: int | None = None
        self.max: int | None = None

    def update(self, value: int) -> None:
        """Notes a value."""
        self.count, self.sum = self.count + 1, self.sum + value
        self.min = value if self.min is None else min(self.min, value)
        self.max = value if self.max is None else max(self.max, value)


class MetricGroup:
    """Named metrics of a function."""

    def __init__(self, scope: tuple[str, ...] = ()) -> None:
        self.scope = scope
        self.metrics: dict[str, Any] = {}
        self.groups: dict[str, MetricGroup] = {}

    def values(self) -> dict[str, int]:
        """Counters, meters, gauges and the parts of distributions of this group and those below it, by dotted name."""
        found: dict[str, int] = {}
        for name, metric in list(self.metrics.items()):
            key = ".".join((*self.scope, name))
            if isinstance(metric, Distribution):
                found |= {f"{key}.count": metric.count, f"{key}.sum": metric.sum}
                if metric.min is not None and metric.max is not None:
                    found |= {f"{key}.min": metric.min, f"{key}.max": metric.max}
            else:
                found[key] = metric() if callable(metric) else metric.get_count()
        for group in list(self.groups.values()):
            found |= group.values()
        return found

    def add_group(self, name: str, extra: str | None = None) -> MetricGroup:
        """A group below this one."""
        names = (name,) if extra is None else (name, extra)
        return self.groups.setdefault(".".join(names), MetricGroup((*self.scope, *names)))

    def counter(self, name: str) -> Counter:
        """The counter of that name."""
        found: Counter = self.metrics.setdefault(name, Counter())
        return found

    def gauge(self, name: str, obj: Callable[[], int]) -> None:
        """Registers a value that is read when it is wanted."""
        self.metrics[name] = obj

    def meter(self, name: str, time_span_in_seconds: int = 60) -> Meter:
        """The meter of that name."""
        found: Meter = self.metrics.setdefault(name, Meter())
        return found

    def distribution(self, name: str) -> Distribution:
        """The distribution of that name."""
        found: Distribution = self.metrics.setdefault(name, Distribution())
        return found


class FunctionContext:
    """What a function can ask when it is opened: metrics, job parameters, its place in the job."""

    def __init__(
        self,
        base_metric_group: MetricGroup | None,
        job_parameters: dict[str, str],
        task_name: str | None = None,
        task_name_with_subtasks: str | None = None,
        number_of_parallel_subtasks: int | None = None,
        max_number_of_parallel_subtasks: int | None = None,
        index_of_this_subtask: int | None = None,
        attempt_number: int | None = None,
    ) -> None:
        self._metrics = base_metric_group if base_metric_group is not None else MetricGroup()
        self._job_parameters = dict(job_parameters)
        self._task_name, self._task_name_with_subtasks = task_name, task_name_with_subtasks
        self._parallelism, self._max_parallelism = number_of_parallel_subtasks, max_number_of_parallel_subtasks
        self._subtask, self._attempt = index_of_this_subtask, attempt_number

    def get_metric_group(self) -> MetricGroup:
        """The function's metrics."""
        return self._metrics

    def get_job_parameter(self, key: str, default_value: str) -> str:
        """A parameter of `pipeline.global-job-parameters`."""
        return self._job_parameters.get(key, default_value)

    def get_task_name(self) -> str | None:
        """Name of the task."""
        return self._task_name

    def get_task_name_with_subtasks(self) -> str | None:
        """Name of the task with its part's number."""
        return self._task_name_with_subtasks

    def get_number_of_parallel_subtasks(self) -> int | None:
        """How many parts the task has."""
        return self._parallelism

    def get_max_number_of_parallel_subtasks(self) -> int | None:
        """How many parts the task may have."""
        return self._max_parallelism

    def get_index_of_this_subtask(self) -> int | None:
        """The 0-based number of this part."""
        return self._subtask

    def get_attempt_number(self) -> int | None:
        """The 0-based number of this try."""
        return self._attempt


class UserDefinedFunction(abc.ABC):  # noqa: B024
    """Base of all function classes."""

    def open(self, function_context: FunctionContext) -> None:
        """Called once before the first row."""
        return

    def close(self) -> None:
        """Called once after the last row."""
        return

    def is_deterministic(self) -> bool:
        """Whether equal arguments always give equal results."""
        return True


class ScalarFunction(UserDefinedFunction):
    """A function of one row: define `eval(*args)`."""

    @abc.abstractmethod
    def eval(self, *args: Any) -> Any:
        """The result of a row."""


class AsyncScalarFunction(UserDefinedFunction):
    """A function of one row that waits for something else: define `async def eval(*args)`."""

    @abc.abstractmethod
    async def eval(self, *args: Any) -> Any:
        """The result of a row."""


class TableFunction(UserDefinedFunction):
    """A function that gives rows for a row: define `eval(*args)`, returning or yielding rows."""

    @abc.abstractmethod
    def eval(self, *args: Any) -> Any:
        """The rows of a row."""


class ImperativeAggregateFunction(UserDefinedFunction, Generic[T, ACC]):
    """Base of aggregates that change an accumulator row by row."""

    @abc.abstractmethod
    def create_accumulator(self) -> ACC:
        """A new accumulator."""

    @abc.abstractmethod
    def accumulate(self, accumulator: ACC, *args: Any) -> None:
        """Adds a row."""

    def retract(self, accumulator: ACC, *args: Any) -> None:
        """Takes a row away; needed where the input may change and in OVER windows with a bound."""
        raise RuntimeError("Method retract is not implemented")

    def merge(self, accumulator: ACC, accumulators: Iterable[ACC]) -> None:
        """Merges others into an accumulator; needed in session windows."""
        raise RuntimeError("Method merge is not implemented")

    def get_result_type(self) -> DataType | str:
        """The type of the result, unless it was declared with `udaf(result_type=…)`."""
        raise RuntimeError("Method get_result_type is not implemented")

    def get_accumulator_type(self) -> DataType | str:
        """The type of the accumulator, unless it was declared."""
        raise RuntimeError("Method get_accumulator_type is not implemented")


class AggregateFunction(ImperativeAggregateFunction[T, ACC]):
    """A function of a group of rows with one result: define `get_value` too."""

    @abc.abstractmethod
    def get_value(self, accumulator: ACC) -> T:
        """The result."""


class TableAggregateFunction(ImperativeAggregateFunction[T, ACC]):
    """A function of a group of rows that gives rows: define `emit_value` too."""

    @abc.abstractmethod
    def emit_value(self, accumulator: ACC) -> Iterable[T]:
        """The rows."""
