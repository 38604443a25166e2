"""Cells B: paho-mqtt against the broker under test, over connections that hold and connections that are cut."""

import itertools
from collections.abc import Iterator
from functools import partial

from .broker import Broker
from .case import MESSAGES, QOS_LEVELS, V5, VERSIONS, Case, Outcome, Side, judge
from .paho_peer import PahoPeer
from .proxy import Proxy, cut_points

_numbers = itertools.count()


def cases(broker: Broker) -> Iterator[Case]:
    """All cells of paho-mqtt."""
    for version in VERSIONS:
        for side in Side:
            for qos in QOS_LEVELS:
                yield Case(f"paho {version} QoS {qos} {side.value}", partial(stream, broker, version, qos, side))
        yield Case(f"paho {version} retained", partial(retained, broker, version))


def stream(broker: Broker, version: str, qos: int, cut: Side) -> Outcome:
    """A publisher and a subscriber, both with persistent sessions, one of them behind the proxy that cuts."""
    number = next(_numbers)
    topic, end_topic, end_qos = f"interop/paho/{number}", f"interop/paho/{number}/end", max(qos, 1)
    with Proxy(broker.port, cut_points(cut, version, qos)) as proxy:

        def port(side: Side) -> int:
            return proxy.port if cut is side else broker.port

        with (
            PahoPeer(port(Side.SUBSCRIBER), f"pahosub{number}", version) as subscriber,
            PahoPeer(port(Side.PUBLISHER), f"pahopub{number}", version) as publisher,
        ):
            subscriber.connect()
            subscriber.subscribe(topic, qos)
            subscriber.subscribe(end_topic, end_qos)
            publisher.connect()
            for seq in range(MESSAGES):
                publisher.publish_numbered(topic, seq, qos)
                if qos == 0 and cut is Side.PUBLISHER:
                    publisher.wait_until_sent_or_lost()
            publisher.wait_until_sent()
            # Comes after all others, so it shows that the subscriber has seen what there is to see.
            publisher.publish(end_topic, end_qos)
            every = qos > 0 or cut is Side.NEITHER
            complete = subscriber.wait_for_messages(topic, end_topic, MESSAGES if every else 0)
            outcome = judge(subscriber.deliveries(topic), qos=qos, version=version, cut=cut)
    outcome.faults += proxy.faults
    if not complete:
        outcome.faults.append("the wait for the last message ended without it")
    return outcome


def retained(broker: Broker, version: str) -> Outcome:
    """Retained messages of every QoS reach a later subscriber with RETAIN, one for each topic: the newest. An empty one
    clears its topic; who is there sees RETAIN only where MQTT 5.0's Retain As Published asks for it."""
    number = next(_numbers)
    prefix = f"interop/paho/{number}"
    topics = [f"{prefix}/{i}" for i in range(9)]
    as_published = version == V5
    outcome = Outcome(str(len(topics) * 3), 0)

    def expect(what: str, peer: PahoPeer, expected: list[tuple[str, bytes, int, bool]]) -> None:
        peer.wait_for_count(len(expected))
        received = peer.seen()
        outcome.received += len(received)
        if sorted(received) != sorted(expected):
            outcome.faults.append(f"{what}: expected {expected}, received {received}")

    with (
        PahoPeer(broker.port, f"pahopub{number}", version) as publisher,
        PahoPeer(broker.port, f"pahosub{number}", version) as late,
        PahoPeer(broker.port, f"pahoafter{number}", version) as after,
    ):
        publisher.connect()
        for text in (b"old", b"new"):
            for i, topic in enumerate(topics):
                publisher.publish(topic, i % 3, text, retain=True)
        publisher.wait_until_sent()

        late.connect()
        late.subscribe(f"{prefix}/#", 2, retain_as_published=as_published)
        expect("a late subscriber", late, [(topic, b"new", i % 3, True) for i, topic in enumerate(topics)])
        late.forget()

        for topic in topics:
            publisher.publish(topic, 1, b"", retain=True)
        expect("a subscriber when they are cleared", late, [(topic, b"", 1, as_published) for topic in topics])

        after.connect()
        after.subscribe(f"{prefix}/#", 2)
        for topic in topics:
            publisher.publish(topic, 1, b"live")
        expect("a subscriber after that", after, [(topic, b"live", 1, False) for topic in topics])
    return outcome
