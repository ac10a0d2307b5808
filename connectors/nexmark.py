"""Generated events of an auction site, after the public description of the Nexmark benchmark: `'connector' = 'nexmark'`.

One stream of persons, auctions and bids (1 : 3 : 46) with hot auctions, sellers and bidders, and random text. Vectorised: a batch is made from
the numbers of its events by hashing them, so the same events come whatever the batches, splits and readers. Imports connectors.base,
connectors.options, types and errors only.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
import polars as pl

from tableapi.connectors.base import Connector, Option, ReadResult, ScanRequest, Source, Split, SplitReader
from tableapi.connectors.options import COMMON_OPTIONS, read_options
from tableapi.errors import TypeMismatchError, UnknownNameError
from tableapi.tablespec import TableSpec

PERSON, AUCTION, BID = 0, 1, 2
FIRST_ID = 1000
BLOCK_ROWS = 16_384
EVENTS_PER_EPOCH, AUCTIONS_PER_EPOCH = 50, 3
IN_FLIGHT_AUCTIONS, ACTIVE_PEOPLE = 100, 1000
HOT_AUCTION_RATIO, HOT_SELLER_RATIO, HOT_BIDDER_RATIO = 2, 4, 4
HOT_STEP = 100
COLD_CHANNELS = 10_000

OPTIONS = (
    Option("events", int, "Number of events; endless when absent."),
    Option("events-per-second", int, "Events per second of event time.", default=10_000),
    Option("splits", int, "Number of splits, each read by one worker.", default=2),
    Option("start-millis", int, "Event time of the first event, milliseconds since the epoch.", default=1_700_000_000_000),
    Option(
        "real-time", bool, "Hand an event over when the machine's clock reaches its time, instead of at once.", default=False
    ),
)

_STATES = ("AZ", "CA", "ID", "OR", "WA", "WY")
_CITIES = ("Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland", "Bend", "Redmond", "Seattle", "Kent", "Cheyenne")
_FIRST_NAMES = ("Peter", "Paul", "Luke", "John", "Saul", "Vicky", "Kate", "Julie", "Sarah", "Deiter", "Walter")
_LAST_NAMES = ("Shultz", "Abrams", "Spencer", "White", "Bartels", "Walton", "Smith", "Jones", "Noris")
_HOT_CHANNELS = ("Google", "Facebook", "Baidu", "Apple")


@dataclass(frozen=True)
class _Settings:
    events: int | None
    events_per_second: int
    splits: int
    start_ms: int
    is_real_time: bool

    @property
    def block_rows(self) -> int:
        """How many events in a row go to one split: few in real time, so that all splits have some at any time."""
        return EVENTS_PER_EPOCH if self.is_real_time else BLOCK_ROWS

    def numbers(self, split: int, first: int, last: int) -> np.ndarray:
        """The numbers of a split's own events `first` to `last`, counted from 0."""
        own = np.arange(first, last)
        blocks = own // self.block_rows
        return own + (blocks * (self.splits - 1) + split) * self.block_rows

    def share(self, split: int, events: int) -> int:
        """How many of the first `events` events belong to a split."""
        rounds, rest = divmod(events, self.block_rows * self.splits)
        return rounds * self.block_rows + min(max(rest - split * self.block_rows, 0), self.block_rows)


class NexmarkConnector(Connector):
    """Generated auction events. Columns by name: event_type, person, auction, bid, dateTime."""

    name = "nexmark"
    options = OPTIONS

    def source(self, table: TableSpec, request: ScanRequest, is_streaming: bool) -> Source:
        options = read_options("connector 'nexmark'", table.options, (*COMMON_OPTIONS, *OPTIONS))
        settings = _Settings(
            options["events"],
            options["events-per-second"],
            max(1, options["splits"]),
            options["start-millis"],
            options["real-time"],
        )
        wanted = tuple(request.columns if request.columns is not None else table.produced.names)
        types = table.produced.to_polars()
        for name in wanted:
            if name not in _COLUMNS:
                raise UnknownNameError(f"connector 'nexmark' has no column '{name}'", exists=f"columns: {', '.join(_COLUMNS)}")
            if _COLUMNS[name] != types[name]:
                raise TypeMismatchError(
                    f"column '{name}' of connector 'nexmark' is {_COLUMNS[name]}, the table declares {types[name]}"
                )
        return NexmarkSource(settings, wanted, tuple(request.fields.items()))


