//! A [`Client`] and a [`Server`] joined by two byte pipes, in virtual time.
//!
//! The broker's part is a few lines: it accepts every CONNECT, grants every subscription, and
//! records every message. Each packet that reaches its receiver is written down in
//! [`trace`](Pair::trace), `>` from the client and `<` from the server.

// Each test file is a crate of its own and uses a part of this.
#![allow(dead_code, unreachable_pub)]

pub mod lone;

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use mqtt_session::{
    Accept, Client, ClientAction, ClientOptions, ClientState, CloseReason, Instant, JournalEntry,
    Outcome, Receipt, Server, ServerAction, ServerConfig, Session, Transmit,
    proto::{
        ConnAck, ConnectPacket, Decoder, Delivery, Message, Packet, PacketId, Properties, Property,
        ProtocolVersion, Publication, Publish, QoS, ReasonCode, Role, Status, SubscribeFilters,
        TopicFilter, TopicName,
    },
};

pub const VERSIONS: [ProtocolVersion; 2] = [ProtocolVersion::V311, ProtocolVersion::V5];
pub const Q0: QoS = QoS::AtMostOnce;
pub const Q1: QoS = QoS::AtLeastOnce;
pub const Q2: QoS = QoS::ExactlyOnce;

/// What is under way in one direction.
pub struct Pipe {
    arrow: char,
    bytes: BytesMut,
    /// How many bytes are under way at most.
    pub capacity: usize,
    /// How many bytes arrive at once at most.
    pub chunk: usize,
    /// Whether the receiver reads at all.
    pub open: bool,
    /// A second reader of what arrives, for the trace.
    spy: BytesMut,
    decoder: Decoder,
}

impl Pipe {
    fn new(arrow: char, sender: Role, version: ProtocolVersion) -> Self {
        Self {
            arrow,
            bytes: BytesMut::new(),
            capacity: usize::MAX,
            chunk: usize::MAX,
            open: true,
            spy: BytesMut::new(),
            decoder: Decoder::new(sender, version),
        }
    }

