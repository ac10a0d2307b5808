"""datagen makes what its options say, again and again the same; print and blackhole take any change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from decimal import Decimal

import polars as pl
import pytest
from connector_driving import make_table as table
from connector_driving import read_all, read_split, sink_of, source_of

from tableapi.connectors.registry import find_connector
from tableapi.errors import OptionError, UnsupportedError
from tableapi.types import DataTypes as D

MANY = {
    "i": D.BIGINT(), "s": D.STRING(), "v": D.INT(), "d": D.DECIMAL(5, 2), "f": D.DOUBLE(), "b": D.BOOLEAN(), "t": D.TIMESTAMP(3),
    "l": D.ARRAY(D.INT()), "m": D.MAP(D.STRING(), D.INT()), "r": D.ROW([D.FIELD("x", D.TINYINT())]), "y": D.BYTES(), "c": D.CHAR(3),
}  # fmt: skip


def test_datagen_keeps_to_its_options() -> None:
    t = table(
        MANY, connector="datagen", number_of_rows="1000", seed="1", fields__s__length="5", fields__v__min="3", fields__v__max="4",
        fields__f__max="1", fields__d__null_rate="0.5", fields__i__kind="sequence", fields__i__start="10", fields__i__end="5000",
        fields__r__x__min="0", fields__l__length="2",
    )  # fmt: skip
    frame = read_all(source_of(t), 300)
    assert frame.schema == t.physical.to_polars()
    assert frame["i"].to_list() == list(range(10, 1010))
    assert set(frame["v"]) == {3, 4}
    assert frame["s"].str.len_chars().unique().to_list() == [5]
    assert frame["c"].str.len_chars().unique().to_list() == [3]
    assert 0 <= frame["f"].min() < frame["f"].max() < 1
    assert 400 < frame["d"].null_count() < 600
    assert frame["l"].list.len().unique().to_list() == [2]
    assert frame["r"].struct.field("x").min() >= 0


def test_a_seed_makes_the_same_rows_from_any_position() -> None:
    t = table({"a": D.BIGINT(), "b": D.STRING()}, connector="datagen", number_of_rows="100", seed="7")
    first, again = source_of(t), source_of(t)
    rows = read_all(first).rows()
    assert read_all(again).rows() == rows
    (split,) = first.splits()
    rest = read_split(first, split, 30, 55)
    assert [row for r in rest if r.frame is not None for row in r.frame.rows()] == rows[55:]
    narrow = read_all(source_of(t, columns=("b",)))
    assert narrow["b"].to_list() == [b for _, b in rows]


def test_parts_of_a_bounded_table_cover_it() -> None:
    t = table(
        {"i": D.INT()},
        connector="datagen",
        scan__parallelism="3",
        fields__i__kind="sequence",
        fields__i__start="0",
        fields__i__end="9",
    )
    source = source_of(t)
    assert len(source.splits()) == 3
    assert sorted(read_all(source)["i"]) == list(range(10))


def test_without_a_number_of_rows_there_is_no_end_but_a_rate() -> None:
    source = source_of(table({"a": D.INT()}, connector="datagen"))
    assert not source.is_bounded
    (split,) = source.splits()
    reader = source.reader(split)
    assert 1 <= reader.read(1_000_000).frame.height < 10_000


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"fields__zz__kind": "sequence"}, "no option 'fields.zz.kind'"),
        ({"fields__a__knd": "sequence"}, "did you mean 'fields.#.kind'?"),
        ({"fields__a__kind": "sequence", "fields__a__start": "1"}, "needs the option 'fields.a.end'"),
        ({"fields__a__min": "x"}, "'x' is not a number"),
        ({"rows_per_second": "many"}, "is not an integer"),
        ({"fields__b__kind": "sequence", "fields__b__start": "1", "fields__b__end": "2"}, "cannot be a sequence"),
    ],
)
def test_wrong_datagen_options(options: dict[str, str], message: str) -> None:
    with pytest.raises(OptionError) as caught:
        source_of(table({"a": D.INT(), "b": D.DATE()}, connector="datagen", **options))
    assert message in str(caught.value)


PRINTED = {
    "i": D.INT(), "s": D.STRING(), "d": D.DECIMAL(5, 2), "t": D.TIMESTAMP(3), "z": D.TIMESTAMP_LTZ(3), "e": D.DATE(), "o": D.TIME(),
    "l": D.ARRAY(D.INT()), "m": D.MAP(D.STRING(), D.INT()), "r": D.ROW([D.FIELD("x", D.INT())]), "y": D.BYTES(), "b": D.BOOLEAN(),
}  # fmt: skip


def printed(t: object, frame: pl.DataFrame, kinds: list[int] | None = None, parallelism: int = 1) -> None:
    writer = sink_of(t).writer(parallelism - 1, parallelism)
    writer.write(frame, None if kinds is None else pl.Series(kinds, dtype=pl.Int8))
    writer.close()


def test_print_writes_flinks_text(capsys: pytest.CaptureFixture[str]) -> None:
    t = table(PRINTED, connector="print")
    rows = [
        (1, "a b", Decimal("1.50"), datetime(2024, 1, 1, 10), datetime(2024, 1, 1, 10, tzinfo=UTC), date(2024, 2, 29), time(1, 2, 3), [1, None], [{"key": "k", "value": 2}], {"x": 1}, b"\x01\xff", True),
        (None,) * 12,
        (2, "", Decimal("0.00"), datetime(2024, 1, 1, 10, 0, 0, 5000), None, None, None, [], [], {"x": None}, b"", False),
    ]  # fmt: skip
    printed(t, pl.DataFrame(rows, schema=t.physical.to_polars(), orient="row"), [0, 1, 3])
    assert capsys.readouterr().out.splitlines() == [
        "+I[1, a b, 1.50, 2024-01-01T10:00, 2024-01-01T10:00:00Z, 2024-02-29, 01:02:03, [1, null], {k=2}, +I[1], x'01ff', true]",
        "-U[" + ", ".join(["null"] * 12) + "]",
        "-D[2, , 0.00, 2024-01-01T10:00:00.005, null, null, null, [], {}, +I[null], x'', false]",
    ]


def test_print_says_who_printed(capsys: pytest.CaptureFixture[str]) -> None:
    frame = pl.DataFrame({"a": [1]}, schema={"a": pl.Int32})
    columns = {"a": D.INT()}
    printed(table(columns, connector="print", print_identifier="me"), frame)
    printed(table(columns, connector="print", print_identifier="me"), frame, parallelism=2)
    printed(table(columns, connector="print"), frame, parallelism=3)
    printed(table(columns, connector="print", standard_error="true"), frame)
    captured = capsys.readouterr()
    assert captured.out.splitlines() == ["me> +I[1]", "me:2> +I[1]", "3> +I[1]"]
    assert captured.err == "+I[1]\n"


def test_blackhole_takes_everything() -> None:
    printed(table({"a": D.INT()}, connector="blackhole"), pl.DataFrame({"a": [1]}), [3])
    with pytest.raises(OptionError, match="has no option 'x'"):
        sink_of(table({"a": D.INT()}, connector="blackhole", x="1"))


@pytest.mark.parametrize("name", ["print", "blackhole"])
def test_sinks_cannot_be_read(name: str) -> None:
    with pytest.raises(UnsupportedError, match="cannot be read from"):
        source_of(table({"a": D.INT()}, connector=name))


def test_datagen_cannot_be_written() -> None:
    with pytest.raises(UnsupportedError, match="cannot be written to"):
        find_connector("datagen").sink(table({"a": D.INT()}, connector="datagen"))