@dataclass(frozen=True)
class NexmarkSource(Source):
    """Blocks of events, dealt to the splits in turn. `fields`: of these rows only these fields are made, the others are NULL."""

    settings: _Settings
    columns: tuple[str, ...]
    fields: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def is_bounded(self) -> bool:  # type: ignore[override]
        """Whether a number of events is given."""
        return self.settings.events is not None

    def splits(self) -> Sequence[Split]:
        return [Split(str(i), i) for i in range(self.settings.splits)]

    def reader(self, split: Split, position: Any = None) -> SplitReader:
        return _Reader(self, split.payload, 0 if position is None else position)


class _Reader(SplitReader):
    """Makes at most one block a call; the position is how many events the split has given."""

    def __init__(self, source: NexmarkSource, split: int, position: int) -> None:
        self._source, self._split, self._next = source, split, position
        self._fields = dict(source.fields)
        events = source.settings.events
        self._end = None if events is None else source.settings.share(split, events)

    def read(self, max_rows: int) -> ReadResult:
        last = min(n for n in (self._next + min(max_rows, BLOCK_ROWS), self._end, self._due()) if n is not None)
        first, self._next = self._next, max(last, self._next)
        finished = self._next == self._end
        if last <= first:
            return ReadResult(None, self._next, finished=finished)
        settings = self._source.settings
        numbers = settings.numbers(self._split, first, last)
        return ReadResult(make_events(numbers, self._source.columns, settings, self._fields), self._next, finished=finished)

    def _due(self) -> int | None:
        """How many of the split's events have come by now; None: all of them."""
        settings = self._source.settings
        if not settings.is_real_time:
            return None
        passed_ms = time.time() * 1000 - settings.start_ms
        return settings.share(self._split, max(0, int(passed_ms * settings.events_per_second / 1000) + 1))


def make_events(
    numbers: np.ndarray, columns: Sequence[str], settings: _Settings, fields: Mapping[str, Sequence[str]]
) -> pl.DataFrame:
    """The given columns of the events with these numbers; of the rows in `fields` only those fields."""
    events = _Events(numbers, settings)
    made = []
    for name in columns:
        dtype = _COLUMNS[name]
        if isinstance(dtype, pl.Struct):
            made.append(events.row_column(name, dtype, fields.get(name)))
        else:
            made.append(events.event_type() if name == "event_type" else events.time())
    return pl.DataFrame(made)


_TIME, _TEXT, _NUMBER = pl.Datetime("ms"), pl.String(), pl.Int64()


def _row(numbers: str, texts: str, times: str, order: str) -> pl.Struct:
    types = {name: t for names, t in ((numbers, _NUMBER), (texts, _TEXT), (times, _TIME)) for name in names.split()}
    return pl.Struct({name: types[name] for name in order.split()})


_COLUMNS: dict[str, pl.DataType] = {
    "event_type": pl.Int32(),
    "person": _row(
        "id",
        "name emailAddress creditCard city state extra",
        "dateTime",
        "id name emailAddress creditCard city state dateTime extra",
    ),
    "auction": _row(
        "id initialBid reserve seller category",
        "itemName description extra",
        "dateTime expires",
        "id itemName description initialBid reserve dateTime expires seller category extra",
    ),
    "bid": _row("auction bidder price", "channel url extra", "dateTime", "auction bidder price channel url dateTime extra"),
    "dateTime": _TIME,
}