    fn restart(&mut self, sender: Role, version: ProtocolVersion) {
        self.bytes.clear();
        self.spy.clear();
        self.decoder = Decoder::new(sender, version);
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether any byte went in.
    fn fill(&mut self, transmit: &mut Transmit) -> bool {
        let room = self.capacity.saturating_sub(self.bytes.len());
        let count = transmit.chunk().len().min(room);
        self.bytes.extend_from_slice(&transmit.chunk()[..count]);
        transmit.advance(count);
        count > 0
    }

    fn drain(&mut self, limit: usize, trace: &mut Vec<String>) -> BytesMut {
        let count = self.bytes.len().min(limit).min(self.chunk);
        let came = self.bytes.split_to(count);
        self.spy.extend_from_slice(&came);
        while let Ok(Status::Ready(packet)) = self.decoder.decode_bytes(&mut self.spy) {
            trace.push(format!("{} {}", self.arrow, describe(&packet)));
        }
        came
    }
}

pub struct Pair {
    pub now: Instant,
    pub client: Client,
    pub version: ProtocolVersion,
    pub config: ServerConfig,
    pub server: Option<Server>,
    /// What the broker keeps of the client while it is away.
    pub session: Option<Session>,
    pub accept: Accept,
    /// What the broker answers to CONNECT instead of accepting it.
    pub refusal: Option<ReasonCode>,
    /// How the broker answers a PUBLISH.
    pub verdict: ReasonCode,
    pub max_queued: u16,
    pub up: Pipe,
    pub down: Pipe,
    pub client_inbox: BytesMut,
    pub server_inbox: BytesMut,
    pub trace: Vec<String>,
    /// Payloads in the order they were delivered.
    pub at_server: Vec<String>,
    pub at_client: Vec<String>,
    /// Topic name and Message Expiry Interval of everything delivered on either side.
    pub heads: Vec<(String, Option<u32>)>,
    pub connects: Vec<ConnectPacket<Bytes>>,
    pub connacks: Vec<ConnAck<Bytes>>,
    pub client_finished: Vec<(u16, Outcome)>,
    pub server_finished: Vec<(u16, Outcome)>,
    /// Subscribed and Unsubscribed, by their identifiers.
    pub answered: Vec<u16>,
    /// Of messages that the client's application is to acknowledge.
    pub receipts: Vec<Receipt>,
    pub journal: Vec<JournalEntry>,
    pub client_closed: Option<CloseReason>,
    pub server_closed: Option<CloseReason>,
}

/// A client of this version whose session lasts.
pub fn lasting(version: ProtocolVersion) -> ClientOptions {
    let options = ClientOptions::new("c").version(version).clean_start(false).keep_alive(0);
    match version {
        ProtocolVersion::V311 => options,
        ProtocolVersion::V5 => options.session_expiry(u32::MAX),
    }
}

pub fn publication(qos: QoS, text: &str) -> Publication<Bytes> {
    on_topic(qos, "t", text)
}

pub fn on_topic(qos: QoS, topic: &str, text: &str) -> Publication<Bytes> {
    let topic = TopicName::try_from(topic).expect("a topic name");
    Publication::new(topic, text.as_bytes().to_vec()).with_qos(qos)
}

pub fn expiring(qos: QoS, text: &str, seconds: u32) -> Publication<Bytes> {
    let expiry = Properties::new([Property::MessageExpiryInterval(seconds)]);
    publication(qos, text).with_properties(expiry.expect("legal"))
}

pub fn filters(texts: &[&str]) -> SubscribeFilters<Bytes> {
    let filters = texts.iter().map(|&text| (TopicFilter::try_from(text).expect("a filter"), Q2));
    SubscribeFilters::new(filters.map(|(filter, qos): (TopicFilter<Bytes>, _)| (filter, qos)))
        .expect("some filters")
}

/// A PUBLISH as the peer would send it; the identifier does not matter at QoS 0.
pub fn publish(qos: QoS, number: u16, text: &str) -> Packet<Bytes> {
    let Publication { retain, message, .. } = publication(qos, text);
    let delivery = match qos {
        Q0 => Delivery::AtMostOnce,
        Q1 => Delivery::AtLeastOnce { id: id(number), dup: false },
        Q2 => Delivery::ExactlyOnce { id: id(number), dup: false },
    };
    Packet::Publish(Publish { delivery, retain, message })
}

pub fn connack(present: bool, properties: &[Property<'_>]) -> Packet<Bytes> {
    let properties = Properties::new(properties.iter().copied()).expect("legal");
    Packet::ConnAck(ConnAck { session_present: present, reason: ReasonCode::SUCCESS, properties })
}

pub fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not 0")
}

impl Pair {
    /// Not connected yet.
    pub fn new(options: ClientOptions, version: ProtocolVersion) -> Self {
        Self {
            now: Instant::ZERO,
            client: Client::new(options).expect("legal options"),
            version,
            config: ServerConfig::default(),
            server: None,
            session: None,
            accept: Accept::default(),
            refusal: None,
            verdict: ReasonCode::SUCCESS,
            max_queued: 1000,
            up: Pipe::new('>', Role::Client, version),
            down: Pipe::new('<', Role::Server, version),
            client_inbox: BytesMut::new(),
            server_inbox: BytesMut::new(),
            trace: Vec::new(),
            at_server: Vec::new(),
            at_client: Vec::new(),
            heads: Vec::new(),
            connects: Vec::new(),
            connacks: Vec::new(),
            client_finished: Vec::new(),
            server_finished: Vec::new(),
            answered: Vec::new(),
            receipts: Vec::new(),
            journal: Vec::new(),
            client_closed: None,
            server_closed: None,
        }
    }

    /// A connected pair whose session lasts, with nothing in its trace.
    pub fn connected(version: ProtocolVersion) -> Self {
        Self::connected_with(lasting(version), version)
    }

    pub fn connected_with(options: ClientOptions, version: ProtocolVersion) -> Self {
        let mut pair = Self::new(options, version);
        pair.connect();
        pair.run();
        pair.trace.clear();
        pair
    }

    /// Opens a network connection; nothing is delivered yet.
    pub fn connect(&mut self) {
        self.up.restart(Role::Client, self.version);
        self.down.restart(Role::Server, self.version);
        self.client_inbox.clear();
        self.server_inbox.clear();
        (self.client_closed, self.server_closed) = (None, None);
        self.server = Some(Server::new(self.config, self.now));
        self.client.handle_connected(self.now);
    }

