"""Connections kept between questions."""

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path

import pytest

from query.nodes.connection import Connection
from query.nodes.pool import ConnectionPool
from query.nodes.request import Origin
from tests.query.nodes.raw_server import Line, RawServer, answering

REQUEST = b"GET / HTTP/1.1\r\nHost: n\r\n\r\n"
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]"


def until_s() -> float:
    """Return a time at which a test has failed."""
    return asyncio.get_running_loop().time() + 10.0


def origin_of(server: RawServer, *, tls: bool = False) -> Origin:
    """Return where the server listens."""
    return Origin("127.0.0.1", server.port, tls)


async def used(pool: ConnectionPool, origin: Origin) -> Connection:
    """Return a new connection over which one question was asked."""
    connection = await pool.connect(origin, until_s=until_s())
    await connection.send(REQUEST, until_s=until_s())
    return connection


async def test_pool_gives_what_was_used_last() -> None:
    """Those that are needed no more grow old at the bottom; other nodes' are never given."""
    async with RawServer(answering(WHOLE)) as server:
        pool, origin = ConnectionPool(asyncio.get_running_loop()), origin_of(server)
        first, second = await used(pool, origin), await used(pool, origin)
        pool.give_back(origin, first)
        pool.give_back(origin, second)

        assert pool.take(Origin("127.0.0.1", 1, tls=False)) is None
        assert [pool.take(origin) for _ in range(3)] == [second, first, None]
        first.close()
        second.close()


async def test_pool_keeps_nothing_that_cannot_be_used_again() -> None:
    """A connection whose answer is still to come is closed when it is given back."""
    gone = asyncio.Event()

    async def talk(line: Line, _number: int) -> None:
        await line.wait_closed()
        gone.set()

    async with RawServer(talk) as server:
        pool, origin = ConnectionPool(asyncio.get_running_loop()), origin_of(server)
        connection = await pool.connect(origin, until_s=until_s())
        connection.send(REQUEST, until_s=until_s())
        pool.give_back(origin, connection)
        await gone.wait()

        assert pool.idle(origin) == 0


async def test_pool_never_gives_a_connection_that_its_node_has_closed() -> None:
    """A node that was restarted is met over a new connection."""
    close = asyncio.Event()

    async def talk(line: Line, _number: int) -> None:
        await line.request()
        await line.send(WHOLE)
        await close.wait()

    async with RawServer(talk) as server:
        pool, origin = ConnectionPool(asyncio.get_running_loop()), origin_of(server)
        connection = await used(pool, origin)
        pool.give_back(origin, connection)
        close.set()
        while connection.reusable:  # noqa: ASYNC110 - nobody is told when a connection notices
            await asyncio.sleep(0)

        assert pool.take(origin) is None


async def test_pool_closes_what_is_idle_for_long() -> None:
    """Connections that a burst has made do not stay for ever."""
    gone = asyncio.Event()

    async def talk(line: Line, _number: int) -> None:
        await line.request()
        await line.send(WHOLE)
        await line.wait_closed()
        gone.set()

    async with RawServer(talk) as server:
        pool = ConnectionPool(asyncio.get_running_loop(), kept_s=0.02, sweep_s=0.01)
        origin = origin_of(server)
        pool.give_back(origin, await used(pool, origin))
        await gone.wait()

        assert pool.take(origin) is None


async def test_pool_closed_closes_what_is_kept() -> None:
    """Nothing stays open behind a service that stops."""
    gone = asyncio.Event()

    async def talk(line: Line, _number: int) -> None:
        await line.request()
        await line.send(WHOLE)
        await line.wait_closed()
        gone.set()

    async with RawServer(talk) as server:
        pool, origin = ConnectionPool(asyncio.get_running_loop()), origin_of(server)
        pool.give_back(origin, await used(pool, origin))
        pool.close()
        await gone.wait()

        assert pool.idle(origin) == 0


async def test_connect_past_its_time_is_a_timeout(unused_tcp_port: int) -> None:
    """A deadline that has come leaves no time to connect; a refusal is another error."""
    pool = ConnectionPool(asyncio.get_running_loop())
    nobody = Origin("127.0.0.1", unused_tcp_port, tls=False)

    with pytest.raises(TimeoutError):
        await pool.connect(nobody, until_s=0.0)
    with pytest.raises(ConnectionRefusedError):
        await pool.connect(nobody, until_s=until_s())


def certificate(directory: Path) -> tuple[Path, Path]:
    """Return a new certificate for 127.0.0.1 and its key."""
    program = shutil.which("openssl")
    if program is None:
        pytest.skip("openssl is missing: no certificate can be made")
    made, key = directory / "certificate.pem", directory / "key.pem"
    arguments = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    arguments += ["-subj", "/CN=node", "-addext", "subjectAltName=IP:127.0.0.1"]
    arguments += ["-keyout", str(key), "-out", str(made)]
    subprocess.run([program, *arguments], check=True, capture_output=True, timeout=10)
    return made, key


async def test_connect_over_tls_wants_a_good_certificate(tmp_path: Path) -> None:
    """A node with https is asked like any other, if its certificate is one we trust."""
    made, key = await asyncio.to_thread(certificate, tmp_path)
    here, trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context(cafile=str(made))
    here.load_cert_chain(made, key)
    loop = asyncio.get_running_loop()

    async with RawServer(answering(WHOLE), tls=here) as server:
        origin = origin_of(server, tls=True)
        connection = await used(ConnectionPool(loop, trusting), origin)
        assert connection.reusable
        connection.close()
        with pytest.raises(ssl.SSLCertVerificationError):
            await ConnectionPool(loop).connect(origin, until_s=until_s())
