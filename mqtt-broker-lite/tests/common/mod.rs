//! A world of one broker and any number of clients, with pipes for network connections and a clock
//! that is turned by hand.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its part of this")]

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use mqtt_broker_lite::{
    Broker, BrokerAction, BrokerConfig, ConnectionId, ServerConfig,
    session::{
        Client, ClientAction, ClientOptions, CloseReason, Instant, Outcome,
        proto::{
            ConnAck, Connect, Decoder, Packet, Properties, Property, ProtocolVersion, Publication,
            Publish, QoS, ReasonCode, Role, Status, SubscribeFilters, SubscriptionOptions,
            TopicFilter, TopicName, UnsubscribeFilters,
        },
    },
};

pub use ProtocolVersion::{V5, V311};
pub use QoS::{AtLeastOnce, AtMostOnce, ExactlyOnce};

pub const VERSIONS: [ProtocolVersion; 2] = [V311, V5];
pub const ALL_QOS: [QoS; 3] = [AtMostOnce, AtLeastOnce, ExactlyOnce];
pub const FOREVER: u32 = u32::MAX;

/// Names a client of the world.
pub type Who = usize;

pub struct World {
    pub broker: Broker,
    pub now: Instant,
    /// Every byte the broker wrote, in order.
    pub written: Vec<u8>,
    ends: Vec<End>,
}

struct End {
    peer: Peer,
    link: Option<Link>,
    /// Does not read.
    stalled: bool,
    closed: Option<CloseReason>,
    /// How many bytes its network takes at a time.
    at_a_time: usize,
    /// The most that ever waited for it.
    most: usize,
}

enum Peer {
    Client(Box<Client>, Vec<ClientAction>),
    /// Says what it is told to, and answers nothing.
    Raw(Decoder, BytesMut, Vec<Packet<Bytes>>),
}

/// A network connection.
struct Link {
    id: ConnectionId,
    up: BytesMut,
    down: BytesMut,
    flush: bool,
    closing: bool,
}

impl World {
    pub fn new() -> Self {
        Self::with(|_| {})
    }

    pub fn with(change: impl FnOnce(&mut BrokerConfig)) -> Self {
        let mut config = BrokerConfig::default();
        change(&mut config);
        let broker = Broker::new(config, 7);
        Self { broker, now: Instant::ZERO, written: Vec::new(), ends: Vec::new() }
    }

    pub fn with_server(change: impl FnOnce(&mut ServerConfig)) -> Self {
        Self::with(|config| change(&mut config.server))
    }

    /// A client without a connection.
    pub fn add(&mut self, options: ClientOptions) -> Who {
        let client = Client::new(options).expect("options that make a legal CONNECT");
        self.push(Peer::Client(Box::new(client), Vec::new()))
    }

    /// A client that is accepted.
    pub fn join(&mut self, options: ClientOptions) -> Who {
        let who = self.add(options);
        assert_eq!(self.connect(who).reason, ReasonCode::SUCCESS);
        who
    }

    /// A connection without a client: bytes in, bytes out.
    pub fn raw(&mut self, version: ProtocolVersion) -> Who {
        let peer = Peer::Raw(Decoder::new(Role::Server, version), BytesMut::new(), Vec::new());
        let who = self.push(peer);
        self.open(who);
        who
    }

    /// The same, and CONNECT was accepted.
    pub fn raw_join(&mut self, connect: Connect<Bytes>) -> Who {
        let version = connect.version;
        let who = self.raw(version);
        self.say(who, &connect.to_packet().unwrap(), version);
        let packets = self.packets(who);
        assert!(
            matches!(&packets[0], Packet::ConnAck(ack) if ack.reason == ReasonCode::SUCCESS),
            "{packets:?}"
        );
        who
    }

    pub fn connect(&mut self, who: Who) -> ConnAck<Bytes> {
        self.open(who);
        self.connack(who).expect("an answer")
    }

    /// A network connection, and whatever follows from it.
    pub fn open(&mut self, who: Who) {
        let id = self.broker.handle_accepted(self.now).expect("room for a connection");
        let link =
            Link { id, up: BytesMut::new(), down: BytesMut::new(), flush: false, closing: false };
        self.ends[who].link = Some(link);
        self.ends[who].closed = None;
        if let Peer::Client(client, actions) = &mut self.ends[who].peer {
            actions.clear();
            client.handle_connected(self.now);
        }
        self.settle();
    }