    /// Ends the network connection; what was under way is lost.
    pub fn cut(&mut self) {
        self.up.bytes.clear();
        self.down.bytes.clear();
        self.end_server();
        self.client.handle_closed(self.now);
        self.poll_client();
    }

    pub fn reconnect(&mut self) {
        if self.server.is_some() || self.client.state() != ClientState::Idle {
            self.cut();
        }
        self.connect();
    }

    pub fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Moves bytes until nothing moves any more.
    pub fn run(&mut self) {
        for _ in 0..1_000_000 {
            if !self.step(usize::MAX) {
                return;
            }
        }
        panic!("no end in sight: {:?}", &self.trace[self.trace.len().saturating_sub(20)..]);
    }

    /// Moves bytes one at a time, at most so many; whether as many were there to move.
    pub fn run_bytes(&mut self, count: usize) -> bool {
        (0..count).all(|_| {
            self.write();
            // Never both in one step.
            self.arrive_up(1) || self.arrive_down(1) || {
                self.end_of_stream();
                self.write();
                self.arrive_up(1) || self.arrive_down(1)
            }
        })
    }

    /// One round of everything; whether anything moved.
    pub fn step(&mut self, limit: usize) -> bool {
        let wrote = self.write();
        let up = self.arrive_up(limit);
        let down = self.arrive_down(limit);
        wrote | up | down | self.end_of_stream()
    }

    /// Lets deadlines come that have passed, and moves what they caused.
    pub fn tick(&mut self) {
        self.timeouts();
        self.run();
    }

    pub fn timeouts(&mut self) {
        self.client.handle_timeout(self.now);
        self.poll_client();
        if let Some(server) = &mut self.server
            && let Some(reason) = server.handle_timeout(self.now)
        {
            self.close_server(reason);
        }
    }

    /// What the peer of the client would send if it were not a [`Server`].
    pub fn inject_down(&mut self, packet: &Packet<Bytes>) {
        let mut bytes = BytesMut::new();
        packet.encode(self.version, &mut bytes).expect("encodable");
        self.down.bytes.extend_from_slice(&bytes);
    }

    /// What the peer of the server would send if it were not a [`Client`].
    pub fn inject_up(&mut self, packet: &Packet<Bytes>) {
        let mut bytes = BytesMut::new();
        packet.encode(self.version, &mut bytes).expect("encodable");
        self.inject_bytes_up(&bytes);
    }

    pub fn inject_bytes_up(&mut self, bytes: &[u8]) {
        self.up.bytes.extend_from_slice(bytes);
    }

    pub fn inject_bytes_down(&mut self, bytes: &[u8]) {
        self.down.bytes.extend_from_slice(bytes);
    }

    /// Loses what the client wrote so far.
    pub fn cut_up(&mut self) {
        self.up.bytes.clear();
    }

    /// Loses what the server wrote so far.
    pub fn cut_down(&mut self) {
        self.down.bytes.clear();
    }

    /// The packets on their way to the client, which never gets them.
    pub fn read_down(&mut self) -> Vec<String> {
        let mut trace = Vec::new();
        self.down.drain(usize::MAX, &mut trace);
        trace
    }

    /// The packets on their way to the server, which never gets them.
    pub fn read_up(&mut self) -> Vec<String> {
        let mut trace = Vec::new();
        self.up.drain(usize::MAX, &mut trace);
        trace
    }

    pub fn publish_up(&mut self, qos: QoS, text: &str) -> u16 {
        let id = self.client.publish(self.now, publication(qos, text)).expect("room");
        self.poll_client();
        id.map_or(0, PacketId::get)
    }

    pub fn publish_down(&mut self, qos: QoS, text: &str) -> u16 {
        let publication = publication(qos, text);
        match (&mut self.server, &mut self.session) {
            (Some(server), _) if server.is_connected() => {
                let id = server.publish(self.now, publication).expect("room");
                id.map_or(0, PacketId::get)
            }
            (None, Some(session)) => session.publish(self.now, publication).expect("room").get(),
            _ => 0,
        }
    }

    pub fn server(&mut self) -> &mut Server {
        self.server.as_mut().expect("connected")
    }

