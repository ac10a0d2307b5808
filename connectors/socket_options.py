"""Where a socket is, how records are framed on it, and how the two ends know each other.

Owns addresses, TLS contexts, the token handshake and the options of the `socket` connector.
Imports connectors.{base,options,registry} and tableapi's plain data types only.
"""

from __future__ import annotations

import hmac
import ipaddress
import os
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from tableapi.connectors.bad_records import BAD_RECORD_OPTIONS
from tableapi.connectors.base import Option
from tableapi.connectors.options import MemorySize
from tableapi.errors import OptionError

if TYPE_CHECKING:
    import ssl

LINES, LENGTH_PREFIXED, ARROW_STREAM = "lines", "length-prefixed", "arrow-stream"

GREETING = b"TABLEAPI "
"""A client that has a token sends this, the token and a line end before anything else."""

LONGEST_GREETING_BYTES = 4096

_AWAIT = timedelta(seconds=30)

OPTIONS = (
    Option("hostname", str, "Host of a TCP socket.", default="127.0.0.1"),
    Option("port", int, "Port of a TCP socket; 0 takes a free one."),
    Option("path", str, "File name of a Unix socket, instead of a port."),
    Option("mode", ("connect", "listen"), "Which end this is; sources connect and sinks listen by default."),
    Option("framing", (LINES, LENGTH_PREFIXED, ARROW_STREAM), "How records are told apart.", default=LINES),
    Option("format", str, "Format of the records; an Arrow stream has its own."),
    Option("token", str, "A secret that the connecting end must send first."),
    Option("token-file", str, "File that holds the token."),
    Option("tls", bool, "Encrypt the connection.", default=False),
    Option("tls.certificate", str, "File with the certificate of the listening end."),
    Option("tls.key", str, "File with its private key."),
    Option("tls.ca", str, "File with the certificates that the connecting end trusts; by default those of the system."),
    Option("buffer-size", MemorySize, "Most bytes that wait here for one peer.", default=MemorySize(16 << 20)),
    Option("reconnect.initial-delay", timedelta, "Wait after the first failed attempt.", default=timedelta(milliseconds=100)),
    Option("reconnect.max-delay", timedelta, "The wait doubles up to this.", default=timedelta(seconds=10)),
    Option("end-on-close", bool, "The table ends when the peer closes; a source that connects only.", default=False),
    Option("sink.slow-client", ("disconnect", "skip"), "What happens when a client's buffer is full.", default="disconnect"),
    Option("sink.await-clients", int, "Write nothing before so many clients have connected.", default=0),
    Option("sink.await-timeout", timedelta, "Longest wait for clients to connect, or to take the last rows.", default=_AWAIT),
    *BAD_RECORD_OPTIONS,
)


