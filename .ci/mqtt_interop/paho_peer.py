"""A paho-mqtt client with a persistent session that connects again by itself, and waits with a time limit."""

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from .case import V5, Delivery, InteropError

SECONDS = 30
WINDOW = 16
"""How many messages of a peer are under way at the same time; less than the Receive Maximum of any broker here."""
RECONNECT_SECONDS = 0.05
SESSION_EXPIRY_SECONDS = 3600
MESSAGE_EXPIRY_SECONDS = 600
CONTENT_TYPE = "text/plain"
RESPONSE_TOPIC = "interop/answers"


class PahoPeer:
    """Leaving the `with` disconnects."""

    def __init__(self, port: int, client_id: str, version: str) -> None:
        self._port = port
        self._v5 = version == V5
        # Guards what the callbacks, which paho runs in a thread of its own, note below.
        self._news = threading.Condition()
        self._connected = False
        self._refused: str | None = None
        self._granted: dict[int, int] = {}
        self._messages: list[paho.MQTTMessage] = []
        self._handed_over = 0
        self._sent = 0
        self._client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            clean_session=None if self._v5 else False,
            protocol=paho.MQTTv5 if self._v5 else paho.MQTTv311,
        )
        # Both may be fractions; only the annotations of paho say otherwise.
        self._client.reconnect_delay_set(RECONNECT_SECONDS, RECONNECT_SECONDS)  # type: ignore[arg-type]
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_subscribe = self._on_subscribe
        self._client.on_publish = self._on_publish
        self._client.on_message = self._on_message

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    # What paho calls.

    def _on_connect(self, _client: paho.Client, _data: Any, _flags: Any, reason: ReasonCode, _properties: Any) -> None:
        with self._news:
            self._connected = not reason.is_failure
            self._refused = str(reason) if reason.is_failure else None
            self._news.notify_all()

    def _on_disconnect(self, *_: Any) -> None:
        with self._news:
            self._connected = False
            self._news.notify_all()

    def _on_subscribe(self, _client: paho.Client, _data: Any, mid: int, reasons: list[ReasonCode], _p: Any) -> None:
        with self._news:
            self._granted[mid] = reasons[0].value
            self._news.notify_all()

    def _on_publish(self, *_: Any) -> None:
        with self._news:
            self._sent += 1
            self._news.notify_all()

    def _on_message(self, _client: paho.Client, _data: Any, message: paho.MQTTMessage) -> None:
        with self._news:
            self._messages.append(message)
            self._news.notify_all()

    # What a case calls.

    def connect(self) -> None:
        """Connects, resuming the session if there is one."""
        if self._v5:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = SESSION_EXPIRY_SECONDS
            self._client.connect("127.0.0.1", self._port, clean_start=False, properties=properties)
        else:
            self._client.connect("127.0.0.1", self._port)
        self._client.loop_start()
        self._wait("CONNACK", lambda: self._connected or self._refused is not None)
        if self._refused is not None:
            raise InteropError(f"the broker refused the connection: {self._refused}")

    def subscribe(self, topic: str, qos: int, retain_as_published: bool = False) -> None:
        """Subscribes, and waits for the QoS to be granted."""
        if self._v5:
            _, mid = self._client.subscribe(topic, options=SubscribeOptions(qos, retainAsPublished=retain_as_published))
        else:
            _, mid = self._client.subscribe(topic, qos)
        assert mid is not None
        self._wait("SUBACK", lambda: mid in self._granted)
        if self._granted[mid] != qos:
            raise InteropError(f"asked for QoS {qos}, the SUBACK granted {self._granted[mid]}")

    def publish(
        self, topic: str, qos: int, payload: bytes = b"", retain: bool = False, properties: Properties | None = None
    ) -> None:
        """Publishes when there is a connection and room for one more unacknowledged message.

        Both are waited for here because paho, given more, sends a message that it gets between a new connection and its
        CONNACK ahead of those that it has to send again, and after the CONNACK sends all it has, whatever the broker's
        Receive Maximum is.
        """
        self._wait("room to publish", lambda: self._connected and self._handed_over - self._sent < WINDOW)
        self._handed_over += 1
        self._client.publish(topic, payload, qos, retain, properties)

    def publish_numbered(self, topic: str, seq: int, qos: int) -> None:
        """Publishes a sequence number, with MQTT 5.0 also in properties."""
        self.publish(topic, qos, str(seq).encode(), properties=_numbered(seq) if self._v5 else None)

    def wait_until_sent(self) -> None:
        """Waits until all messages are through their handshakes."""
        self._wait("acknowledgements", lambda: self._sent == self._handed_over)

    def wait_until_sent_or_lost(self) -> None:
        """Waits until the newest message with QoS 0 has been written, or went down with its connection."""
        self._wait("writing", lambda: self._sent == self._handed_over or not self._connected)
        self._handed_over = self._sent

    def wait_for_messages(self, topic: str, end_topic: str, count: int) -> bool:
        """Whether `count` different payloads on `topic` and a message on `end_topic` come in time."""

        def complete() -> bool:
            # From the end, since this is asked after each message.
            ended = any(message.topic == end_topic for message in reversed(self._messages[-50:]))
            return ended and len({m.payload for m in self._messages if m.topic == topic}) >= count

        with self._news:
            return self._news.wait_for(complete, SECONDS)

    def wait_for_count(self, count: int) -> None:
        """Waits for `count` messages on any topic."""
        self._wait(f"{count} messages", lambda: len(self._messages) >= count)

    def deliveries(self, topic: str) -> list[Delivery]:
        """The numbered messages on `topic`, in the order of their arrival."""
        with self._news:
            return [
                Delivery(int(m.payload), m.qos, m.retain, m.dup, self._user_property(m))
                for m in self._messages
                if m.topic == topic
            ]

    def seen(self) -> list[tuple[str, bytes, int, bool]]:
        """Topic, payload, QoS and RETAIN of all messages."""
        with self._news:
            return [(m.topic, bytes(m.payload), m.qos, m.retain) for m in self._messages]

    def forget(self) -> None:
        """Forgets the messages that have come so far."""
        with self._news:
            self._messages.clear()

    def _wait(self, what: str, condition: Callable[[], bool]) -> None:
        with self._news:
            if not self._news.wait_for(condition, SECONDS):
                raise InteropError(f"waited {SECONDS} s for {what}")

    def _user_property(self, message: paho.MQTTMessage) -> str:
        """The user property `n` if all properties are what `_numbered` made of the payload, `-` if there are none."""
        got = message.properties.json() if message.properties is not None else {}
        if not got:
            return "-"
        wanted = _numbered(int(message.payload)).json()
        # Of the expiry interval, the time that the message has waited is taken off [MQTT-3.3.2-6].
        left = got.pop("MessageExpiryInterval", 0)
        limit = wanted.pop("MessageExpiryInterval")
        if got == wanted and 0 < left <= limit:
            return str(got["UserProperty"][0][1])
        return f"{got}, {left} s left"


def _numbered(seq: int) -> Properties:
    properties = Properties(PacketTypes.PUBLISH)
    properties.UserProperty = ("n", str(seq))
    properties.ContentType = CONTENT_TYPE
    properties.ResponseTopic = RESPONSE_TOPIC
    properties.CorrelationData = seq.to_bytes(2)
    properties.PayloadFormatIndicator = 1
    properties.MessageExpiryInterval = MESSAGE_EXPIRY_SECONDS
    return properties