    /// What both ends say with [`Session::open`], and what the receivers hold.
    pub fn at_rest(&self) -> bool {
        let session = match &self.server {
            Some(server) => server.session(),
            None => self.session.as_ref(),
        };
        let rests = |session: &Session| session.open() == 0 && session.received().is_empty();
        rests(self.client.session()) && session.is_none_or(rests)
    }

    fn write(&mut self) -> bool {
        let mut wrote = false;
        self.poll_client();
        while self.up.fill(self.client.transmit()) {
            wrote = true;
            self.poll_client();
        }
        if let Some(server) = &mut self.server {
            while self.down.fill(server.transmit()) {
                wrote = true;
                let finished = &mut self.server_finished;
                server.handle_flushed(self.now, |id, how| finished.push((id.get(), how)));
            }
        }
        wrote
    }

    pub fn arrive_up(&mut self, limit: usize) -> bool {
        let wanted = self.up.open && self.server.as_ref().is_none_or(Server::wants_input);
        if self.up.bytes.is_empty() || !wanted {
            return false;
        }
        let came = self.up.drain(limit, &mut self.trace);
        self.server_inbox.extend_from_slice(&came);
        while let Some(server) = &mut self.server {
            match server.decode_bytes(self.now, &mut self.server_inbox) {
                Ok(Status::Ready(packet)) => self.serve(packet),
                Ok(Status::NeedMore(_)) => break,
                Err(reason) => self.close_server(reason),
            }
        }
        true
    }

    pub fn arrive_down(&mut self, limit: usize) -> bool {
        let wanted = self.client.state() == ClientState::Closing || self.client.wants_input();
        if self.down.bytes.is_empty() || !self.down.open || !wanted {
            return false;
        }
        let came = self.down.drain(limit, &mut self.trace);
        self.client_inbox.extend_from_slice(&came);
        self.client.handle_input(self.now, &mut self.client_inbox);
        self.poll_client();
        true
    }

    fn end_of_stream(&mut self) -> bool {
        let idle = self.client.state() == ClientState::Idle;
        if self.server.is_none() && self.down.bytes.is_empty() && !idle {
            self.client.handle_closed(self.now);
            self.poll_client();
            return true;
        }
        if idle && self.up.bytes.is_empty() && self.server.is_some() {
            self.end_server();
            return true;
        }
        false
    }

    fn serve(&mut self, packet: Packet<Bytes>) {
        let Some(server) = &mut self.server else { return };
        match server.handle_packet(self.now, packet) {
            Some(ServerAction::Connect(connect)) => {
                self.connects.push(connect.clone());
                if let Some(code) = self.refusal {
                    let reason = server.reject(self.now, code);
                    return self.close_server(reason);
                }
                let kept = self.session.take().filter(|_| !connect.fields().clean_start);
                let accept = Accept { session_present: kept.is_some(), ..self.accept.clone() };
                let session = kept.unwrap_or_else(|| Session::new(self.max_queued));
                let finished = &mut self.server_finished;
                server
                    .accept(self.now, session, &accept, |id, how| finished.push((id.get(), how)))
                    .expect("a CONNECT awaits it");
            }
            Some(ServerAction::Publish(inbound)) => {
                let receipt = inbound.receipt();
                let publish = inbound.into_publish();
                self.heads.push(head(&publish));
                if !self.verdict.is_error() {
                    self.at_server.push(text(&publish.message.payload));
                }
                if let Some(receipt) = receipt {
                    server.acknowledge(self.now, receipt, self.verdict).expect("it is owed");
                }
            }
            Some(ServerAction::Subscribe(subscribe)) => {
                let codes: Vec<_> = subscribe
                    .filters
                    .iter()
                    .map(|(_, options)| ReasonCode::granted(options.qos))
                    .collect();
                server.suback(self.now, subscribe.id, codes).expect("connected");
            }
            Some(ServerAction::Unsubscribe(unsubscribe)) => {
                let codes: Vec<_> =
                    unsubscribe.filters.iter().map(|_| ReasonCode::SUCCESS).collect();
                server.unsuback(self.now, unsubscribe.id, codes).expect("connected");
            }
            Some(ServerAction::Finished { id, outcome }) => {
                self.server_finished.push((id.get(), outcome));
            }
            Some(ServerAction::Disconnect(disconnect)) => {
                self.close_server(CloseReason::Disconnected(disconnect.reason));
            }
            Some(ServerAction::Close(reason)) => self.close_server(reason),
            Some(action) => panic!("what is {action:?}?"),
            None => {}
        }
    }

