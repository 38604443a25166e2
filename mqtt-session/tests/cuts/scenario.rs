//! A scenario: what both applications do and how the two ends are set up, as data.

use std::time::Duration;

use mqtt_session::{
    ClientOptions, ServerConfig,
    proto::{PacketId, Properties, Property, ProtocolVersion, Publication, QoS, TopicName},
};

use bytes::Bytes;

/// One row of the table of scenarios.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) versions: &'static [ProtocolVersion],
    /// Steps, divided by semicolons:
    ///
    /// * `up QOS TEXT` and `down QOS TEXT` publish a message, the client or the server; behind it
    ///   may stand `on TOPIC`, `of SIZE` bytes, and `for SECONDS`, its Message Expiry Interval;
    /// * `subscribe TOPIC` and `unsubscribe TOPIC`: the server sends back what it gets there;
    /// * `rest`: bytes move until none does;
    /// * `wait SECONDS`: time passes, and both ends look at their deadlines;
    /// * `disconnect`: the client says DISCONNECT.
    pub(crate) script: &'static str,
    pub(crate) settings: fn(&mut Settings),
}

/// How the two ends are set up, and what happens between two connections.
pub(crate) struct Settings {
    /// How many messages the client and the server may have in flight: Receive Maximum in 5.0, a
    /// limit of the sender's own in 3.1.1.
    pub(crate) windows: [u16; 2],
    /// The same from the second connection on; it is the server that changes its mind.
    pub(crate) later_windows: [u16; 2],
    /// Messages waiting or in flight, on either side.
    pub(crate) max_pending: u16,
    /// Maximum Packet Size, of either side.
    pub(crate) max_packet_size: u32,
    /// That of the server from the second connection on.
    pub(crate) later_max_packet_size: u32,
    /// Maximum QoS of the server from the second connection on.
    pub(crate) later_maximum_qos: QoS,
    pub(crate) max_transmit: usize,
    /// How many bytes arrive at a time.
    pub(crate) chunk: usize,
    /// How many topic aliases each end uses for what it sends.
    pub(crate) aliases: u16,
    pub(crate) keep_alive: u16,
    pub(crate) clean_start: bool,
    /// Whether the session outlives its connection.
    pub(crate) lasts: bool,
    /// A script for the first time there is no connection.
    pub(crate) away: &'static str,
    /// How many seconds pass between two connections.
    pub(crate) pause: u64,
    pub(crate) forget: Forget,
    pub(crate) ending: Ending,
    pub(crate) answers: Answers,
    /// Whether both ends lose everything but their journals between two connections.
    pub(crate) crash: bool,
}

/// Whether the server loses its session between two connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forget {
    Never,
    Once,
    Always,
}

/// When the applications say that they have a message. What they have not said that of when the
/// connection ends they do not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    /// When it comes.
    AtOnce,
    /// One after the other, each when there is nothing else to do.
    Late,
    /// The same, but the last one first.
    Backwards,
}

/// How the two ends learn that their connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Both at once.
    Noticed,
    /// Neither, before its deadline comes.
    Silent,
    /// The server by the CONNECT on the next connection; what was under way to it is lost.
    TakenOver,
    /// The same, but what was under way to it arrives, just before that CONNECT does.
    TakenOverLate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Publish the message of this index.
    Up(usize),
    Down(usize),
    Subscribe(&'static str),
    Unsubscribe(&'static str),
    Rest,
    Wait(Duration),
    Disconnect,
}

pub(crate) struct Message {
    pub(crate) text: &'static str,
    pub(crate) topic: &'static str,
    pub(crate) qos: QoS,
    pub(crate) expiry: Option<u32>,
    /// Whether it is larger than some Maximum Packet Size of the scenario.
    pub(crate) is_large: bool,
    pub(crate) publication: Publication<Bytes>,
}

/// A row in one version, ready to be played.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) version: ProtocolVersion,
    pub(crate) settings: Settings,
    pub(crate) messages: Vec<Message>,
    pub(crate) script: Vec<Step>,
    pub(crate) away: Vec<Step>,
    pub(crate) options: ClientOptions,
    pub(crate) config: ServerConfig,
    pub(crate) later_config: ServerConfig,
}

/// What the server refuses with Not authorized.
pub(crate) const REFUSED: &str = "refused";

/// The message that asks, at the end of a run, how much may be in flight; the last of the list.
const PROBE: &str = "probe";

impl Settings {
    fn new() -> Self {
        Self {
            windows: [4; 2],
            later_windows: [u16::MAX; 2],
            max_pending: 100,
            max_packet_size: 1000,
            later_max_packet_size: u32::MAX,
            later_maximum_qos: QoS::ExactlyOnce,
            max_transmit: 10_000,
            chunk: usize::MAX,
            aliases: 0,
            keep_alive: 0,
            clean_start: false,
            lasts: true,
            away: "",
            pause: 0,
            forget: Forget::Never,
            ending: Ending::Noticed,
            answers: Answers::AtOnce,
            crash: false,
        }
    }

    fn options(&self, version: ProtocolVersion) -> ClientOptions {
        let options = ClientOptions::new("c")
            .version(version)
            .clean_start(self.clean_start)
            .keep_alive(self.keep_alive)
            .max_in_flight(self.windows[0])
            .receive_maximum(self.windows[1])
            .max_pending(self.max_pending)
            .max_packet_size(self.max_packet_size)
            .max_transmit(self.max_transmit)
            .outbound_topic_aliases(self.aliases)
            .manual_acknowledgement(self.answers != Answers::AtOnce)
            .journaled(self.crash);
        match version {
            ProtocolVersion::V5 if self.lasts => options.session_expiry(u32::MAX),
            _ => options,
        }
    }

