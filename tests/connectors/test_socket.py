"""Sockets: every framing both ways, TLS and tokens, reconnecting, slow clients, and what strangers may not do."""

from __future__ import annotations

import os
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from connector_driving import make_table as table
from connector_driving import sink_of, source_of

from tableapi.connectors.socket_source import SocketReader
from tableapi.errors import ExecutionError, OptionError, RecordError, UnsupportedError
from tableapi.row import RowKind
from tableapi.tablespec import TableSpec
from tableapi.types import DataTypes as D

AB = {"a": D.INT(), "b": D.STRING()}
FRAME = pl.DataFrame({"a": [1, 2, None], "b": ["x", "y\n", ""]}, schema={"a": pl.Int32, "b": pl.String})
PATIENCE_S = 20.0


@contextmanager
def reading(t: TableSpec) -> Iterator[SocketReader]:
    source = source_of(t)
    (split,) = source.splits()
    reader = source.reader(split)
    assert isinstance(reader, SocketReader)
    try:
        yield reader
    finally:
        reader.close()


def take(reader: SocketReader, rows: int, max_rows: int = 1000) -> list[tuple[Any, ...]]:
    """The next rows; waits for them on the reader's descriptor."""
    import select

    found: list[tuple[Any, ...]] = []
    deadline = time.monotonic() + PATIENCE_S
    while len(found) < rows:
        result = reader.read(max_rows)
        if result.frame is not None:
            assert result.frame.height <= max_rows
            found += result.frame.rows()
        elif result.finished:
            break
        else:
            assert time.monotonic() < deadline, f"only {len(found)} of {rows} rows came"
            fd = reader.fileno()
            assert fd is not None
            select.select([fd], [], [], 0.02)
    return found


def dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)


def test_many_clients_send_lines() -> None:
    with reading(table(AB, connector="socket", port="0", mode="listen", format="json")) as reader:
        clients = [dial(reader.port) for _ in range(5)]
        for i, client in enumerate(clients):
            client.sendall(f'{{"a":{i},"b":"x"}}\n{{"a":'.encode())
        assert sorted(take(reader, 5)) == [(i, "x") for i in range(5)]
        for client in clients:
            client.sendall(b'9}\n{"a":10}')
            client.close()
        assert sorted(take(reader, 10, max_rows=3)) == [(9, None)] * 5 + [(10, None)] * 5


def test_length_prefixed_records_may_hold_line_ends() -> None:
    t = table({"line": D.STRING()}, connector="socket", port="0", mode="listen", framing="length-prefixed", format="raw")
    with reading(t) as reader, dial(reader.port) as client:
        for record in (b"a\nb", b"", b"c"):
            client.sendall(len(record).to_bytes(4, "big") + record)
        assert take(reader, 3) == [("a\nb",), ("",), ("c",)]


def test_an_arrow_stream_arrives_in_any_pieces() -> None:
    import io

    import pyarrow as pa

    out = io.BytesIO()
    batch = pa.record_batch(
        {"b": pa.array(["x", "y"]).dictionary_encode(), "a": pa.array([1, None], pa.int32()), "c": [1.0, 2.0]}
    )
    with pa.ipc.new_stream(out, batch.schema) as stream:
        stream.write_batch(batch)
        stream.write_batch(batch)
    with (
        reading(table(AB, connector="socket", port="0", mode="listen", framing="arrow-stream")) as reader,
        dial(reader.port) as client,
    ):
        data = out.getvalue()
        for at in range(0, len(data), 100):
            client.sendall(data[at : at + 100])
            reader.read(0)
        assert take(reader, 4) == [(1, "x"), (None, "y")] * 2


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\xff\xff\xff\xff\x08\x00\x00\x00" + b"\x07" * 8, b"\xff\xff\xff\xff\xff\xff\xff\x7f"]
)
def test_what_is_no_arrow_stream_is_refused(data: bytes) -> None:
    with (
        reading(table(AB, connector="socket", port="0", mode="listen", framing="arrow-stream")) as reader,
        dial(reader.port) as client,
    ):
        client.sendall(data)
        client.close()
        with pytest.raises(RecordError):
            take(reader, 1)


def test_a_source_reconnects() -> None:
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    t = table(
        AB, connector="socket", port=str(port), format="csv", reconnect__initial_delay="1 ms", reconnect__max_delay="5 ms"
    )
    with reading(t) as reader:
        assert reader.read(10).frame is None
        for i in range(3):
            with socket.create_server(("127.0.0.1", port)) as server:
                server.settimeout(PATIENCE_S)
                thread = threading.Thread(target=_send_once, args=(server, f"{i},x\n".encode()))
                thread.start()
                assert take(reader, 1) == [(i, "x")]
                thread.join()


def _send_once(server: socket.socket, data: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        connection.sendall(data)


def test_a_source_can_end_with_its_peer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE_S)
        threading.Thread(target=_send_once, args=(server, b"1,x\n2,y"), daemon=True).start()
        t = table(AB, connector="socket", port=str(server.getsockname()[1]), format="csv", end_on_close="true")
        assert source_of(t).is_bounded
        with reading(t) as reader:
            assert take(reader, 100) == [(1, "x"), (2, "y")]


