"""The first inputs of every target, made of the vectors in mqtt-proto/tests/data."""

from collections.abc import Iterator
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "mqtt-proto" / "tests" / "data"

CLIENT, SERVER = 0, 1
CONNECT, CONNACK, PUBLISH, SUBSCRIBE, AUTH = 1, 2, 3, 8, 15

# The packet types that only one side sends.
FROM_CLIENT = {1, 8, 10, 12}
FROM_SERVER = {2, 9, 11, 13}

# A line feed between the two.
FILTERS_AND_NAMES = {
    "all": "a/b/#\na/b/c",
    "empty": "\n",
    "empty-levels": "/+//\n/a//",
    "hash": "#\na/b",
    "hash-middle": "a/#/b\na/x/b",
    "hash-parent": "a/#\na",
    "nul": "a\0b\na\0b",
    "plain": "room/1\nroom/1",
    "plus": "+/+/c\na/b/c",
    "plus-partial": "a+/b\na/b",
    "share": "$share/group/a/+\na/b",
    "share-bad": "$share/gr+up/a\na",
    "share-empty-filter": "$share/group/\na",
    "share-hash": "$share/g/#\n$SYS/a",
    "share-none": "$share\n$share",
    "share-no-name": "$share//a\na",
    "sys": "+/a\n$SYS/a",
    "utf8": "k\u00fcche/+\nk\u00fcche/\u6e29\u5ea6",
    "wildcard-name": "a\na/+/#",
}

# What does not fit an input of fuzz/run makes no seed.
MAX_LEN = 2048

Vector = tuple[str, int, bytes]


def seeds(target: str) -> dict[str, bytes]:
    """Inputs by name, the same each time."""
    return {name: data for name, data in TARGETS[target]() if len(data) <= MAX_LEN}


def vectors(name: str) -> list[Vector]:
    """Identifier, version and bytes of each row of a table."""
    rows = (DATA / f"{name}.tsv").read_text().splitlines()[1:]
    cells = (row.split("\t") for row in rows)
    return [(id, int(level), bytes.fromhex(hex)) for id, level, hex, *_ in cells]


def all_vectors() -> list[Vector]:
    return vectors("wellformed") + vectors("malformed") + vectors("contested")


def decode() -> Iterator[tuple[str, bytes]]:
    for id, _, packet in all_vectors():
        yield id, packet


def stream() -> Iterator[tuple[str, bytes]]:
    """Packets of one side in a row, cut into pieces of several sizes, some with a bad end."""
    sizes = {"1": [1], "7": [7], "uneven": [1, 2, 60, 0, 3]}
    for version in (4, 5):
        bad = [packet for _, level, packet in vectors("malformed") if level == version]
        for side, name in ((CLIENT, "client"), (SERVER, "server")):
            other = FROM_SERVER if side == CLIENT else FROM_CLIENT
            packets = [
                packet
                for _, level, packet in vectors("wellformed")
                if level == version and packet[0] >> 4 not in other and len(packet) < 300
            ]
            options = (version - 4) | side << 1
            for at in range(0, len(packets), 4):
                body = b"".join(packets[at : at + 4])
                for pieces, list in sizes.items():
                    head = bytes([options, len(list), *list])
                    yield f"v{version}-{name}-{at}-in-{pieces}", head + body
                head = bytes([options | 8 | 4 << 4, 1, 9])
                yield f"v{version}-{name}-{at}-limit", head + body
                yield f"v{version}-{name}-{at}-bad-end", head[:1] + b"\1\5" + body + bad[at % len(bad)]
        connect = next(p for id, _, p in vectors("wellformed") if id.startswith(f"v{version}-connect"))
        yield f"v{version}-connect-first", bytes([4, 1, 3]) + connect + b"\xc0\0\xe0\0"


def properties() -> Iterator[tuple[str, bytes]]:
    """The property lists of the packets, and whose they are."""
    for id, version, packet in all_vectors():
        if version != 5:
            continue
        for owner, list in property_lists(packet):
            yield f"{id}-will" if owner == 0 else id, bytes([owner]) + list


def property_lists(packet: bytes) -> Iterator[tuple[int, bytes]]:
    """Each owner and list, as far as a packet that may be malformed has them."""
    owner = packet[0] >> 4
    _, body = split_varint(packet[1:])
    before = {CONNECT: 10, CONNACK: 2, PUBLISH: 0, 14: 1, AUTH: 1}.get(owner, 2 if owner >= SUBSCRIBE else 3)
    if owner == PUBLISH:
        before = 2 + int.from_bytes(body[:2]) + (2 if packet[0] & 6 else 0)
    if owner == 0 or len(body) <= before:
        return
    length, rest = split_varint(body[before:])
    yield owner, rest[:length]
    if owner == CONNECT and body[7] & 4:
        rest = rest[length:]
        length, rest = split_varint(rest[2 + int.from_bytes(rest[:2]) :])
        yield 0, rest[:length]


def split_varint(data: bytes) -> tuple[int, bytes]:
    value = 0
    for at, byte in enumerate(data[:4]):
        value |= (byte & 127) << 7 * at
        if byte < 128:
            return value, data[at + 1 :]
    return 0, b""


def topics() -> Iterator[tuple[str, bytes]]:
    for id, text in FILTERS_AND_NAMES.items():
        yield id, text.encode()


def roundtrip() -> Iterator[tuple[str, bytes]]:
    """Every packet type from each side of each version, made of the bytes of a vector."""
    packets = [packet for _, _, packet in vectors("wellformed") if len(packet) < 300]
    for options in range(8):
        for type in range(15):
            entropy = packets[(options * 15 + type) * 7 % len(packets)]
            yield f"options-{options}-type-{type + 1}", bytes([options, type]) + entropy


TARGETS = {
    "decode": decode,
    "properties": properties,
    "roundtrip": roundtrip,
    "stream": stream,
    "topics": topics,
}
