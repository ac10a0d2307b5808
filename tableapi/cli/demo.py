"""`tableapi demo`: runs the flights program in the terminal, with progress and a live table of its updating result."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import click

from tableapi.errors import ExecutionError, ValidationError

REFRESH_S = 0.1


@click.command("demo")
@click.option(
    "--path", type=click.Path(path_type=Path), help="Directory of the event log (must not exist; default: a new temporary one)."
)
@click.option("--parallelism", default=2, show_default=True, type=click.IntRange(1, 64), help="Worker processes.")
def demo(path: Path | None, parallelism: int) -> None:
    """Every flight that left New York City in 2013, as event streams: publish, run one continuous SQL job, check against batch."""
    from rich.console import Console

    from tableapi.demo import flights
    from tableapi.runtime.execute import warm_up

    warm_up(parallelism)
    console = Console()
    started = time.monotonic()
    if path is None:
        path = Path(tempfile.mkdtemp(prefix="tableapi-flights-")) / "log"
    elif path.exists():
        raise ValidationError(f"{path} exists already", fix="name a directory that does not exist yet")
    with console.status("publishing flights and weather as event streams"):
        counts = flights.publish(path)
    console.print(
        f"published {counts['flights']:,} flights and {counts['weather']:,} weather reports, keyed by origin, 4 partitions each",
        soft_wrap=True,
    )
    result = flights.start(flights.stream_environment(path, parallelism))
    _watch(console, result, path, sum(counts.values()))
    result.wait()
    summary = _counters(result)
    _report(console, flights.check(path), summary)
    console.print("the output streams stay; look at one with", soft_wrap=True)
    console.print(f"  tableapi log --log {path} read hourly_delays --format table --limit 20", highlight=False, soft_wrap=True)
    console.print(f"done in {time.monotonic() - started:.1f} s")


def _counters(result: Any) -> dict[str, Any]:
    client = result.get_job_client()
    counters: dict[str, Any] = client.get_accumulators().result()
    counters["duration_s"] = client.get_job_execution_result().result().get_net_runtime() / 1000
    return counters


def _watch(console: Any, result: Any, path: Path, total: int) -> None:
    """Shows progress, and the Top-N as it changes, until the job has ended. An interrupt stops the job first."""
    from rich.live import Live

    client = result.get_job_client()
    board = _Board(path, total)
    try:
        with Live(board.view(0), console=console, refresh_per_second=1 / REFRESH_S, transient=not console.is_terminal) as live:
            while not client.get_job_status().result().is_globally_terminal_state():
                time.sleep(REFRESH_S)
                live.update(board.view(client.get_accumulators().result()["rows_in"] or 0))
            live.update(board.view(total))
    except KeyboardInterrupt:
        client.cancel()
        raise
    finally:
        board.close()


class _Board:
    """What is on the screen: how far the job is, and the newest rows of the output stream `worst_carriers`."""

    def __init__(self, path: Path, total: int) -> None:
        from tableapi.connectors.filelog import EventLog

        self._log = EventLog(path)
        self._total = total
        self._readers: list[Any] = []
        self._rows: dict[tuple[str, int], tuple[str, int]] = {}

    def view(self, rows_in: int) -> Any:
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        self._read()
        table = Table(title="carriers with most delay minutes so far", title_justify="left")
        table.add_column("origin")
        for place in ("1st", "2nd", "3rd"):
            table.add_column(place, min_width=14)
        for origin in sorted({o for o, _ in self._rows}):
            cells = [self._rows.get((origin, place)) for place in (1, 2, 3)]
            table.add_row(origin, *(f"{c[0]} {c[1]:>9,}" if c else "" for c in cells))
        done = min(rows_in, self._total)
        return Group(
            Text(f"events read {done:,} of {self._total:,}"),
            ProgressBar(total=self._total, completed=done, width=60),
            Text(""),
            table,
        )

    def _read(self) -> None:
        if not self._readers:
            if "worst_carriers" not in self._log.topics():
                return
            partitions = self._log.describe("worst_carriers").partitions
            self._readers = [self._log.reader("worst_carriers", p) for p in range(partitions)]
        for reader in self._readers:
            while (frame := reader.read(65_536)) is not None and frame.height:
                last = frame.unique(["origin", "place"], keep="last", maintain_order=True)
                for origin, place, carrier, minutes in last.select("origin", "place", "carrier", "delay_minutes").iter_rows():
                    self._rows[origin, place] = (carrier, minutes)

    def close(self) -> None:
        for reader in self._readers:
            reader.close()
        self._log.close()


def _report(console: Any, checks: list[Any], summary: dict[str, Any]) -> None:
    from rich.table import Table

    rate = summary["rows_in"] / max(summary["duration_s"], 1e-9)
    console.print(
        f"{summary['rows_in']:,} events in, {summary['rows_out']:,} rows out, {summary['late_rows']:,} late, "
        f"{summary['duration_s']:.2f} s, {rate:,.0f} events/s",
        soft_wrap=True,
    )
    table = Table(title="the stream against the same queries in batch mode", title_justify="left")
    for column in ("output stream", "rows, stream", "rows, batch", "equal"):
        table.add_column(column, justify="left" if column == "output stream" else "right")
    for check in checks:
        table.add_row(check.stream, f"{check.stream_rows:,}", f"{check.batch_rows:,}", "yes" if check.is_equal else "NO")
    console.print(table)
    if not all(c.is_equal for c in checks):
        raise ExecutionError("the stream and batch gave different rows", fix="please report this: it is a bug of the engine")
