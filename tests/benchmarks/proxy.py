"""Delays the traffic between a server and its database, and counts round trips."""

import asyncio
import selectors
from collections import deque
from threading import Thread
from typing import Self, cast


class Proxy:
    """Forwards TCP from a local port to PostgreSQL, each byte delayed by `delay` seconds.

    delay: in one direction; a round trip takes twice as long. It does not limit throughput.
    port: the local port.
    round_trips: how often a client had to wait, that is, how often an answer followed a request.
    Requests that are sent together, as in a pipeline, count once.
    """

    def __init__(self, address: str | tuple[str, int], delay: float) -> None:
        self.delay = delay
        self.round_trips = 0
        self.port = 0
        self.open: set[asyncio.Transport] = set()
        self._address = address
        # Other selectors round timeouts up to whole milliseconds.
        self.loop = asyncio.SelectorEventLoop(selectors.SelectSelector())
        self._thread = Thread(target=self.loop.run_forever)

    def __enter__(self) -> Self:
        listening = self.loop.create_server(lambda: Near(self), "127.0.0.1", 0)
        self._server = self.loop.run_until_complete(listening)
        self.port = self._server.sockets[0].getsockname()[1]
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self.loop).result()
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()

    async def _close(self) -> None:
        self._server.close()
        for end in list(self.open):
            end.abort()
        # Their protocols are notified in the next iteration of the loop.
        await asyncio.sleep(0)

    async def connect(self, near: "Near") -> None:
        try:
            if isinstance(self._address, str):
                await self.loop.create_unix_connection(lambda: Far(near), self._address)
            else:
                await self.loop.create_connection(lambda: Far(near), *self._address)
        except OSError:
            near.hang_up()


class End(asyncio.Protocol):
    """One end of a connection. What it receives is sent at the other end after the delay."""

    def __init__(self, proxy: Proxy) -> None:
        self.proxy = proxy
        self.other: End | None = None
        self.transport: asyncio.Transport
        self._on_the_way: deque[bytes | None] = deque()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.proxy.open.add(self.transport)

    def data_received(self, data: bytes) -> None:
        self._send(data)

    def connection_lost(self, exc: Exception | None) -> None:
        self.proxy.open.discard(self.transport)
        self._send(None)

    def _send(self, data: bytes | None) -> None:
        self._on_the_way.append(data)
        self.proxy.loop.call_later(self.proxy.delay, self._arrive)

    def _arrive(self) -> None:
        data = self._on_the_way.popleft()
        if self.other:
            self.other.deliver(data)

    def deliver(self, data: bytes | None) -> None:
        if data is None:
            self.hang_up()
        else:
            self.transport.write(data)

    def hang_up(self) -> None:
        self.transport.close()


class Near(End):
    """The client's end: it sends a request and waits until the answer is delivered."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__(proxy)
        self._waits = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.transport.pause_reading()
        self._connecting = self.proxy.loop.create_task(self.proxy.connect(self))

    def data_received(self, data: bytes) -> None:
        self._waits = True
        super().data_received(data)

    def deliver(self, data: bytes | None) -> None:
        if self._waits and data:
            self._waits = False
            self.proxy.round_trips += 1
        super().deliver(data)


class Far(End):
    """The database's end."""

    def __init__(self, near: Near) -> None:
        super().__init__(near.proxy)
        self.near = near

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.other, self.near.other = self.near, self
        self.near.transport.resume_reading()
