"""Generated events of an auction site, after the public description of the Nexmark benchmark: `'connector' = 'nexmark'`.

One stream of persons, auctions and bids (1 : 3 : 46) with hot auctions, sellers and bidders, and random text. Vectorised: a batch is made from
the numbers of its events by hashing them, so the same events come whatever the batches, splits and readers. Imports connectors.base,
connectors.options, types and errors only.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
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
        return (own // self.block_rows * self.splits + split) * self.block_rows + own % self.block_rows

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
        made = _Maker(settings).make(np.arange(EVENTS_PER_EPOCH), tuple(_COLUMNS))
        for name in wanted:
            if name not in _COLUMNS:
                raise UnknownNameError(f"connector 'nexmark' has no column '{name}'", exists=f"columns: {', '.join(_COLUMNS)}")
            if made.schema[name] != types[name]:
                raise TypeMismatchError(
                    f"column '{name}' of connector 'nexmark' is {made.schema[name]}, the table declares {types[name]}"
                )
        return NexmarkSource(settings, wanted)


@dataclass(frozen=True)
class NexmarkSource(Source):
    """Blocks of events, dealt to the splits in turn."""

    settings: _Settings
    columns: tuple[str, ...]

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
        self._maker = _Maker(source.settings)
        events = source.settings.events
        self._end = None if events is None else source.settings.share(split, events)

    def read(self, max_rows: int) -> ReadResult:
        last = min(n for n in (self._next + min(max_rows, BLOCK_ROWS), self._end, self._due()) if n is not None)
        first, self._next = self._next, max(last, self._next)
        finished = self._next == self._end
        if last <= first:
            return ReadResult(None, self._next, finished=finished)
        frame = self._maker.make(self._source.settings.numbers(self._split, first, last), self._source.columns)
        return ReadResult(frame, self._next, finished=finished)

    def _due(self) -> int | None:
        """How many of the split's events have come by now; None: all of them."""
        settings = self._source.settings
        if not settings.is_real_time:
            return None
        passed_ms = time.time() * 1000 - settings.start_ms
        return settings.share(self._split, max(0, int(passed_ms * settings.events_per_second / 1000) + 1))


class _Maker:
    """Makes events from their numbers."""

    def __init__(self, settings: _Settings) -> None:
        self._settings = settings

    def make(self, numbers: np.ndarray, columns: Sequence[str]) -> pl.DataFrame:
        """The given columns of the events with these numbers."""
        events = _Events(numbers, self._settings)
        return pl.DataFrame([getattr(events, _COLUMNS[name])(self._texts).alias(name) for name in columns])

    @cached_property
    def _texts(self) -> _Texts:
        return _Texts()


_COLUMNS = {"event_type": "event_type", "person": "person", "auction": "auction", "bid": "bid", "dateTime": "time"}