class _Texts:
    """Pools of random text, each made once in a process when first needed: an event picks from them by its hash."""

    def _words(self, salt: int, count: int, low: int, high: int) -> pl.Series:
        rng = np.random.default_rng(salt)
        letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz[]^_`ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)
        ends = np.cumsum(rng.integers(low, high, count))
        text = letters[rng.integers(0, len(letters), int(ends[-1]))].tobytes().decode()
        return pl.Series([text[a:b] for a, b in pairwise([0, *ends.tolist()])])

    @cached_property
    def short(self) -> pl.Series:
        """A few letters."""
        return self._words(7, 8192, 3, 20)

    @cached_property
    def extra(self) -> pl.Series:
        """A line."""
        return self._words(8, 8192, 40, 80)

    @cached_property
    def long(self) -> pl.Series:
        """Some lines."""
        return self._words(9, 4096, 200, 500)

    @cached_property
    def names(self) -> pl.Series:
        """Names of people."""
        return pl.Series([f"{a} {b}" for a in _FIRST_NAMES for b in _LAST_NAMES])

    @cached_property
    def emails(self) -> pl.Series:
        """Their addresses."""
        return pl.Series([f"{a.lower()}@{b.lower()}.com" for a in _FIRST_NAMES for b in _LAST_NAMES])

    @cached_property
    def cards(self) -> pl.Series:
        """Card numbers."""
        digits = np.random.default_rng(10).integers(0, 10_000, (4096, 4)).tolist()
        return pl.Series([f"{a:04d} {b:04d} {c:04d} {d:04d}" for a, b, c, d in digits])

    @cached_property
    def cities(self) -> pl.Series:
        """Cities."""
        return pl.Series(_CITIES)

    @cached_property
    def states(self) -> pl.Series:
        """States."""
        return pl.Series(_STATES)

    @cached_property
    def channels(self) -> pl.Series:
        """The hot channels, then the others."""
        return pl.Series([*_HOT_CHANNELS, *(f"channel-{i}" for i in range(COLD_CHANNELS))])

    @cached_property
    def urls(self) -> pl.Series:
        """A page for each channel."""
        rng = np.random.default_rng(11)
        text = (rng.integers(0, 26, 12 * COLD_CHANNELS).astype(np.uint8) + 97).tobytes().decode()
        paths = [f"{text[i : i + 4]}/{text[i + 4 : i + 8]}/{text[i + 8 : i + 12]}" for i in range(0, len(text), 12)]
        ids = rng.integers(0, 2**30, COLD_CHANNELS).tolist()
        hot = [f"https://www.nexmark.com/{path}/item.htm?query=1" for path in paths[: len(_HOT_CHANNELS)]]
        cold = [f"https://www.nexmark.com/{p}/item.htm?query=1&channel_id={i}" for p, i in zip(paths, ids, strict=True)]
        return pl.Series([*hot, *cold])


_TEXTS = _Texts()


_KIND_OF_OFFSET = np.repeat(
    np.array([PERSON, AUCTION, BID], dtype=np.int32), [1, AUCTIONS_PER_EPOCH, EVENTS_PER_EPOCH - 1 - AUCTIONS_PER_EPOCH]
)


class _Events:
    """The columns of a range of events."""

    def __init__(self, numbers: np.ndarray, settings: _Settings) -> None:
        self.numbers = numbers
        offsets = numbers - numbers // EVENTS_PER_EPOCH * EVENTS_PER_EPOCH
        self.kinds = _KIND_OF_OFFSET[offsets]
        self.ms = settings.start_ms + numbers * 1000 // settings.events_per_second
        self.gap_ms = 1000 * EVENTS_PER_EPOCH / settings.events_per_second

    def event_type(self) -> pl.Series:
        """0 person, 1 auction, 2 bid."""
        return pl.Series("event_type", self.kinds)

    def time(self) -> pl.Series:
        """The event's time."""
        return pl.Series("dateTime", self.ms).cast(_TIME)

    def row_column(self, name: str, dtype: pl.Struct, wanted: Sequence[str] | None) -> pl.Series:
        """The new person, auction or bid of each event, NULL in the other events."""
        kind, make = _ROWS[name]
        rows = make(self, np.flatnonzero(self.kinds == kind))
        fields = []
        for field in dtype.fields:
            if wanted is None or field.name in wanted:
                fields.append(pl.Series(field.name, getattr(rows, field.name)()))
            else:
                fields.append(_nulls(field.dtype).slice(0, len(self.numbers)).alias(field.name))
        return pl.DataFrame(fields).to_struct(name).set(pl.Series(self.kinds != kind), None)


@lru_cache(maxsize=64)
def _nulls(dtype: pl.DataType) -> pl.Series:
    """As many as a block has events: made once, since batches in real time differ in length."""
    return pl.Series([None], dtype=dtype).new_from_index(0, BLOCK_ROWS)


class _Rows:
    """The events of one kind in a range: a method for each field, named like it, gives its values at the places of these events and
    anything in between."""

    def __init__(self, events: _Events, places: np.ndarray) -> None:
        self._events, self._places = events, places
        numbers = events.numbers[places]
        self._seeds = numbers.astype(np.uint64)
        self._epochs = numbers // EVENTS_PER_EPOCH
        self._offsets = numbers - self._epochs * EVENTS_PER_EPOCH

    def dateTime(self) -> pl.Series:
        """The event's time."""
        return pl.Series(self._events.ms).cast(_TIME)

    def _spread(self, values: np.ndarray) -> np.ndarray:
        spread = np.zeros(len(self._events.numbers), dtype=np.int64)
        spread[self._places] = values
        return spread

    def _random(self, salt: int) -> np.ndarray:
        """64 random bits for each of the events, the same for the same event."""
        x = (self._seeds + np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)) * np.uint64(0xBF58476D1CE4E5B9)
        x ^= x >> np.uint64(31)
        x *= np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(29)
        return x

    def _below(self, salt: int, bound: Any) -> np.ndarray:
        """A number from 0 to `bound` - 1 (at most 2**31) for each of the events."""
        return (((self._random(salt) >> np.uint64(32)) * np.asarray(bound, dtype=np.uint64)) >> np.uint64(32)).astype(np.int64)

    def _pick(self, salt: int, pool: pl.Series) -> pl.Series:
        return pool.gather(self._spread(self._below(salt, len(pool))))

    def _price(self, salt: int) -> np.ndarray:
        uniform = (self._random(salt) >> np.uint64(11)).astype(np.float64) / 2.0**53
        return np.rint(np.exp(uniform * (6 * math.log(10))) * 100).astype(np.int64)

    def _last_auction(self) -> np.ndarray:
        inside = np.minimum(self._offsets, AUCTIONS_PER_EPOCH) - 1
        return self._epochs * AUCTIONS_PER_EPOCH + inside

    def _people(self, salt: int, hot_ratio: int, hot_shift: int) -> np.ndarray:
        last = self._epochs
        is_hot = self._below(salt, hot_ratio) > 0
        active = np.minimum(last + 1, ACTIVE_PEOPLE)
        cold = last - active + 1 + self._below(salt + 1, active)
        return FIRST_ID + np.where(is_hot, last // HOT_STEP * HOT_STEP + hot_shift, np.maximum(cold, 0))


class _Persons(_Rows):
    def id(self) -> np.ndarray:
        return self._spread(FIRST_ID + self._epochs)

    def name(self) -> pl.Series:
        return self._pick(1, _TEXTS.names)

    def emailAddress(self) -> pl.Series:
        return self._pick(2, _TEXTS.emails)

    def creditCard(self) -> pl.Series:
        return self._pick(3, _TEXTS.cards)

    def city(self) -> pl.Series:
        return self._pick(4, _TEXTS.cities)

    def state(self) -> pl.Series:
        return self._pick(5, _TEXTS.states)

    def extra(self) -> pl.Series:
        return self._pick(6, _TEXTS.extra)


class _Auctions(_Rows):
    @cached_property
    def _first_bid(self) -> np.ndarray:
        return self._price(11)

    def id(self) -> np.ndarray:
        return self._spread(FIRST_ID + self._last_auction())

    def itemName(self) -> pl.Series:
        return self._pick(13, _TEXTS.short)

    def description(self) -> pl.Series:
        return self._pick(14, _TEXTS.extra)

    def initialBid(self) -> np.ndarray:
        return self._spread(self._first_bid)

    def reserve(self) -> np.ndarray:
        return self._spread(self._first_bid + self._price(15))

    def expires(self) -> pl.Series:
        life_ms = 1 + self._below(12, max(2, int(2 * IN_FLIGHT_AUCTIONS * self._events.gap_ms / AUCTIONS_PER_EPOCH)))
        return pl.Series(self._events.ms + self._spread(life_ms)).cast(_TIME)

    def seller(self) -> np.ndarray:
        return self._spread(self._people(16, HOT_SELLER_RATIO, 0))

    def category(self) -> np.ndarray:
        return self._spread(10 + self._below(18, 5))

    def extra(self) -> pl.Series:
        return self._pick(19, _TEXTS.long)


class _Bids(_Rows):
    @cached_property
    def _channel(self) -> np.ndarray:
        is_hot = self._below(23, 2) > 0
        hot, cold = self._below(24, len(_HOT_CHANNELS)), len(_HOT_CHANNELS) + self._below(25, COLD_CHANNELS)
        return self._spread(np.where(is_hot, hot, cold))

    def auction(self) -> np.ndarray:
        last = self._last_auction()
        is_hot = self._below(21, HOT_AUCTION_RATIO) > 0
        in_flight = np.minimum(last + 1, IN_FLIGHT_AUCTIONS)
        cold = last - in_flight + 1 + self._below(22, in_flight)
        return self._spread(FIRST_ID + np.where(is_hot, last // HOT_STEP * HOT_STEP, np.maximum(cold, 0)))

    def bidder(self) -> np.ndarray:
        return self._spread(self._people(26, HOT_BIDDER_RATIO, 1))

    def price(self) -> np.ndarray:
        return self._spread(self._price(28))

    def channel(self) -> pl.Series:
        return _TEXTS.channels.gather(self._channel)

    def url(self) -> pl.Series:
        return _TEXTS.urls.gather(self._channel)

    def extra(self) -> pl.Series:
        return self._pick(29, _TEXTS.extra)


_ROWS: dict[str, tuple[int, type[_Rows]]] = {
    "person": (PERSON, _Persons),
    "auction": (AUCTION, _Auctions),
    "bid": (BID, _Bids),
}
