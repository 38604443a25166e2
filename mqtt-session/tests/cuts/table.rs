//! The scenarios.

use mqtt_session::proto::{
    ProtocolVersion::{self, V5, V311},
    QoS,
};

use super::scenario::{Answers, Ending, Forget, Row};

const BOTH: &[ProtocolVersion] = &[V311, V5];
const ONLY_V5: &[ProtocolVersion] = &[V5];

const fn row(
    name: &'static str,
    versions: &'static [ProtocolVersion],
    script: &'static str,
) -> Row {
    Row { name, versions, script, settings: |_| {} }
}

pub(crate) const ROWS: &[Row] = &[
    row("one QoS 1 message up", BOTH, "up 1 a"),
    row("one QoS 1 message down", BOTH, "down 1 a"),
    row("one QoS 2 message up", BOTH, "up 2 a"),
    row("one QoS 2 message down", BOTH, "down 2 a"),
    row("three QoS 1 messages up", BOTH, "up 1 a; up 1 b; up 1 c"),
    row("three QoS 1 messages down", BOTH, "down 1 a; down 1 b; down 1 c"),
    row("three QoS 2 messages up", BOTH, "up 2 a; up 2 b; up 2 c"),
    row("three QoS 2 messages down", BOTH, "down 2 a; down 2 b; down 2 c"),
    row("mixed QoS on one topic, up", BOTH, "up 2 a; up 1 b; up 2 c; up 1 d"),
    row("mixed QoS on one topic, down", BOTH, "down 1 a; down 2 b; down 1 c; down 2 d"),
    row("both directions at once", BOTH, "up 2 a; down 2 b; up 1 c; down 1 d"),
    row("both directions, seven bytes at a time", BOTH, "up 2 a; down 2 b; up 1 c; down 2 d")
        .with(|s| s.chunk = 7),
    row("one after the other", BOTH, "up 2 a; rest; up 1 b; rest; down 2 c; rest; up 2 d"),
    row("Receive Maximum 1", BOTH, "up 2 a; up 1 b; up 2 c; down 2 d; down 1 e; down 2 f")
        .with(|s| s.windows = [1, 1]),
    row("more than two windows, up", BOTH, "up 2 a; up 2 b; up 1 c; up 2 d; up 2 e")
        .with(|s| s.windows = [2, 2]),
    row("more than two windows, down", BOTH, "down 2 a; down 2 b; down 1 c; down 2 d")
        .with(|s| s.windows = [2, 2]),
    row("Receive Maximum shrinks", ONLY_V5, "up 2 a; up 2 b; up 1 c; down 2 d; down 1 e").with(
        |s| {
            s.windows = [3, 3];
            s.later_windows = [1, 1];
            s.away = "up 2 f; down 2 g";
        },
    ),
    row("published without a connection", BOTH, "up 2 a; down 2 b").with(|s| {
        s.away = "up 2 c; up 1 d; down 2 e; down 1 f";
    }),
    row(
        "refused, and its identifier comes again",
        ONLY_V5,
        "up 2 a on refused; up 2 b; up 1 c on refused; up 2 d",
    )
    .with(|s| s.max_pending = 1),
    row("refused between others", ONLY_V5, "up 2 a; up 2 b on refused; up 2 c; down 2 d"),
    row("subscribe, and get back what was published", BOTH, "subscribe t; rest; up 2 a; up 1 b"),
    row("unsubscribe", BOTH, "subscribe t; rest; up 1 a; rest; unsubscribe t; rest; up 2 b"),
    row(
        "subscribe and publish at once",
        BOTH,
        "down 2 a; subscribe other; up 2 b; unsubscribe other; up 1 c",
    ),
    row(
        "messages that expire",
        ONLY_V5,
        "up 1 a for 100; up 2 b for 10; down 2 c for 100; down 1 d for 10",
    )
    .with(|s| {
        s.windows = [1, 1];
        s.pause = 30;
    }),
    row(
        "topic aliases",
        ONLY_V5,
        "down 2 a on room/1; up 2 b on room/1; down 1 c on room/1; up 1 d on room/1; \
         down 2 e on room/2; down 1 f on room/1",
    )
    .with(|s| s.aliases = 2),
    row(
        "one topic alias",
        ONLY_V5,
        "down 2 a on room/1; down 2 b on room/2; down 1 c on room/2; down 1 d on room/2",
    )
    .with(|s| s.aliases = 1),
    row("a session that does not last", BOTH, "up 2 a; up 1 b; down 2 c; down 1 d").with(|s| {
        s.clean_start = true;
        s.lasts = false;
        s.windows = [2, 2];
        s.away = "up 2 e";
    }),
    row("a session that begins clean and lasts", ONLY_V5, "up 2 a; down 2 b; up 1 c").with(|s| {
        s.clean_start = true;
        s.away = "up 2 d";
    }),
    row("the server loses every session", BOTH, "up 2 a; up 1 b; down 2 c; down 1 d").with(|s| {
        s.forget = Forget::Always;
        s.away = "up 2 e";
    }),
    row("the server loses one session", BOTH, "up 2 a; up 1 b; down 2 c; down 1 d").with(|s| {
        s.forget = Forget::Once;
        s.away = "up 2 e";
    }),
    row("taken over", BOTH, "up 2 a; up 1 b; down 2 c; down 1 d").with(|s| {
        s.ending = Ending::TakenOver;
        s.away = "down 2 e; up 2 f";
    }),
    row("taken over, with a late rest", BOTH, "up 2 a; up 1 b; down 2 c; down 1 d").with(|s| {
        s.ending = Ending::TakenOverLate;
        s.windows = [2, 2];
        s.away = "down 2 e; up 2 f";
    }),
    row("an end that nobody sees", BOTH, "up 2 a; up 1 b; down 2 c").with(|s| {
        s.ending = Ending::Silent;
        s.keep_alive = 10;
        s.away = "up 2 d";
    }),
    row("a ping in between", BOTH, "up 2 a; rest; wait 10; down 2 b; rest; wait 10; up 1 c")
        .with(|s| s.keep_alive = 10),
    row(
        "DISCONNECT, and back",
        BOTH,
        "up 2 a; rest; down 2 b; disconnect; up 1 c; rest; disconnect; down 2 d",
    ),
    row("a large message", BOTH, "up 2 a of 300; down 2 b of 300").with(|s| s.chunk = 100),
    row("QoS 0 beside", BOTH, "rest; up 0 a; up 2 b; down 0 c; down 2 d; up 0 e; down 0 f"),
    row("Maximum Packet Size", ONLY_V5, "up 2 a; up 2 b of 40; down 2 c of 40").with(|s| {
        s.max_packet_size = 60;
        s.away = "up 2 d of 100; up 1 e; down 2 f of 100; down 1 g";
    }),
    row("Maximum Packet Size shrinks", ONLY_V5, "up 2 a of 60; up 2 b; up 1 c").with(|s| {
        s.later_max_packet_size = 40;
        s.max_pending = 1;
    }),
    row("two identifiers", BOTH, "up 2 a; up 1 b; up 2 c; up 2 d; down 2 e; down 1 f; down 2 g")
        .with(|s| s.max_pending = 2),
    row("answered late", BOTH, "up 2 a; up 1 b; down 2 c; down 1 d; up 2 e").with(|s| {
        s.answers = Answers::Late;
        s.windows = [2, 2];
    }),
    row(
        "answered late and backwards",
        BOTH,
        "up 2 a on a; up 1 b on b; down 2 c on c; up 2 d on d; down 2 e on e",
    )
    .with(|s| s.answers = Answers::Backwards),
    row(
        "late refusals, both ways",
        ONLY_V5,
        "up 2 a on refused; up 1 b on refused; up 2 c; down 2 d on refused; down 2 e",
    )
    .with(|s| {
        s.answers = Answers::Late;
        s.max_pending = 2;
    }),
    row(
        "got back what was published, answered backwards",
        BOTH,
        "subscribe a; subscribe b; subscribe c; rest; up 2 a on a; up 2 b on b; up 1 c on c",
    )
    .with(|s| s.answers = Answers::Backwards),
    row("got back what was published, answered late", BOTH, "subscribe t; rest; up 2 a; up 2 b")
        .with(|s| s.answers = Answers::Late),
    row("Maximum QoS shrinks", ONLY_V5, "up 2 a; up 1 b; up 2 c").with(|s| {
        s.later_maximum_qos = QoS::AtLeastOnce;
        s.max_pending = 2;
    }),
    row("both ends crash", BOTH, "up 2 a; up 1 b; down 2 c; down 1 d").with(|s| {
        s.crash = true;
        s.away = "up 2 e; down 2 f";
    }),
    row("room for one message", BOTH, "up 2 a; up 2 b; up 1 c; down 2 d; down 2 e")
        .with(|s| s.max_transmit = 1),
];