def test_unix_sockets_are_private_and_stale_ones_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    with reading(table(AB, connector="socket", path=str(path), mode="listen", format="csv")) as reader:
        reader.read(1)
        assert path.stat().st_mode & 0o777 == 0o600
        with socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            client.sendall(b"1,x\n")
            assert take(reader, 1) == [(1, "x")]
        other = source_of(table(AB, connector="socket", path=str(path), mode="listen", format="csv"))
        with pytest.raises(ExecutionError, match="cannot listen"):
            other.reader(other.splits()[0]).read(1)
    assert not path.exists()


def test_a_record_that_is_too_long_is_refused() -> None:
    t = table({"line": D.STRING()}, connector="socket", port="0", mode="listen", format="raw", buffer_size="1 kb")
    with reading(t) as reader, dial(reader.port) as client:
        client.sendall(b"x" * 5000)
        with pytest.raises(RecordError, match="longer than 'buffer-size'"):
            take(reader, 1)


def test_bad_records_name_their_peer_and_line(tmp_path: Path) -> None:
    with reading(table(AB, connector="socket", port="0", mode="listen", format="csv")) as reader, dial(reader.port) as client:
        client.sendall(b"1,x\n")
        assert take(reader, 1) == [(1, "x")]
        client.sendall(b"2,x\noops,y\n")
        with pytest.raises(RecordError) as caught:
            take(reader, 1)
        assert "field 'a': 'oops' is not an INT" in str(caught.value)
        assert "tcp://127.0.0.1" in str(caught.value)
        assert caught.value.where is not None
        assert caught.value.where.line == 3


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    folder = tmp_path_factory.mktemp("tls")
    key, cert = folder / "key.pem", folder / "cert.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    command += [
        "-subj",
        "/CN=localhost",
        "-addext",
        "subjectAltName=DNS:localhost,IP:127.0.0.1",
        "-keyout",
        str(key),
        "-out",
        str(cert),
    ]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return str(cert), str(key)


def test_only_who_has_the_token_may_send(certificate: tuple[str, str]) -> None:
    cert, key = certificate
    t = table(
        AB,
        connector="socket",
        port="0",
        hostname="0.0.0.0",
        mode="listen",
        format="csv",
        token="secret",
        tls="true",
        tls__certificate=cert,
        tls__key=key,
    )
    context = ssl.create_default_context(cafile=cert)
    with reading(t) as reader:
        reader.read(1)
        answers: list[bytes] = []

        def send(data: bytes) -> None:
            with dial(reader.port) as raw, context.wrap_socket(raw, server_hostname="localhost") as client:
                client.sendall(data)
                try:
                    answers.append(client.recv(1))
                except OSError:
                    answers.append(b"")

        wrong = [b"1,no\n", b"TABLEAPI wrong\n2,no\n", b"x" * 10_000]
        threads = [threading.Thread(target=send, args=(d,), daemon=True) for d in wrong]
        right = threading.Thread(target=send, args=(b"TABLEAPI secret\n3,yes\n",), daemon=True)
        for thread in (*threads, right):
            thread.start()
        assert take(reader, 1) == [(3, "yes")]
        deadline = time.monotonic() + PATIENCE_S
        while any(thread.is_alive() for thread in threads) and time.monotonic() < deadline:
            assert reader.read(10).frame is None
            time.sleep(0.005)
        assert answers == [b""] * 3


def test_a_sink_serves_a_source_over_tls_with_a_token(certificate: tuple[str, str], tmp_path: Path) -> None:
    cert, key = certificate
    secret = tmp_path / "token"
    secret.write_text("from a file\n")
    out = sink_of(
        table(
            AB,
            connector="socket",
            port="0",
            format="json",
            token_file=str(secret),
            tls="true",
            tls__certificate=cert,
            tls__key=key,
            sink__await_clients="1",
        )
    )
    writer = out.writer(0, 1)
    t = table(
        AB,
        connector="socket",
        port=str(writer.hub.port),
        hostname="localhost",
        format="json",
        token_file=str(secret),
        tls="true",
        tls__ca=cert,
        end_on_close="true",
    )
    done = threading.Thread(target=lambda: (writer.write(FRAME, None), writer.close(True)))
    done.start()
    with reading(t) as reader:
        assert take(reader, 100) == FRAME.rows()
    done.join()


