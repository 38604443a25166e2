//! A publisher, a server and a subscriber, packet by packet.

use std::{collections::VecDeque, fmt::Write as _};

use bytes::{Buf, Bytes, BytesMut};
use mqtt_session::{
    Accept, Client, ClientOptions, Instant, Server, ServerAction, ServerConfig, Session,
    proto::{
        Decoder, Delivery, Packet, Properties, ProtocolVersion, Publication, QoS, ReasonCode, Role,
        Status, SubscribeFilters, TopicFilter, TopicName,
    },
    qos::transition::SendState,
};

/// Time stands still: nothing here waits for it.
const NOW: Instant = Instant::ZERO;
const VERSION: ProtocolVersion = ProtocolVersion::V5;
/// The columns of the three lifelines, and of what each of them keeps.
const LINES: [usize; 3] = [5, 32, 59];
const KEEPS: [usize; 3] = [70, 82, 102];

/// One of the two network connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Link {
    Publisher,
    Subscriber,
}

pub(crate) const LINKS: [Link; 2] = [Link::Publisher, Link::Subscriber];

impl Link {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Publisher => "publisher link",
            Self::Subscriber => "subscriber link",
        }
    }
}

/// A network connection that is lost once this many packets of the flow have arrived.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) link: Link,
    pub(crate) after: usize,
}

/// What became of one message.
pub(crate) struct Report {
    pub(crate) diagram: String,
    /// The packets that arrived, in their order.
    pub(crate) packets: Vec<String>,
    /// Those that had to be sent again.
    pub(crate) resent: Vec<String>,
    /// How often the subscriber's application saw the message.
    pub(crate) deliveries: usize,
}

/// Publishes one message of this QoS and follows it until nothing moves any more.
pub(crate) fn run(qos: QoS, cut: Option<Cut>) -> Report {
    let mut tour = Tour::new();
    tour.headline();
    let topic = TopicName::try_from("room/1").expect("a topic name");
    let message = Publication::new(topic, "21.5").with_qos(qos);
    tour.ends[0].client.publish(NOW, message).expect("there is room for one");
    loop {
        if let Some(cut) = cut.filter(|cut| cut.after == tour.report.packets.len() && !tour.was_cut)
        {
            tour.cut(cut.link);
        }
        tour.send();
        if !tour.arrive() {
            return tour.report;
        }
    }
}

/// A client, the server's side of its connection, and the session that outlives the connection.
struct End {
    client: Client,
    server: Option<Server>,
    session: Option<Session>,
    /// Whether a PUBREL was sent before, either way.
    released: bool,
}

struct Tour {
    ends: [End; 2],
    /// Packets under way: on which link, whether from its client, and which.
    wire: VecDeque<(Link, bool, Packet<Bytes>)>,
    was_cut: bool,
    report: Report,
}

impl Tour {
    /// Both clients connected, the subscriber subscribed.
    fn new() -> Self {
        let end = |name| {
            let options = ClientOptions::new(name).session_expiry(u32::MAX).keep_alive(0);
            let client = Client::new(options).expect("legal options");
            End { client, server: None, session: None, released: false }
        };
        let report = Report {
            diagram: String::new(),
            packets: Vec::new(),
            resent: Vec::new(),
            deliveries: 0,
        };
        let ends = [end("publisher"), end("subscriber")];
        let mut tour = Self { ends, wire: VecDeque::new(), was_cut: false, report };
        tour.connect(Link::Publisher);
        tour.connect(Link::Subscriber);
        tour.rest();
        let filter = TopicFilter::<Bytes>::try_from("room/+").expect("a filter");
        let filters = SubscribeFilters::new([(filter, QoS::ExactlyOnce)]).expect("one filter");
        let subscriber = &mut tour.ends[1].client;
        subscriber.subscribe(NOW, filters, Properties::EMPTY).expect("connected");
        tour.rest();
        (tour.report.diagram, tour.report.packets) = (String::new(), Vec::new());
        tour
    }

    fn rest(&mut self) {
        self.send();
        while self.arrive() {
            self.send();
        }
    }

    fn connect(&mut self, link: Link) {
        let end = &mut self.ends[link as usize];
        end.server = Some(Server::new(ServerConfig::default(), NOW));
        end.client.handle_connected(NOW);
    }

    /// What was under way is lost, what a session keeps is not; then both sides start again.
    fn cut(&mut self, link: Link) {
        self.send();
        self.was_cut = true;
        self.wire.retain(|flight| flight.0 != link);
        let end = &mut self.ends[link as usize];
        end.session = end.server.take().and_then(|mut server| server.take_session());
        end.client.handle_closed(NOW);
        let mut line = lifelines();
        let (from, to) = (LINES[link as usize], LINES[link as usize + 1]);
        line.replace_range(from + 1..to, &format!("{:~^1$}", " connection lost ", to - from - 1));
        self.draw(line);
        self.connect(link);
    }

    /// Puts what anybody wants to send on the wire, packet by packet.
    fn send(&mut self) {
        for link in LINKS {
            let end = &mut self.ends[link as usize];
            for from_client in [true, false] {
                let transmit = match (from_client, &mut end.server) {
                    (true, _) => end.client.transmit(),
                    (false, Some(server)) => server.transmit(),
                    (false, None) => continue,
                };
                let mut bytes = BytesMut::from(transmit.chunk());
                transmit.advance(bytes.len());
                let sender = if from_client { Role::Client } else { Role::Server };
                let mut decoder = Decoder::new(sender, VERSION);
                while let Ok(Status::Ready(packet)) = decoder.decode_bytes(&mut bytes) {
                    let again = match &packet {
                        Packet::Publish(publish) => publish.delivery.dup(),
                        Packet::PubRel(_) => std::mem::replace(&mut end.released, true),
                        _ => false,
                    };
                    if again {
                        self.report.resent.push(describe(&packet));
                    }
                    self.wire.push_back((link, from_client, packet));
                }
            }
        }
    }

