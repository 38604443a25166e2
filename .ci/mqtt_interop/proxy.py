"""A TCP proxy that understands packets well enough to tear a connection apart in the middle of a chosen one."""

import asyncio
import contextlib
import socket
import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import TracebackType
from typing import Self

from .case import V311, InteropError, Side

START_SECONDS = 10


class Toward(Enum):
    """The direction of a packet."""

    SERVER = "server"
    CLIENT = "client"

    @property
    def opposite(self) -> "Toward":
        return Toward.CLIENT if self is Toward.SERVER else Toward.SERVER


class PacketType(IntEnum):
    """The packet types at which a connection is cut (MQTT 5.0, 2.1.2)."""

    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7


@dataclass(frozen=True)
class CutPoint:
    """Let `after` packets of this kind pass since the last cut; of the next one only the first half passes, and then
    the connection ends in both directions: with a reset, or as if both had closed it."""

    toward: Toward
    packet_type: PacketType
    reset: bool
    after: int = 40


def cut_points(side: Side, version: str, qos: int) -> list[CutPoint]:
    """A cut in every packet of the handshake of `qos`: by turns a reset and a close, beginning with one for MQTT 3.1.1
    and with the other for 5.0, so that both happen in each."""
    if side is Side.NEITHER:
        return []
    forth = Toward.SERVER if side is Side.PUBLISHER else Toward.CLIENT
    back = forth.opposite
    handshake = {
        0: [(forth, PacketType.PUBLISH)],
        1: [(forth, PacketType.PUBLISH), (back, PacketType.PUBACK)],
        2: [
            (forth, PacketType.PUBLISH),
            (back, PacketType.PUBREC),
            (forth, PacketType.PUBREL),
            (back, PacketType.PUBCOMP),
        ],
    }[qos]
    return [CutPoint(*step, reset=(turn % 2 == 0) == (version == V311)) for turn, step in enumerate(handshake)]


class Proxy:
    """Forwards every connection to `port` to the broker, and cuts at the given points, in their order. They are counted
    over all connections: which of them is the publisher's shows in the packets that it carries."""

    port: int

    def __init__(self, broker_port: int, cuts: Sequence[CutPoint]) -> None:
        self._broker_port = broker_port
        self._cuts = list(cuts)
        self._passed = 0
        self._loop = asyncio.new_event_loop()
        self._listening = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        if not self._listening.wait(START_SECONDS):
            raise InteropError("the proxy did not start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._server_task.cancel)
        self._thread.join()

    @property
    def faults(self) -> list[str]:
        """Cuts that never happened: then the case did not show what it claims to."""
        return [f"no cut happened at {cut}" for cut in self._cuts]

    def _run(self) -> None:
        with contextlib.closing(self._loop):
            self._server_task = self._loop.create_task(self._serve())
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._server_task)
            self._loop.run_until_complete(_cancel_the_others())

    async def _serve(self) -> None:
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._listening.set()
        async with server:
            await server.serve_forever()

    async def _connection(self, client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
        server, to_server = await asyncio.open_connection("127.0.0.1", self._broker_port)
        ends = (to_client, to_server)
        # Cancelled only when the proxy itself ends, which is no news to anyone.
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(
                self._forward(client, to_server, Toward.SERVER, ends),
                self._forward(server, to_client, Toward.CLIENT, ends),
            )

    async def _forward(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        toward: Toward,
        ends: Sequence[asyncio.StreamWriter],
    ) -> None:
        try:
            while True:
                packet = await _read_packet(source)
                cut = self._due(toward, packet)
                if cut is not None:
                    sink.write(packet[: len(packet) // 2])
                    if cut.reset:
                        for end in ends:
                            _reset(end)
                    return
                sink.write(packet)
                await sink.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            for end in ends:
                end.close()

    def _due(self, toward: Toward, packet: bytes) -> CutPoint | None:
        """The cut to make in this packet, if it is the one."""
        if not self._cuts or (self._cuts[0].toward, self._cuts[0].packet_type) != (toward, packet[0] >> 4):
            return None
        self._passed += 1
        if self._passed <= self._cuts[0].after:
            return None
        self._passed = 0
        return self._cuts.pop(0)


async def _cancel_the_others() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)


async def _read_packet(source: asyncio.StreamReader) -> bytes:
    """One packet: type and flags, the remaining length as a variable byte integer, and that many bytes."""
    header = await source.readexactly(1)
    length = shift = 0
    while True:
        header += await source.readexactly(1)
        length |= (header[-1] & 0x7F) << shift
        shift += 7
        if header[-1] < 0x80:
            return header + await source.readexactly(length)


def _reset(end: asyncio.StreamWriter) -> None:
    """Ends the connection with a TCP reset: whatever was not yet read at either side may be gone."""
    if end.is_closing():
        return
    end.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    end.transport.abort()