    /// Writes what is left, then closes.
    pub fn close_server(&mut self, reason: CloseReason) {
        self.server_closed = Some(reason);
        let mut rest = self.server.as_mut().map(|server| server.transmit().clone());
        if let Some(rest) = &mut rest {
            self.down.bytes.extend_from_slice(rest.chunk());
        }
        self.end_server();
        self.server_inbox.clear();
    }

    fn end_server(&mut self) {
        let Some(mut server) = self.server.take() else { return };
        let finished = &mut self.server_finished;
        server.handle_flushed(self.now, |id, how| finished.push((id.get(), how)));
        let lasts = server.session_expiry() > 0;
        if let Some(session) = server.take_session() {
            self.session = Some(session).filter(|_| lasts);
        }
    }

    pub fn poll_client(&mut self) {
        while let Some(action) = self.client.poll_action() {
            match action {
                ClientAction::Connected(connack) => self.connacks.push(connack),
                ClientAction::Deliver { publish, receipt } => {
                    self.receipts.extend(receipt);
                    self.heads.push(head(&publish));
                    self.at_client.push(text(&publish.message.payload));
                }
                ClientAction::Finished { id, outcome } => {
                    self.client_finished.push((id.get(), outcome));
                }
                ClientAction::Journal(entry) => self.journal.push(entry),
                // What they say is in Close as well.
                ClientAction::Refused(_) | ClientAction::Disconnected(_) => {}
                ClientAction::Subscribed(suback) => self.answered.push(suback.id.get()),
                ClientAction::Unsubscribed(unsuback) => self.answered.push(unsuback.id.get()),
                ClientAction::Close(reason) => {
                    self.client_closed = Some(reason);
                    let rest = self.client.transmit();
                    self.up.bytes.extend_from_slice(rest.chunk());
                    let count = rest.remaining();
                    rest.advance(count);
                    self.client.handle_closed(self.now);
                }
                action => panic!("what is {action:?}?"),
            }
        }
    }
}

fn head(publish: &Publish<Bytes>) -> (String, Option<u32>) {
    let Message { topic, properties, .. } = &publish.message;
    assert!(!topic.is_empty(), "delivered without a topic name");
    (topic.as_str().to_owned(), properties.message_expiry_interval())
}

pub fn text(payload: &Bytes) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

/// A packet in a few words: `PUBLISH 1 q2 dup hello`, `PUBREC 1`, `CONNACK present`.
pub fn describe(packet: &Packet<Bytes>) -> String {
    let name = packet.packet_type().name();
    let code = |reason: &ReasonCode| match reason.get() {
        0 => String::new(),
        code => format!(" {code:#04x}"),
    };
    match packet {
        Packet::Connect(connect) => {
            format!("{name} {}", if connect.fields().clean_start { "clean" } else { "resume" })
        }
        Packet::ConnAck(connack) => {
            let present = if connack.session_present { " present" } else { "" };
            format!("{name}{present}{}", code(&connack.reason))
        }
        Packet::Publish(publish) => {
            let text = text(&publish.message.payload);
            match publish.delivery {
                Delivery::AtMostOnce => format!("{name} q0 {text}"),
                Delivery::AtLeastOnce { id, dup } | Delivery::ExactlyOnce { id, dup } => {
                    let (qos, dup) = (publish.delivery.qos(), if dup { " dup" } else { "" });
                    format!("{name} {id} q{}{dup} {text}", qos.bits())
                }
            }
        }
        Packet::PubAck(ack) | Packet::PubRec(ack) | Packet::PubRel(ack) | Packet::PubComp(ack) => {
            format!("{name} {}{}", ack.id, code(&ack.reason))
        }
        Packet::Subscribe(subscribe) => format!("{name} {}", subscribe.id),
        Packet::SubAck(suback) => format!("{name} {}", suback.id),
        Packet::Unsubscribe(unsubscribe) => format!("{name} {}", unsubscribe.id),
        Packet::UnsubAck(unsuback) => format!("{name} {}", unsuback.id),
        Packet::Disconnect(disconnect) => format!("{name}{}", code(&disconnect.reason)),
        Packet::PingReq | Packet::PingResp | Packet::Auth(_) => name.to_owned(),
    }
}