    /// Lets the oldest packet under way arrive; whether there was one.
    fn arrive(&mut self) -> bool {
        let Some((link, from_client, packet)) = self.wire.pop_front() else { return false };
        let what = describe(&packet);
        if from_client {
            self.serve(link, packet);
        } else {
            let delivered = self.ends[link as usize].client.handle_packet(NOW, packet);
            self.report.deliveries += usize::from(delivered.is_some());
        }
        for end in &mut self.ends {
            while end.client.poll_action().is_some() {}
        }
        let mut line = lifelines();
        let (from, to) = (LINES[link as usize], LINES[link as usize + 1]);
        let rightward = from_client == (link == Link::Publisher);
        let room = to - from - 5;
        let arrow = match rightward {
            true => format!("- {what} {:-<1$}>", "", room - what.len()),
            false => format!("<- {what} {:-<1$}", "", room - what.len()),
        };
        line.replace_range(from + 1..to, &arrow);
        self.draw(line);
        self.report.packets.push(what);
        true
    }

    /// The broker's part: accept everybody, route everything to the subscriber.
    fn serve(&mut self, link: Link, packet: Packet<Bytes>) {
        let end = &mut self.ends[link as usize];
        let Some(server) = &mut end.server else { return };
        match server.handle_packet(NOW, packet) {
            Some(ServerAction::Connect(_)) => {
                let session = end.session.take();
                let accept = Accept { session_present: session.is_some(), ..Accept::default() };
                let session = session.unwrap_or_else(|| Session::new(10));
                server.accept(NOW, session, &accept, |_, _| {}).expect("a CONNECT awaits it");
            }
            Some(ServerAction::Subscribe(subscribe)) => {
                let granted = [ReasonCode::granted(QoS::ExactlyOnce)];
                server.suback(NOW, subscribe.id, granted).expect("connected");
            }
            Some(ServerAction::Publish(inbound)) => {
                if let Some(receipt) = inbound.receipt() {
                    server.acknowledge(NOW, receipt, ReasonCode::SUCCESS).expect("it is owed");
                }
                let message = inbound.into_publication();
                let subscriber = &mut self.ends[Link::Subscriber as usize];
                // Without a connection the session keeps QoS 1 and 2; QoS 0 is gone.
                let _ = match (&mut subscriber.server, &mut subscriber.session) {
                    (Some(server), None) => server.publish(NOW, message),
                    (_, Some(session)) => session.publish(NOW, message).map(Some),
                    (None, None) => Ok(None),
                };
            }
            _ => {}
        }
    }

    fn headline(&mut self) {
        let mut line = " ".repeat(KEEPS[2] + 20);
        for (column, name) in LINES.into_iter().zip(["publisher", "server", "subscriber"]) {
            line.replace_range(column - 4..column - 4 + name.len(), name);
        }
        for (column, name) in KEEPS.into_iter().zip(["publisher", "server", "subscriber"]) {
            line.replace_range(column..column + name.len(), name);
        }
        let _ = writeln!(self.report.diagram, "{}", line.trim_end());
    }

    /// A line of the diagram, and what everybody keeps after it.
    fn draw(&mut self, mut line: String) {
        let server = |end: &End| {
            let session = end.server.as_ref().and_then(Server::session).or(end.session.as_ref());
            session.map_or_else(String::new, keeps)
        };
        let [publisher, subscriber] = &self.ends;
        let both = [server(publisher), server(subscriber)];
        let both: Vec<_> = both.into_iter().filter(|text| !text.is_empty()).collect();
        let cells = [
            keeps(publisher.client.session()),
            both.join(", "),
            keeps(subscriber.client.session()),
        ];
        for (column, cell) in KEEPS.into_iter().zip(cells) {
            line.replace_range(column..column + cell.len(), &cell);
        }
        let _ = writeln!(self.report.diagram, "{}", line.trim_end());
    }
}

fn lifelines() -> String {
    let mut line = " ".repeat(KEEPS[2] + 20);
    LINES.into_iter().for_each(|column| line.replace_range(column..=column, "|"));
    line
}

/// What a session keeps of the one message there is.
fn keeps(session: &Session) -> String {
    let sent = session.received().iter().next().map(|_| "received");
    let id = mqtt_session::proto::PacketId::MIN;
    let kept = match session.send_state(id) {
        Some(SendState::AwaitPubAck | SendState::AwaitPubRec) => Some("copy"),
        Some(SendState::AwaitPubComp) => Some("release"),
        None => (session.open() > 0).then_some("copy"),
    };
    sent.into_iter().chain(kept).collect::<Vec<_>>().join(", ")
}

fn describe(packet: &Packet<Bytes>) -> String {
    let name = packet.packet_type().name();
    match packet {
        Packet::Publish(publish) => match publish.delivery {
            Delivery::AtMostOnce => name.to_owned(),
            delivery if delivery.dup() => format!("{name} 1 DUP"),
            _ => format!("{name} 1"),
        },
        Packet::PubAck(_) | Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => {
            format!("{name} 1")
        }
        _ => name.to_owned(),
    }
}