    /// The network connection is lost, and what was in it.
    pub fn cut(&mut self, who: Who) {
        let Some(link) = self.ends[who].link.take() else {
            return;
        };
        self.broker.handle_closed(self.now, link.id);
        self.broker.check();
        if let Peer::Client(client, _) = &mut self.ends[who].peer {
            client.handle_closed(self.now);
        }
        self.settle();
    }

    pub fn disconnect(&mut self, who: Who, reason: ReasonCode) {
        let now = self.now;
        self.client(who).disconnect(now, reason);
        self.settle();
    }

    pub fn stall(&mut self, who: Who, stalled: bool) {
        self.ends[who].stalled = stalled;
        self.settle();
    }

    /// The network of a client takes so many bytes at a time from now on.
    pub fn narrow(&mut self, who: Who, at_a_time: usize) {
        self.ends[who].at_a_time = at_a_time;
    }

    /// Lets the time pass, and does everything when its time comes.
    pub fn advance(&mut self, seconds: f64) {
        let target = self.now + Duration::from_secs_f64(seconds);
        self.settle();
        loop {
            let next = self
                .ends
                .iter()
                .filter_map(|end| match &end.peer {
                    Peer::Client(client, _) => client.poll_timeout(),
                    Peer::Raw(..) => None,
                })
                .chain(self.broker.poll_timeout())
                .min()
                .filter(|next| *next <= target);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            self.broker.handle_timeout(self.now);
            self.broker.check();
            for end in &mut self.ends {
                if let Peer::Client(client, _) = &mut end.peer {
                    client.handle_timeout(self.now);
                }
            }
            self.settle();
        }
        self.now = target;
    }

    pub fn shut_down(&mut self) {
        self.broker.shut_down(self.now);
        self.broker.check();
        self.settle();
    }

    /// Publishes; the code of the answer, if the QoS has one.
    pub fn publish(&mut self, who: Who, publication: Publication<Bytes>) -> Option<u8> {
        let now = self.now;
        let id = self.client(who).publish(now, publication).expect("a legal message");
        self.settle();
        let id = id?;
        self.actions(who).iter().rev().find_map(|action| match action {
            ClientAction::Finished { id: of, outcome: Outcome::Acknowledged(code) }
                if *of == id =>
            {
                Some(code.get())
            }
            _ => None,
        })
    }

    pub fn subscribe(
        &mut self,
        who: Who,
        filter: &str,
        options: impl Into<SubscriptionOptions>,
    ) -> u8 {
        self.subscribe_all(who, &[(filter, options.into())], 0)[0]
    }

    /// SUBSCRIBE with this identifier, 0 for none; the codes of the answer.
    pub fn subscribe_all(
        &mut self,
        who: Who,
        filters: &[(&str, SubscriptionOptions)],
        identifier: u32,
    ) -> Vec<u8> {
        let now = self.now;
        let property = (identifier > 0).then_some(Property::SubscriptionIdentifier(identifier));
        let properties = Properties::new(property).expect("a legal identifier");
        let filters =
            SubscribeFilters::new(filters.iter().map(|&(text, options)| (filter(text), options)));
        let filters = filters.expect("filters");
        let id = self.client(who).subscribe(now, filters, properties).expect("a connection");
        self.settle();
        let codes = self.actions(who).iter().rev().find_map(|action| match action {
            ClientAction::Subscribed(ack) if ack.id == id => {
                Some(ack.codes.iter().map(ReasonCode::get).collect())
            }
            _ => None,
        });
        codes.expect("SUBACK")
    }

    pub fn unsubscribe(&mut self, who: Who, text: &str) -> Vec<u8> {
        let now = self.now;
        let filters = UnsubscribeFilters::new([filter(text)]).expect("filters");
        let unsubscribed = self.client(who).unsubscribe(now, filters, Properties::EMPTY);
        let id = unsubscribed.expect("a connection");
        self.settle();
        let codes = self.actions(who).iter().rev().find_map(|action| match action {
            ClientAction::Unsubscribed(ack) if ack.id == id => {
                Some(ack.codes.iter().map(ReasonCode::get).collect())
            }
            _ => None,
        });
        codes.expect("UNSUBACK")
    }

