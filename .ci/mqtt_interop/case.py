"""What a case is, and the one place that judges whether a quality of service was kept."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise

V311 = "311"
V5 = "5"
VERSIONS = (V311, V5)
QOS_LEVELS = (0, 1, 2)
MESSAGES = 500


class InteropError(Exception):
    """A case could not be carried through: a program failed, or something did not happen in time."""


class Side(Enum):
    """Whose connection is cut in the middle of a case."""

    NEITHER = "straight"
    PUBLISHER = "cut publisher"
    SUBSCRIBER = "cut subscriber"


@dataclass(frozen=True)
class Delivery:
    """One message as a subscriber received it."""

    seq: int
    qos: int
    retain: bool = False
    dup: bool = False
    user_property: str = "-"
    """The value of the user property `n`, `-` if there was none."""


@dataclass
class Outcome:
    """What a case saw, and what was wrong with it."""

    expected: str
    received: int
    duplicates: int = 0
    faults: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """A named cell of the table. `run` returns what it saw, or raises."""

    name: str
    run: Callable[[], Outcome]


def judge(deliveries: Sequence[Delivery], *, qos: int, version: str, cut: Side = Side.NEITHER) -> Outcome:
    """Holds the deliveries of the messages 0, 1, ... MESSAGES - 1 against what QoS `qos` promises.

    QoS 0 may lose messages when a connection breaks, and only then; it never doubles one. QoS 1 loses none; it may
    double one when a connection breaks, and where the broker sends it again to the same subscriber it says so with DUP.
    (A publisher's DUP is not passed on [MQTT-3.3.1-3], so what the publisher sent twice arrives twice unmarked.)
    QoS 2 neither loses nor doubles. The order is that of publishing, by each message's first delivery.
    """
    straight = cut is Side.NEITHER
    copies = Counter(delivery.seq for delivery in deliveries)
    first_seen = list(copies)
    faults: list[str] = []

    def blame(what: str, who: Sequence[object]) -> None:
        if who:
            shown = ", ".join(map(str, who[:5])) + (", ..." if len(who) > 5 else "")
            faults.append(f"{len(who)} {what}: {shown}")

    doubled = [seq for seq, n in copies.items() if n > 1]
    if qos > 0 or straight:
        blame("lost", [seq for seq in range(MESSAGES) if seq not in copies])
    if qos != 1 or straight:
        blame("delivered more than once", doubled)
    elif cut is Side.SUBSCRIBER:
        blame("delivered again without DUP", _again_without_dup(deliveries))
    if qos == 0 or straight:
        blame("with DUP though it is not a second try", [d for d in deliveries if d.dup])
    if first_seen != sorted(first_seen):
        blame("out of order", [b for a, b in pairwise(first_seen) if b < a])
    blame("never published", [seq for seq in copies if not 0 <= seq < MESSAGES])
    blame(f"not with QoS {qos}", [d for d in deliveries if d.qos != qos])
    blame("with RETAIN though they are not retained messages", [d for d in deliveries if d.retain])
    blame(
        "with wrong properties",
        [d for d in deliveries if d.user_property != (str(d.seq) if version == V5 else "-")],
    )
    return Outcome(
        expected=("<= " if qos == 0 and not straight else "") + str(MESSAGES),
        received=len(deliveries),
        duplicates=len(deliveries) - len(copies),
        faults=faults,
    )


def _again_without_dup(deliveries: Sequence[Delivery]) -> list[int]:
    seen: set[int] = set()
    again: list[int] = []
    for delivery in deliveries:
        if delivery.seq in seen and not delivery.dup:
            again.append(delivery.seq)
        seen.add(delivery.seq)
    return again
