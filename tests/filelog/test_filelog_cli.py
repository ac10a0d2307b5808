"""`tableapi log`: events in and out, errors, exit codes."""

from __future__ import annotations

import io
import json
import sys

import polars as pl
import pytest

from tableapi.cli import main
from tableapi.connectors.filelog import Consumer, EventLog
from tableapi.connectors.filelog.claims import check_in, check_out, remove_claims
from tableapi.errors import CorruptionError


class Streams:
    def __init__(self, monkeypatch, capsysbinary, path):
        self._monkeypatch, self._capture, self.path = monkeypatch, capsysbinary, path

    def __call__(self, *arguments, stdin=b""):
        self._monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
        code = 0
        try:
            main(["log", "--log", str(self.path), *arguments])
        except SystemExit as e:
            code = e.code or 0
        captured = self._capture.readouterr()
        self.err = captured.err.decode()
        return code, captured.out


@pytest.fixture
def run(monkeypatch, capsysbinary, tmp_path):
    return Streams(monkeypatch, capsysbinary, tmp_path / "log")


@pytest.fixture
def clicks(run):
    assert run("create", "clicks", "name STRING, n INT", "--key", "name", "--partitions", "2")[0] == 0
    assert run("append", "clicks", stdin=b'{"name":"ada","n":1}\n{"name":"bob","n":2}\n')[0] == 0
    return run


def test_json_and_csv_in_and_out(clicks):
    code, _ = clicks("append", "clicks", "--format", "csv", "--header", stdin=b"n,name\n3,cy\n")
    assert code == 0
    _, out = clicks("read", "clicks", "--metadata", "partition")
    rows = [json.loads(line) for line in out.splitlines()]
    assert sorted((r["name"], r["n"]) for r in rows) == [("ada", 1), ("bob", 2), ("cy", 3)]
    _, out = clicks("read", "clicks", "--format", "csv", "--columns", "n")
    assert sorted(out.split()) == [b"1", b"2", b"3", b"n"]
    _, out = clicks("read", "clicks", "--format", "table", "--limit", "1")
    assert b"name" in out


def test_arrow_in_and_out(clicks):
    _, out = clicks("read", "clicks", "--format", "arrow")
    assert pl.read_ipc_stream(out)["n"].sum() == 3
    assert clicks("append", "clicks", "--format", "arrow", stdin=out)[0] == 0
    _, out = clicks("read", "clicks")
    assert len(out.splitlines()) == 4
    code, _ = clicks("append", "clicks", "--format", "arrow", stdin=b"rubbish rubbish")
    assert code == 1
    assert "no Arrow IPC stream" in clicks.err


def test_positions_and_tail(run):
    run("create", "t", "n INT")
    for i in range(5):
        run("append", "t", stdin=b'{"n":%d}\n' % i)

    def numbers(*arguments):
        return [json.loads(line)["n"] for line in run(*arguments)[1].splitlines()]

    assert numbers("read", "t", "--from", "2") == [2, 3, 4]
    assert numbers("read", "t", "--from", "1", "--to", "3") == [1, 2]
    assert numbers("read", "t", "--from", "2999-01-01") == []
    assert numbers("tail", "t", "-n", "2") == [3, 4]
    assert run("read", "t", "--from", "yesterday")[0] == 2
    assert "is no position" in run.err


def test_bad_records_fail_or_are_put_aside(clicks):
    bad = b'{"name":"x","n":9}\n{"name":"y","n":"zz"}\n'
    code, _ = clicks("append", "clicks", stdin=bad)
    assert code == 1
    assert "'zz' is not an INT" in clicks.err
    assert ":2" in clicks.err
    code, _ = clicks("append", "clicks", "--dead-letters", "bad", stdin=bad)
    assert code == 0
    letters = EventLog(clicks.path).read("bad")
    assert letters["raw"].to_list() == [b'{"name":"y","n":"zz"}']
    assert "'n'" in letters["reason"][0]


def test_describe_list_alter_evolve_delete(clicks):
    _, out = clicks("describe", "clicks", "--format", "json")
    assert json.loads(out)["schemas"][0]["key"] == ["name"]
    assert clicks("alter", "clicks", "retention_ms=1000")[0] == 0
    assert clicks("evolve", "clicks", "name STRING, n BIGINT, more STRING")[0] == 0
    _, out = clicks("describe", "clicks")
    assert b"schema version 2 of 2" in out
    assert b"retention_ms=1000" in out
    _, out = clicks("list", "--format", "json")
    assert json.loads(out)["events"] == 2
    assert clicks("delete", "clicks", "--yes")[0] == 0
    assert clicks("list")[1].count(b"\n") == 1


def test_verify_and_repair(clicks):
    code, out = clicks("verify", "clicks")
    assert (code, out.splitlines()[-1]) == (0, b"sound")
    for partition in range(2):
        segment = clicks.path / f"topics/clicks/{partition}/{0:020d}.log"
        data = bytearray(segment.read_bytes())
        if len(data) > 320:
            data[320] ^= 1
            segment.write_bytes(data)
    code, out = clicks("verify", "clicks")
    assert code == 1
    assert b"lost: offsets" in out
    assert clicks("verify", "clicks", "--repair")[0] == 0
    assert clicks("verify", "clicks")[0] == 0
    assert clicks("compact", "clicks", "--all")[0] == 0


def test_groups(clicks):
    with Consumer(EventLog(clicks.path), "g", ["clicks"]) as consumer:
        while consumer.poll(0) is not None:
            pass
    _, out = clicks("group", "describe", "g", "--format", "json")
    assert sum(json.loads(line)["lag"] for line in out.splitlines()) == 0
    assert clicks("group", "reset", "g", "clicks", "--to", "earliest")[0] == 0
    _, out = clicks("group", "describe", "g", "--format", "json")
    assert sum(json.loads(line)["lag"] for line in out.splitlines()) == 2
    assert clicks("group", "list")[1] == b"g\n"
    assert clicks("group", "delete", "g")[0] == 0
    assert clicks("group", "describe", "g")[0] == 2


def test_mistakes_are_told(clicks, tmp_path):
    assert clicks("read", "clikcs")[0] == 2
    assert "did you mean 'clicks'" in clicks.err
    assert clicks("create", "x", "a BIGINTT")[0] == 2
    assert "did you mean 'BIGINT'" in clicks.err
    assert clicks("create", "x", "a INT", "--set", "colour=red")[0] == 2
    clicks.path = tmp_path / "elsewhere"
    assert clicks("list")[0] == 2
    assert "no event log" in clicks.err


def test_claim_check(tmp_path):
    log = EventLog(tmp_path)
    reference = check_in(log, b"x" * 100)
    assert check_in(log, b"x" * 100) == reference
    other = check_in(log, b"y")
    assert check_out(log, reference) == b"x" * 100
    assert remove_claims(log, {reference}) == 1
    (file,) = (p for p in (tmp_path / "claims").rglob("*") if p.is_file())
    file.write_bytes(b"z")
    with pytest.raises(CorruptionError):
        check_out(log, reference)
    with pytest.raises(Exception, match="is gone"):
        check_out(log, other)