@pytest.mark.parametrize(("framing", "form"), [("lines", "json"), ("length-prefixed", "json"), ("arrow-stream", None)])
def test_sink_and_source_understand_each_other(framing: str, form: str | None) -> None:
    options = {"framing": framing} | ({"format": form} if form else {})
    sink = sink_of(table(AB, connector="socket", port="0", sink__await_clients="3", **options))
    writer = sink.writer(0, 1)
    t = table(AB, connector="socket", port=str(writer.hub.port), end_on_close="true", **options)
    received: list[list[tuple[Any, ...]]] = []

    def receive() -> None:
        with reading(t) as reader:
            received.append(take(reader, 100))

    threads = [threading.Thread(target=receive) for _ in range(3)]
    for thread in threads:
        thread.start()
    writer.write(FRAME, None)
    writer.write(FRAME, None)
    writer.close(True)
    for thread in threads:
        thread.join()
    assert received == [FRAME.rows() * 2] * 3


def test_all_subtasks_speak_through_one(tmp_path: Path) -> None:
    sink = sink_of(table(AB, connector="socket", port="0", format="csv", sink__await_clients="1"))
    sink.begin(False, {})
    assert os.stat(sink.relay_directory).st_mode & 0o777 == 0o700
    writers = [sink.writer(i, 3) for i in range(3)]
    t = table(AB, connector="socket", port=str(writers[0].hub.port), format="csv", end_on_close="true")
    rows = pl.DataFrame({"a": [1], "b": ["x"]}, schema=FRAME.schema)

    def write(writer: Any) -> None:
        for _ in range(10):
            writer.write(rows, None)
        writer.close(True)

    threads = [threading.Thread(target=write, args=(w,)) for w in writers]
    for thread in threads:
        thread.start()
    with reading(t) as reader:
        assert take(reader, 1000) == [(1, "x")] * 30
    for thread in threads:
        thread.join()
    sink.end(True)
    assert not os.path.exists(sink.relay_directory)


@pytest.mark.parametrize("policy", ["disconnect", "skip"])
def test_a_slow_client_holds_nobody_back(policy: str) -> None:
    t = table(
        {"line": D.STRING()},
        connector="socket",
        port="0",
        format="raw",
        buffer_size="100 kb",
        sink__slow_client=policy,
        sink__await_clients="2",
        sink__await_timeout="100 ms",
    )
    writer = sink_of(t).writer(0, 1)
    slow, fast = dial(writer.hub.port), dial(writer.hub.port)
    frame = pl.DataFrame({"line": ["x" * 9_999]})
    got = 0
    for _ in range(2000):
        writer.write(frame, None)
        wanted = 10_000
        while wanted:
            wanted -= len(fast.recv(wanted))
        got += 10_000
    assert got == 20_000_000
    writer.close(False)
    received = 0
    while data := slow.recv(1 << 20):
        received += len(data)
    assert 0 < received < got
    slow.close()
    fast.close()


def test_a_sink_can_connect_and_says_when_nobody_is_there() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        t = table(AB, connector="socket", port=str(port), mode="connect", format="csv", reconnect__initial_delay="1 ms")
        writer = sink_of(t).writer(0, 1)
        writer.write(FRAME.head(1), None)
        writer.close(True)
        connection, _ = server.accept()
        with connection, connection.makefile("rb") as file:
            assert file.read() == b"1,x\n"
    nobody = sink_of(
        table(AB, connector="socket", port=str(port), mode="connect", format="csv", sink__await_timeout="50 ms")
    ).writer(0, 1)
    with pytest.raises(ExecutionError, match="0 of 1 peers have connected"):
        nobody.write(FRAME, None)
    nobody.close(False)


def test_changes_go_through_formats_that_hold_them() -> None:
    t = table(AB, connector="socket", port="1", format="debezium-json")
    assert source_of(t).changelog == set(RowKind)
    assert sink_of(t).accepts == set(RowKind)


@pytest.mark.parametrize(
    ("options", "kind", "message"),
    [
        ({"format": "json"}, OptionError, "either 'port' or 'path'"),
        ({"format": "json", "port": "1", "path": "x"}, OptionError, "either 'port' or 'path'"),
        ({"port": "1"}, OptionError, "needs the option 'format'"),
        ({"port": "1", "format": "parquet"}, UnsupportedError, "record by record"),
        ({"port": "1", "format": "json", "framing": "arrow-stream"}, OptionError, "no other format"),
        ({"port": "1", "format": "json", "mode": "listen", "hostname": "0.0.0.0"}, OptionError, "needs 'tls' and a 'token'"),
        ({"port": "1", "format": "json", "mode": "listen", "hostname": "::", "token": "x"}, OptionError, "needs 'tls' and a 'token'"),
        ({"port": "1", "format": "json", "mode": "listen", "tls": "true"}, OptionError, "needs 'tls.certificate'"),
        ({"port": "1", "format": "json", "mode": "listen", "end_on_close": "true"}, OptionError, "'end-on-close'"),
        ({"port": "1", "format": "json", "token_file": "/no/such"}, OptionError, "cannot read the token file"),
        ({"port": "1", "format": "json", "prt": "1"}, OptionError, "did you mean 'port'?"),
    ],
)  # fmt: skip
def test_wrong_options(options: dict[str, str], kind: type[Exception], message: str) -> None:
    with pytest.raises(kind) as caught:
        source_of(table(AB, connector="socket", **options))
    assert message in str(caught.value)