    /// Writes bytes and lets everything follow from them.
    pub fn send(&mut self, who: Who, bytes: &[u8]) {
        if let Some(link) = &mut self.ends[who].link {
            link.up.extend_from_slice(bytes);
        }
        self.settle();
    }

    pub fn say(&mut self, who: Who, packet: &Packet<Bytes>, version: ProtocolVersion) {
        let mut bytes = Vec::new();
        packet.encode(version, &mut bytes).expect("a legal packet");
        self.send(who, &bytes);
    }

    /// What came over a raw connection since it was last asked.
    pub fn packets(&mut self, who: Who) -> Vec<Packet<Bytes>> {
        let Peer::Raw(decoder, bytes, packets) = &mut self.ends[who].peer else {
            panic!("{who} is a client");
        };
        while let Status::Ready(packet) = decoder.decode_bytes(bytes).expect("a legal packet") {
            packets.push(packet);
        }
        std::mem::take(packets)
    }

    /// The messages that came since it was last asked.
    pub fn messages(&mut self, who: Who) -> Vec<Publish<Bytes>> {
        let mut messages = Vec::new();
        self.actions(who).retain(|action| match action {
            ClientAction::Deliver { publish, .. } => {
                messages.push(publish.clone());
                false
            }
            _ => true,
        });
        messages
    }

    /// The same in short: `topic=payload q1 r #7 #8`.
    pub fn inbox(&mut self, who: Who) -> Vec<String> {
        self.messages(who).iter().map(brief).collect()
    }

    pub fn connack(&mut self, who: Who) -> Option<ConnAck<Bytes>> {
        if let Some(CloseReason::Refused(reason)) = self.ends[who].closed {
            let properties = Properties::EMPTY;
            return Some(ConnAck { session_present: false, reason, properties });
        }
        self.actions(who).iter().find_map(|action| match action {
            ClientAction::Connected(connack) => Some(connack.clone()),
            _ => None,
        })
    }

    /// Why the client side of the last connection ended, if it did.
    pub fn closed(&self, who: Who) -> Option<&CloseReason> {
        self.ends[who].closed.as_ref()
    }

    pub fn is_open(&self, who: Who) -> bool {
        self.ends[who].link.is_some()
    }

    pub fn most_waiting(&self, who: Who) -> usize {
        self.ends[who].most
    }

    pub fn client(&mut self, who: Who) -> &mut Client {
        match &mut self.ends[who].peer {
            Peer::Client(client, _) => client,
            Peer::Raw(..) => panic!("{who} is no client"),
        }
    }

    pub fn actions(&mut self, who: Who) -> &mut Vec<ClientAction> {
        match &mut self.ends[who].peer {
            Peer::Client(_, actions) => actions,
            Peer::Raw(..) => panic!("{who} is no client"),
        }
    }

    /// How many messages wait or are in flight for a client identifier, or `None` if it has no
    /// session.
    pub fn queued(&self, client_id: &str) -> Option<usize> {
        self.broker.sessions().find(|(id, ..)| *id == client_id).map(|(_, _, open)| open)
    }