class _Texts:
    """Pools of random text, made once: an event picks from them by its hash."""

    def __init__(self) -> None:
        rng = np.random.default_rng(7)
        letters = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz[]^_`ABCDEFGHIJKLMNOPQRSTUVWXYZ", dtype=np.uint8)

        def words(count: int, low: int, high: int) -> pl.Series:
            lengths = rng.integers(low, high, count)
            return pl.Series([letters[rng.integers(0, len(letters), n)].tobytes().decode() for n in lengths])

        self.short, self.extra, self.long = words(8192, 3, 20), words(8192, 40, 80), words(4096, 200, 500)
        self.names = pl.Series([f"{a} {b}" for a in _FIRST_NAMES for b in _LAST_NAMES])
        self.emails = pl.Series([f"{a.lower()}@{b.lower()}.com" for a in _FIRST_NAMES for b in _LAST_NAMES])
        self.cards = pl.Series(
            [f"{a:04d} {b:04d} {c:04d} {d:04d}" for a, b, c, d in rng.integers(0, 10_000, (4096, 4)).tolist()]
        )
        self.cities, self.states = pl.Series(_CITIES), pl.Series(_STATES)
        channel_ids = rng.integers(0, 2**30, 10_000).tolist()
        paths = [
            "/".join("".join(chr(97 + c) for c in word) for word in rng.integers(0, 26, (3, 4)).tolist()) for _ in range(10_000)
        ]
        cold = [f"https://www.nexmark.com/{p}/item.htm?query=1&channel_id={i}" for p, i in zip(paths, channel_ids, strict=True)]
        hot = [f"https://www.nexmark.com/{paths[i]}/item.htm?query=1" for i in range(len(_HOT_CHANNELS))]
        self.channels = pl.Series([*_HOT_CHANNELS, *(f"channel-{i}" for i in range(10_000))])
        self.urls = pl.Series([*hot, *cold])


class _Events:
    """The columns of a range of events."""

    def __init__(self, numbers: np.ndarray, settings: _Settings) -> None:
        self.numbers = numbers
        self.epoch, self.offset = numbers // EVENTS_PER_EPOCH, numbers % EVENTS_PER_EPOCH
        self.kind = np.where(self.offset == 0, PERSON, np.where(self.offset <= AUCTIONS_PER_EPOCH, AUCTION, BID))
        self.ms = settings.start_ms + numbers * 1000 // settings.events_per_second
        self.gap_ms = 1000 * EVENTS_PER_EPOCH / settings.events_per_second

    def _random(self, salt: int, rows: np.ndarray) -> np.ndarray:
        """64 random bits for each of the rows, the same for the same event."""
        x = (self.numbers[rows].astype(np.uint64) + np.uint64(salt * 0x9E3779B97F4A7C15 % 2**64)) * np.uint64(
            0xBF58476D1CE4E5B9
        )
        x ^= x >> np.uint64(31)
        x *= np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(29)
        return x

    def _below(self, salt: int, rows: np.ndarray, bound: Any) -> np.ndarray:
        return ((self._random(salt, rows) >> np.uint64(11)) % np.asarray(bound, dtype=np.uint64)).astype(np.int64)

    def _pick(self, salt: int, rows: np.ndarray, pool: pl.Series) -> pl.Series:
        return pool.gather(self._below(salt, rows, len(pool)))

    def _price(self, salt: int, rows: np.ndarray) -> np.ndarray:
        uniform = (self._random(salt, rows) >> np.uint64(11)).astype(np.float64) / 2.0**53
        return np.round(10.0 ** (uniform * 6) * 100).astype(np.int64)

    def _last_person(self, rows: np.ndarray) -> np.ndarray:
        return self.epoch[rows]

    def _last_auction(self, rows: np.ndarray) -> np.ndarray:
        offset = self.offset[rows]
        before_first = offset < 1
        inside = np.minimum(offset, AUCTIONS_PER_EPOCH) - 1
        return np.where(before_first, self.epoch[rows] * AUCTIONS_PER_EPOCH - 1, self.epoch[rows] * AUCTIONS_PER_EPOCH + inside)

    def _people(self, salt: int, rows: np.ndarray, hot_ratio: int, hot_shift: int) -> np.ndarray:
        last = self._last_person(rows)
        is_hot = self._below(salt, rows, hot_ratio) > 0
        active = np.minimum(last + 1, ACTIVE_PEOPLE)
        cold = last - active + 1 + self._below(salt + 1, rows, active)
        return FIRST_ID + np.where(is_hot, last // HOT_STEP * HOT_STEP + hot_shift, np.maximum(cold, 0))

    def _at(self, rows: np.ndarray) -> pl.Series:
        return pl.Series(self.ms[rows]).cast(pl.Datetime("ms"))

    def _scatter(self, rows: np.ndarray, fields: dict[str, Any]) -> pl.Series:
        """A struct column that is NULL in all other rows."""
        struct = pl.DataFrame(fields).to_struct()
        places = np.full(len(self.numbers), -1, dtype=np.int64)
        places[rows] = np.arange(len(rows))
        index = pl.Series(places)
        return struct.gather(index.set(index < 0, None))

    def event_type(self, texts: _Texts) -> pl.Series:
        """0 person, 1 auction, 2 bid."""
        return pl.Series(self.kind.astype(np.int32))

    def time(self, texts: _Texts) -> pl.Series:
        """The event's time."""
        return pl.Series(self.ms).cast(pl.Datetime("ms"))

    def person(self, texts: _Texts) -> pl.Series:
        """The new person of an event, or NULL."""
        rows = np.flatnonzero(self.kind == PERSON)
        return self._scatter(
            rows,
            {
                "id": FIRST_ID + self._last_person(rows),
                "name": self._pick(1, rows, texts.names),
                "emailAddress": self._pick(2, rows, texts.emails),
                "creditCard": self._pick(3, rows, texts.cards),
                "city": self._pick(4, rows, texts.cities),
                "state": self._pick(5, rows, texts.states),
                "dateTime": self._at(rows),
                "extra": self._pick(6, rows, texts.extra),
            },
        )

    def auction(self, texts: _Texts) -> pl.Series:
        """The new auction of an event, or NULL."""
        rows = np.flatnonzero(self.kind == AUCTION)
        first_bid = self._price(11, rows)
        life_ms = 1 + self._below(12, rows, max(2, int(2 * IN_FLIGHT_AUCTIONS * self.gap_ms / AUCTIONS_PER_EPOCH)))
        return self._scatter(
            rows,
            {
                "id": FIRST_ID + self._last_auction(rows),
                "itemName": self._pick(13, rows, texts.short),
                "description": self._pick(14, rows, texts.extra),
                "initialBid": first_bid,
                "reserve": first_bid + self._price(15, rows),
                "dateTime": self._at(rows),
                "expires": pl.Series(self.ms[rows] + life_ms).cast(pl.Datetime("ms")),
                "seller": self._people(16, rows, HOT_SELLER_RATIO, 0),
                "category": 10 + self._below(18, rows, 5),
                "extra": self._pick(19, rows, texts.long),
            },
        )

    def bid(self, texts: _Texts) -> pl.Series:
        """The bid of an event, or NULL."""
        rows = np.flatnonzero(self.kind == BID)
        last = self._last_auction(rows)
        is_hot = self._below(21, rows, HOT_AUCTION_RATIO) > 0
        in_flight = np.minimum(last + 1, IN_FLIGHT_AUCTIONS)
        cold = last - in_flight + 1 + self._below(22, rows, in_flight)
        hot_channel = self._below(23, rows, 2) > 0
        channel = np.where(
            hot_channel, self._below(24, rows, len(_HOT_CHANNELS)), len(_HOT_CHANNELS) + self._below(25, rows, 10_000)
        )
        return self._scatter(
            rows,
            {
                "auction": FIRST_ID + np.where(is_hot, last // HOT_STEP * HOT_STEP, np.maximum(cold, 0)),
                "bidder": self._people(26, rows, HOT_BIDDER_RATIO, 1),
                "price": self._price(28, rows),
                "channel": texts.channels.gather(channel),
                "url": texts.urls.gather(channel),
                "dateTime": self._at(rows),
                "extra": self._pick(29, rows, texts.extra),
            },
        )