    fn config(&self, windows: [u16; 2], max_packet_size: u32) -> ServerConfig {
        ServerConfig {
            receive_maximum: windows[0],
            max_in_flight: windows[1],
            max_queued: self.max_pending,
            max_packet_size,
            max_transmit: self.max_transmit,
            outbound_topic_aliases: self.aliases,
            ..ServerConfig::default()
        }
    }
}

impl Row {
    pub(crate) const fn with(self, settings: fn(&mut Settings)) -> Self {
        Self { settings, ..self }
    }

    pub(crate) fn scenarios(&self) -> impl Iterator<Item = Scenario> {
        self.versions.iter().map(|&version| Scenario::new(self, version))
    }
}

impl Scenario {
    fn new(row: &Row, version: ProtocolVersion) -> Self {
        let mut settings = Settings::new();
        (row.settings)(&mut settings);
        let mut messages = Vec::new();
        let script = parse(row.script, &mut messages);
        let away = parse(settings.away, &mut messages);
        messages.push(Message::new(QoS::AtLeastOnce, PROBE));
        let least = |index: usize| settings.windows[index].min(settings.later_windows[index]);
        let later_size = settings.max_packet_size.min(settings.later_max_packet_size);
        for message in &mut messages {
            let publish = message.publication.as_ref().into_publish(PacketId::MIN);
            message.is_large = publish.encoded_len(version).is_ok_and(|len| len > later_size);
        }
        let later_config = settings.config([least(0), least(1)], later_size);
        Self {
            name: row.name,
            version,
            messages,
            script,
            away,
            options: settings.options(version),
            config: settings.config(settings.windows, settings.max_packet_size),
            later_config: ServerConfig { maximum_qos: settings.later_maximum_qos, ..later_config },
            settings,
        }
    }

    pub(crate) fn config(&self, connection: u32) -> ServerConfig {
        if connection == 0 { self.config } else { self.later_config }
    }

    /// What the client and the server may have in flight on this connection.
    pub(crate) fn windows(&self, connection: u32) -> [u16; 2] {
        let config = self.config(connection);
        let [client, server] = self.settings.windows;
        match self.version {
            ProtocolVersion::V311 => [client, config.max_in_flight],
            ProtocolVersion::V5 => {
                [client.min(config.receive_maximum), server.min(config.max_in_flight)]
            }
        }
    }

    /// The message with this payload.
    pub(crate) fn find(&self, payload: &[u8]) -> usize {
        let same = |message: &Message| message.publication.message.payload == payload;
        self.messages.iter().position(same).expect("a payload that somebody published")
    }

    pub(crate) const fn probe(&self) -> usize {
        self.messages.len() - 1
    }
}

impl Message {
    fn new(qos: QoS, text: &'static str) -> Self {
        let topic = TopicName::try_from("t").expect("a topic name");
        let publication = Publication::new(topic, text).with_qos(qos);
        Self { text, topic: "t", qos, expiry: None, is_large: false, publication }
    }

    fn with(mut self, word: &str, value: &'static str) -> Self {
        let number = || value.parse().expect("a number");
        let message = &mut self.publication.message;
        match word {
            "on" => {
                self.topic = value;
                message.topic = TopicName::try_from(value).expect("a topic name");
            }
            "of" => {
                let mut payload = self.text.as_bytes().to_vec();
                payload.resize(number() as usize, b'.');
                message.payload = payload.into();
            }
            "for" => {
                self.expiry = Some(number());
                let expiry = [Property::MessageExpiryInterval(number())];
                message.properties = Properties::new(expiry).expect("legal");
            }
            _ => panic!("what is '{word}'?"),
        }
        self
    }
}

fn parse(script: &'static str, messages: &mut Vec<Message>) -> Vec<Step> {
    let steps = script.split(';').map(str::trim).filter(|step| !step.is_empty());
    steps.map(|step| parse_step(step, messages)).collect()
}

fn parse_step(step: &'static str, messages: &mut Vec<Message>) -> Step {
    let words: Vec<_> = step.split_whitespace().collect();
    match words[..] {
        ["rest"] => Step::Rest,
        ["disconnect"] => Step::Disconnect,
        ["subscribe", topic] => Step::Subscribe(topic),
        ["unsubscribe", topic] => Step::Unsubscribe(topic),
        ["wait", seconds] => Step::Wait(Duration::from_secs(seconds.parse().expect("a number"))),
        [way @ ("up" | "down"), qos, text, ref rest @ ..] => {
            let qos = qos.parse().ok().and_then(QoS::from_bits).expect("a QoS");
            let known = messages.iter().any(|message| message.text == text);
            assert!(!known && text != PROBE, "'{text}' is not one message");
            let message = rest.chunks(2).fold(Message::new(qos, text), |message, words| {
                message.with(words[0], words.get(1).expect("a value"))
            });
            messages.push(message);
            let index = messages.len() - 1;
            if way == "up" { Step::Up(index) } else { Step::Down(index) }
        }
        _ => panic!("what is '{step}'?"),
    }
}