    /// Moves bytes until nothing moves any more.
    pub fn settle(&mut self) {
        loop {
            let mut moved = false;
            for who in 0..self.ends.len() {
                moved |= self.turn(who);
            }
            let soon = self.now + Duration::from_micros(1);
            if !moved && self.broker.poll_timeout().is_some_and(|at| at == soon) {
                self.now = soon;
                self.broker.handle_timeout(soon);
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }

    fn push(&mut self, peer: Peer) -> Who {
        let at_a_time = usize::MAX;
        self.ends.push(End { peer, link: None, stalled: false, closed: None, at_a_time, most: 0 });
        self.ends.len() - 1
    }

    fn turn(&mut self, who: Who) -> bool {
        let mut moved = self.poll_client(who);
        let End { peer, link: Some(link), .. } = &mut self.ends[who] else {
            return moved;
        };
        let id = link.id;
        if let Peer::Client(client, _) = peer {
            let transmit = client.transmit();
            moved |= transmit.has_remaining();
            link.up.extend_from_slice(&transmit.copy_to_bytes(transmit.remaining()));
        }
        if !link.up.is_empty() && self.broker.wants_input(id) {
            let used = self.broker.handle_input(self.now, id, &link.up);
            link.up.advance(used);
            moved |= used > 0;
            self.broker.check();
        }
        self.drain();
        moved |= self.write(who);
        let End { peer, link: Some(link), .. } = &mut self.ends[who] else {
            return moved;
        };
        let over = link.closing && !link.flush;
        match peer {
            Peer::Client(client, _) => client.handle_input(self.now, &mut link.down),
            Peer::Raw(_, bytes, _) => bytes.unsplit(link.down.split()),
        }
        moved |= self.poll_client(who);
        if over {
            self.hang_up(who);
        }
        moved
    }

    /// Takes what the broker wants written.
    fn write(&mut self, who: Who) -> bool {
        let End { link: Some(link), stalled, at_a_time, most, .. } = &mut self.ends[who] else {
            return false;
        };
        if !std::mem::take(&mut link.flush) {
            return false;
        }
        let transmit = self.broker.transmit(link.id).expect("a connection");
        *most = (*most).max(transmit.remaining());
        if *stalled && !link.closing {
            link.flush = true;
            return false;
        }
        let bytes = transmit.copy_to_bytes(transmit.remaining().min(*at_a_time));
        self.written.extend_from_slice(&bytes);
        link.down.extend_from_slice(&bytes);
        self.broker.handle_flushed(self.now, link.id);
        self.broker.check();
        self.drain();
        true
    }

    fn drain(&mut self) {
        while let Some(action) = self.broker.poll_action() {
            let (BrokerAction::Flush(id) | BrokerAction::Close(id, _)) = action else {
                panic!("{action:?} is new");
            };
            let links = self.ends.iter_mut().filter_map(|end| end.link.as_mut());
            let Some(link) = links.into_iter().find(|link| link.id == id) else {
                continue;
            };
            match action {
                BrokerAction::Flush(_) => link.flush = true,
                _ => link.closing = true,
            }
        }
    }

    fn poll_client(&mut self, who: Who) -> bool {
        let End { peer: Peer::Client(client, actions), link, closed, .. } = &mut self.ends[who]
        else {
            return false;
        };
        let before = actions.len();
        let mut close = false;
        while let Some(action) = client.poll_action() {
            if let ClientAction::Close(reason) = &action {
                *closed = Some(reason.clone());
                close = true;
            }
            actions.push(action);
        }
        let moved = actions.len() > before;
        if close {
            if let Some(link) = link {
                let transmit = client.transmit();
                link.up.extend_from_slice(&transmit.copy_to_bytes(transmit.remaining()));
                self.broker.handle_input(self.now, link.id, &link.up);
            }
            self.hang_up(who);
        }
        moved
    }

    fn hang_up(&mut self, who: Who) {
        if let Some(link) = self.ends[who].link.take() {
            self.broker.handle_closed(self.now, link.id);
            self.broker.check();
            if let Peer::Client(client, _) = &mut self.ends[who].peer {
                client.handle_closed(self.now);
            }
            self.drain();
        }
    }
}

pub fn name(text: &str) -> TopicName<Bytes> {
    text.parse().expect("a topic name")
}

pub fn filter(text: &str) -> TopicFilter<Bytes> {
    text.parse().expect("a topic filter")
}

pub fn message(topic: &str, payload: &str) -> Publication<Bytes> {
    Publication::new(name(topic), payload.to_owned())
}

pub fn properties<'a>(properties: impl IntoIterator<Item = Property<'a>>) -> Properties<Bytes> {
    Properties::new(properties).expect("a legal list")
}

/// A client without keep alive.
pub fn options(version: ProtocolVersion, client_id: &str) -> ClientOptions {
    ClientOptions::new(client_id).version(version).keep_alive(0)
}

/// The same, resuming a session that lasts for so long; in 3.1.1 for ever.
pub fn lasting(version: ProtocolVersion, client_id: &str, expiry: u32) -> ClientOptions {
    let options = options(version, client_id).clean_start(false);
    if version == V5 { options.session_expiry(expiry) } else { options }
}

pub fn brief(publish: &Publish<Bytes>) -> String {
    let Publish { delivery, retain, message } = publish;
    let payload = String::from_utf8_lossy(&message.payload);
    let mut text = format!("{}={payload} q{}", message.topic, delivery.qos().bits());
    if *retain {
        text += " r";
    }
    let mut identifiers = message.properties.subscription_identifiers().collect::<Vec<_>>();
    identifiers.sort_unstable();
    for identifier in identifiers {
        text += &format!(" #{identifier}");
    }
    text
}