@dataclass(frozen=True)
class Endpoint:
    """One end of a socket.

    Args:
        host, port: A TCP address, when `path` is None.
        path: File name of a Unix socket.
        listens: Whether this end waits for others to connect.
    """

    host: str
    port: int
    path: str | None
    listens: bool
    token: bytes | None = None
    uses_tls: bool = False
    certificate: str | None = None
    key: str | None = None
    authorities: str | None = None
    first_delay_s: float = 0.1
    longest_delay_s: float = 10.0

    def __str__(self) -> str:
        return f"unix:{self.path}" if self.path is not None else f"tcp://{self.host}:{self.port}"

    def listener(self) -> socket.socket:
        """A socket that listens here, not blocking.

        Raises:
            OSError: when the address is taken or may not be used.
        """
        if self.path is not None:
            return self._unix_listener(self.path)
        family = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((self.host, self.port), family=family, backlog=64)
        listener.setblocking(False)
        return listener

    @staticmethod
    def _unix_listener(path: str) -> socket.socket:
        if os.path.exists(path):
            with socket.socket(socket.AF_UNIX) as probe:
                try:
                    probe.connect(path)
                except OSError:
                    # Nobody answers: left behind by a process that has died.
                    os.unlink(path)
                else:
                    raise OSError(f"somebody listens on {path} already")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            listener.bind(path)
        finally:
            os.umask(mask)
        listener.listen(64)
        listener.setblocking(False)
        return listener

    def start_connect(self) -> socket.socket:
        """A socket that is connecting to here, not blocking."""
        if self.path is not None:
            connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.setblocking(False)
            connection.connect(self.path)
            return connection
        family, kind, protocol, _, address = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)[0]
        connection = socket.socket(family, kind, protocol)
        connection.setblocking(False)
        error = connection.connect_ex(address)
        if error not in (0, 115, 36, 10035):
            connection.close()
            raise OSError(error, os.strerror(error))
        return connection

    def tls_context(self) -> ssl.SSLContext | None:
        """How connections are encrypted; None when they are not."""
        if not self.uses_tls:
            return None
        import ssl

        if self.listens:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            assert self.certificate is not None
            context.load_cert_chain(self.certificate, self.key)
            return context
        return ssl.create_default_context(cafile=self.authorities)

    def wrap(self, connection: socket.socket, context: ssl.SSLContext | None) -> socket.socket:
        """The connection, encrypted when it is to be; the handshake is still to come."""
        if context is None:
            return connection
        name = None if self.listens or self.path is not None else self.host
        return context.wrap_socket(connection, server_side=self.listens, server_hostname=name, do_handshake_on_connect=False)

    def greeting(self) -> bytes:
        """What the connecting end sends first."""
        return b"" if self.token is None else GREETING + self.token + b"\n"

    def is_greeting(self, line: bytes) -> bool:
        """Whether a client's first line carries the token."""
        expected = GREETING + (self.token or b"")
        return hmac.compare_digest(line.rstrip(b"\r\n"), expected)


def endpoint_of(options: Mapping[str, Any], listens_by_default: bool) -> Endpoint:
    """The end that a table's options describe.

    Raises:
        OptionError: when it is incomplete, or would be open to strangers.
    """
    if (options["port"] is None) == (options["path"] is None):
        raise OptionError("connector 'socket' needs either 'port' or 'path'", fix="'port' = '9999', or 'path' = '/run/x.sock'")
    listens = listens_by_default if options["mode"] is None else options["mode"] == "listen"
    endpoint = Endpoint(
        host=options["hostname"],
        port=options["port"] or 0,
        path=None if options["path"] is None else os.path.abspath(options["path"]),
        listens=listens,
        token=_token(options),
        uses_tls=options["tls"],
        certificate=options["tls.certificate"],
        key=options["tls.key"],
        authorities=options["tls.ca"],
        first_delay_s=options["reconnect.initial-delay"].total_seconds(),
        longest_delay_s=options["reconnect.max-delay"].total_seconds(),
    )
    if endpoint.uses_tls and listens and not endpoint.certificate:
        raise OptionError("'tls' on the listening end needs 'tls.certificate'", fix="name files with a certificate and its key")
    is_open = listens and endpoint.path is None and not is_loopback(endpoint.host)
    if is_open and not (endpoint.uses_tls and endpoint.token):
        raise OptionError(
            f"listening on '{endpoint.host}', where other machines can connect, needs 'tls' and a 'token'",
            fix="use 'hostname' = '127.0.0.1', or set 'tls', 'tls.certificate', 'tls.key' and 'token-file'",
        )
    return endpoint


def _token(options: Mapping[str, Any]) -> bytes | None:
    if options["token-file"] is None:
        return None if options["token"] is None else str(options["token"]).encode()
    try:
        with open(options["token-file"], "rb") as file:
            return file.read().strip()
    except OSError as e:
        raise OptionError(f"cannot read the token file '{options['token-file']}': {e.strerror}") from None


def is_loopback(host: str) -> bool:
    """Whether only programs on this machine can reach the host.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
