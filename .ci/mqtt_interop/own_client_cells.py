"""Cells C: our clients against the mosquitto broker.

Each client crate has an example program with this command line:

    interop_X URL --version 311|5 --qos N --count N --topic T [--client-id-prefix P] [--reconnect]

It connects a subscriber with a persistent session and a publisher, subscribes to T with QoS N, publishes as many
messages as `--count` says, whose payloads are the decimal numbers from 0 (with MQTT 5 also a user property `n` of the
same value and the content type `text/plain`), receives until all have come or 20 seconds have passed, and prints a line
for every message received,

    <payload> <qos> <retain 0|1> <dup 0|1> <value of the user property n, or ->

and then `done`. With `--reconnect` both clients connect again with the same session whenever their connection breaks.
"""

import itertools
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from .broker import Broker
from .case import MESSAGES, QOS_LEVELS, VERSIONS, Case, Delivery, InteropError, Outcome, Side, judge
from .process import Process
from .proxy import Proxy, cut_points

CLIENTS = ("tokio", "blocking")
SECONDS = 60

_numbers = itertools.count()


def cases(reference: Broker, programs: Path) -> Iterator[Case]:
    """All cells of our own clients; `programs` is the folder of the built examples."""
    for client in CLIENTS:
        program = programs / f"interop_{client}"
        for version in VERSIONS:
            for side in Side:
                for qos in QOS_LEVELS:
                    run = partial(stream, reference, program, version, qos, side)
                    yield Case(f"{client} {version} QoS {qos} {side.value}", run)


def stream(reference: Broker, program: Path, version: str, qos: int, cut: Side) -> Outcome:
    """Runs the client program through the proxy and judges what it says it received."""
    if not program.exists():
        raise InteropError(f"{program.name} is not built: cargo build --release --example {program.name}")
    number = next(_numbers)
    with Proxy(reference.port, cut_points(cut, version, qos)) as proxy:
        command = [str(program), f"mqtt://127.0.0.1:{proxy.port}", "--version", version, "--qos", str(qos)]
        command += ["--count", str(MESSAGES), "--topic", f"interop/own/{number}", "--client-id-prefix", f"own{number}"]
        with Process(command + ([] if cut is Side.NEITHER else ["--reconnect"])) as process:
            *lines, last = process.finish(SECONDS) or [""]
        if last != "done":
            raise InteropError(f"the last line of {program.name} is '{last}', not 'done'")
        outcome = judge([_delivery(line) for line in lines], qos=qos, version=version, cut=cut)
        outcome.faults += proxy.faults
        return outcome


def _delivery(line: str) -> Delivery:
    try:
        seq, qos, retain, dup, user_property = line.split(" ")
        return Delivery(int(seq), int(qos), retain == "1", dup == "1", user_property)
    except ValueError:
        raise InteropError(f"expected '<seq> <qos> <retain> <dup> <user property>', read '{line}'") from None
