"""Cells A: the mosquitto command-line clients against the broker under test."""

import subprocess
from collections.abc import Iterator, Sequence
from functools import partial

from .broker import Broker
from .case import MESSAGES, QOS_LEVELS, V5, VERSIONS, Case, Delivery, InteropError, Outcome, judge
from .process import Process

SECONDS = 20
TIMED_OUT = 27
"""The exit status of mosquitto_sub when its `-W` seconds are over: then it is judged by what it has."""
LAST = "last"
"""A payload sent after all others, so that a copy too many is seen before the subscriber leaves."""


def cases(broker: Broker) -> Iterator[Case]:
    """All cells of the command-line clients."""
    for version in VERSIONS:
        clients = MosquittoClients(broker, version)
        for qos in QOS_LEVELS:
            yield Case(f"mosquitto {version} QoS {qos}", partial(stream, clients, qos))
        for qos in (1, 2):
            yield Case(f"mosquitto {version} QoS {qos} queued while away", partial(queued, clients, qos))
        yield Case(f"mosquitto {version} retained", partial(retained, clients))
        yield Case(f"mosquitto {version} will", partial(will, clients))
    yield Case("mosquitto 5 properties", partial(properties, MosquittoClients(broker, V5)))


class MosquittoClients:
    """`mosquitto_sub` and `mosquitto_pub` with one protocol version, for one broker."""

    def __init__(self, broker: Broker, version: str) -> None:
        self.version = version
        # Else mosquitto_sub announces 20 and ends the connection when it gets more.
        self._lenience = ["-D", "connect", "receive-maximum", "1000"] if broker.overruns_receive_maximum else []
        self._common = ["-V", {"311": "mqttv311", "5": "mqttv5"}[version], "-h", "127.0.0.1", "-p", str(broker.port)]

    def topic(self, name: str) -> str:
        """A topic of this version's own, since cases run side by side."""
        return f"interop/mosquitto/{self.version}/{name}"

    def receive(self, topic: str, qos: int, count: int, *options: str) -> Process:
        """A subscriber that ends after `count` messages."""
        # Debug output tells when the SUBACK has come; without stdbuf it would stay in a buffer.
        command = ["stdbuf", "-oL", "mosquitto_sub", *self._common, "-d", "-W", str(SECONDS)]
        command += self._lenience if self.version == V5 else []
        return Process([*command, "-t", topic, "-q", str(qos), "-C", str(count), *options], "mosquitto_sub")

    def subscribe(self, topic: str, qos: int, count: int, *options: str) -> Process:
        """The same, once the broker has granted `qos`."""
        process = self.receive(topic, qos, count, *options)
        granted = process.wait_for_line(r"^Subscribed \(mid: \d+\): (\d+)", SECONDS)[1]
        if granted != str(qos):
            process.kill()
            raise InteropError(f"asked for QoS {qos}, the SUBACK granted {granted}")
        return process

    def publish(self, topic: str, qos: int, *options: str, lines: Sequence[str] = ()) -> None:
        """Publishes one message made of the options, or one for each line; ends when the broker has them all."""
        command = ["mosquitto_pub", *self._common, "-t", topic, "-q", str(qos), *options, *(["-l"] if lines else [])]
        run(command, "".join(f"{line}\n" for line in lines))

    def register(self, topic: str, qos: int, client_id: str) -> None:
        """Leaves a session with a subscription behind, and nobody connected to it."""
        run(["mosquitto_sub", *self._common, "-c", "-i", client_id, "-t", topic, "-q", str(qos), "-E"])


