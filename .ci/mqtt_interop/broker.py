"""The brokers: the one under test, and the reference."""

import socket
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from .case import InteropError
from .process import Process

START_SECONDS = 10
STOP_SECONDS = 10


class Broker:
    """A running broker on a port of 127.0.0.1 that nobody else uses. Leaving the `with` kills it."""

    port: int
    overruns_receive_maximum = False
    _process: Process

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()

    def stop(self) -> None:
        """Asks the broker to end, which it must do soon and with status 0."""
        self._process.terminate()
        self._process.finish(STOP_SECONDS)


class BrokerLite(Broker):
    """Our own: it binds port 0 and prints the port that it got."""

    def __init__(self, program: Path) -> None:
        if not program.exists():
            raise InteropError(f"{program.name} is not built: cargo build --release -p mqtt-broker-lite")
        self._process = Process([str(program), "--listen", "127.0.0.1:0"])
        self.port = int(self._process.wait_for_line(r"^listening on 127\.0\.0\.1:(\d+)$", START_SECONDS)[1])


class Mosquitto(Broker):
    """Debian's. It cannot bind port 0, so it gets a port that was free a moment ago, and another if that was taken.

    Version 2.0.11 is not without faults with QoS 2, which the cases must not run into. When more messages come in at a
    time than `max_inflight_messages`, it loses some, so that number is not limited. And it sends the next message after
    a PUBREC already, not after the PUBCOMP, and so more at a time than a client's Receive Maximum [MQTT-3.3.4-9].
    """

    ATTEMPTS = 5
    overruns_receive_maximum = True

    def __init__(self) -> None:
        for attempt in range(self.ATTEMPTS):
            try:
                return self._start(_free_port())
            except InteropError:
                if attempt + 1 == self.ATTEMPTS:
                    raise

    def _start(self, port: int) -> None:
        with tempfile.TemporaryDirectory() as folder:
            configuration = Path(folder, "mosquitto.conf")
            configuration.write_text(
                f"listener {port} 127.0.0.1\n"
                "allow_anonymous true\n"
                "persistence false\n"
                "max_queued_messages 0\n"
                "max_inflight_messages 0\n"
                "set_tcp_nodelay true\n"
                "log_dest stderr\n"
                "log_type error\nlog_type warning\nlog_type information\n"
                "user root\n"
            )
            self._process = Process(["mosquitto", "-c", str(configuration)])
            try:
                self._process.wait_for_line(r"mosquitto version .* running", START_SECONDS)
            except InteropError:
                self._process.kill()
                raise
        self.port = port


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