def run(command: Sequence[str], standard_input: str = "") -> None:
    """Runs a program that must end by itself and well."""
    try:
        done = subprocess.run(
            command, input=standard_input, text=True, timeout=SECONDS, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except subprocess.TimeoutExpired:
        raise InteropError(f"{command[0]} did not end in {SECONDS} s") from None
    if done.returncode != 0:
        raise InteropError(f"{command[0]} ended with status {done.returncode}: {done.stdout.strip()[-200:]}")


FORMAT = ("-F", r"message\t%t\t%q\t%r\t%p")


def messages(subscriber: Process) -> list[tuple[str, ...]]:
    """Topic, QoS, RETAIN and payload of each message, once the subscriber has all it waited for, or no more time."""
    lines = subscriber.finish(2 * SECONDS, (0, TIMED_OUT))
    return [tuple(line.split("\t")[1:]) for line in lines if line.startswith("message\t")]


def numbers() -> list[str]:
    """The payloads of a stream: the sequence numbers, and a last one."""
    return [*map(str, range(MESSAGES)), LAST]


def judge_stream(received: Sequence[tuple[str, ...]], topic: str, qos: int) -> Outcome:
    """Judges what came of `numbers`. The command-line clients' property is not a sequence number: none is expected."""
    deliveries = [
        Delivery(int(payload), int(its_qos), its_retain == "1")
        for its_topic, its_qos, its_retain, payload in received
        if payload != LAST and its_topic == topic
    ]
    outcome = judge(deliveries, qos=qos, version="311")
    if len(received) != len(deliveries) + 1:
        outcome.faults.append(f"not exactly one message '{LAST}', or some of another topic")
    return outcome


def stream(clients: MosquittoClients, qos: int) -> Outcome:
    """A subscriber that is there, and a publisher that sends as fast as it can."""
    topic = clients.topic(f"stream/{qos}")
    with clients.subscribe(topic, qos, MESSAGES + 1, *FORMAT) as subscriber:
        clients.publish(topic, qos, lines=numbers())
        return judge_stream(messages(subscriber), topic, qos)


def queued(clients: MosquittoClients, qos: int) -> Outcome:
    """Messages published while the subscriber is away wait for it in its session."""
    topic, client_id = clients.topic(f"queued/{qos}"), f"away{clients.version}{qos}"
    clients.register(topic, qos, client_id)
    clients.publish(topic, qos, lines=numbers())
    with clients.receive(topic, qos, MESSAGES + 1, "-c", "-i", client_id, *FORMAT) as subscriber:
        return judge_stream(messages(subscriber), topic, qos)


def compare(received: Sequence[tuple[str, ...]], expected: Sequence[tuple[str, ...]]) -> Outcome:
    """An outcome for cases that know each message in advance."""
    outcome = Outcome(str(len(expected)), len(received))
    if list(received) != list(expected):
        outcome.faults.append(f"expected {list(expected)}, received {list(received)}")
    return outcome


def retained(clients: MosquittoClients) -> Outcome:
    """A retained message reaches who is subscribed without RETAIN, who comes later with it, and is cleared by an empty
    one."""
    topic = clients.topic("retained")
    with clients.subscribe(topic, 1, 1, *FORMAT) as early:
        clients.publish(topic, 1, "-r", "-m", "kept")
        received = messages(early)
    with clients.subscribe(topic, 1, 1, *FORMAT) as late:
        received += messages(late)
    clients.publish(topic, 1, "-r", "-n")
    with clients.subscribe(topic, 1, 1, *FORMAT) as after:
        clients.publish(topic, 1, "-m", "live")
        received += messages(after)
    return compare(received, [(topic, "1", "0", "kept"), (topic, "1", "1", "kept"), (topic, "1", "0", "live")])


def will(clients: MosquittoClients) -> Outcome:
    """A will is published when its client dies, with the will's QoS, and not when the client says goodbye."""
    topic, idle = clients.topic("will"), clients.topic("idle")

    def client_with_will(payload: str, qos: int) -> Process:
        options = ("--will-topic", topic, "--will-payload", payload, "--will-qos", str(qos))
        return clients.subscribe(idle, 0, 1, *options)

    with clients.subscribe(topic, 2, len(QOS_LEVELS) + 1, *FORMAT) as witness:
        for qos in QOS_LEVELS:
            with client_with_will(f"died {qos}", qos) as client:
                client.kill()
                witness.wait_for_line(f"died {qos}", SECONDS)
        with client_with_will("left", 2) as client:
            clients.publish(idle, 0, "-m", "go")
            client.finish(SECONDS)
        clients.publish(topic, 1, "-m", LAST)
        received = messages(witness)
    wills = [(topic, str(qos), "0", f"died {qos}") for qos in QOS_LEVELS]
    return compare(received, [*wills, (topic, "1", "0", LAST)])


def properties(clients: MosquittoClients) -> Outcome:
    """The properties of a PUBLISH reach the subscriber unaltered, but for the time that has gone [MQTT-3.3.2-6]."""
    topic, qos, expiry = clients.topic("properties"), 1, 60
    sent = {
        "user-property": ("color", "red"),
        "content-type": ("text/plain",),
        "response-topic": ("answers/here",),
        "correlation-data": ("c0rr",),
        "payload-format-indicator": ("1",),
        "message-expiry-interval": (str(expiry),),
    }
    options = [word for name, values in sent.items() for word in ("-D", "publish", name, *values)]
    # A key may come twice, and the order of user properties is kept [MQTT-3.3.2-18].
    options += ["-D", "publish", "user-property", "color", "blue"]
    expected = ["color:red color:blue", "text/plain", "answers/here", "c0rr", "1"]
    form = FORMAT[1] + r"\t%P\t%C\t%R\t%D\t%F\t%E"
    with clients.subscribe(topic, qos, MESSAGES + 1, "-F", form) as subscriber:
        clients.publish(topic, qos, *options, lines=numbers())
        received = messages(subscriber)
    outcome = judge_stream([message[:4] for message in received], topic, qos)
    for *got, left in (message[4:] for message in received):
        if got != expected or not left.isdigit() or not 0 < int(left) <= expiry:
            outcome.faults.append(f"expected {expected} and at most {expiry} s left, received {got} and '{left}'")
            break
    return outcome
