//! A client and a server that write down what their sessions say, packet by packet and in virtual
//! time, and die where they are told to.
//!
//! What an application makes of a QoS 2 message is kept in one transaction with the entry that says
//! so; everything else in the order of the actions.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use bytes::{Buf, BytesMut};
use mqtt_session::{
    Accept, Client, ClientAction, ClientOptions, ClientState, Inbound, Instant, JournalEntry,
    Receipt, Server, ServerAction, ServerConfig, Session,
    proto::{
        Decoder, Delivery, Packet, PacketId, ProtocolVersion, Publication, Publish, QoS,
        ReasonCode, Role, Status, Storage,
    },
    qos::transition::SendState,
};

use crate::common::{lasting, publication};

pub(crate) const LIMIT: u16 = 50;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings {
    pub(crate) version: ProtocolVersion,
    /// How many messages either side sends at a time.
    pub(crate) window: u16,
    pub(crate) answers: Answers,
}

/// When the client's application acknowledges a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Answers {
    Automatic,
    Manual,
    /// The last of those that came together first.
    Backwards,
}

/// The process of this side ended, at a moment it did not choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Died(pub(crate) Role);

type Lives = Result<(), Died>;

/// What survives the process of one side.
#[derive(Debug)]
pub(crate) struct Disk {
    role: Role,
    pub(crate) journal: Vec<JournalEntry>,
    /// Messages whose acceptance was written down.
    pub(crate) accepted: Vec<String>,
    /// What the application has of the messages that came in.
    pub(crate) delivered: Vec<String>,
    /// Moments at which the process could have died.
    pub(crate) moments: usize,
    /// At which of them it does.
    pub(crate) dies_at: Option<usize>,
}

impl Disk {
    const fn new(role: Role) -> Self {
        Self {
            role,
            journal: Vec::new(),
            accepted: Vec::new(),
            delivered: Vec::new(),
            moments: 0,
            dies_at: None,
        }
    }

    fn moment(&mut self) -> Lives {
        if self.dies_at == Some(self.moments) {
            self.dies_at = None;
            return Err(Died(self.role));
        }
        self.moments += 1;
        Ok(())
    }

    /// An entry, and what the application makes of the message that came with it.
    fn write(&mut self, entry: JournalEntry, delivered: Option<String>) -> Lives {
        self.moment()?;
        if let JournalEntry::Accepted { publication, .. } = &entry {
            self.accepted.push(text(publication.message.payload.as_ref()));
        }
        self.journal.push(entry);
        self.delivered.extend(delivered);
        self.moment()
    }

    fn deliver(&mut self, text: String) -> Lives {
        self.moment()?;
        self.delivered.push(text);
        self.moment()
    }

    pub(crate) fn restore(&self) -> Session {
        let restored = Session::restore(LIMIT, self.journal.iter().cloned());
        restored.unwrap_or_else(|error| panic!("{error}: {:?}", self.journal))
    }

    /// Everything the packet says is in the journal already.
    fn audit<B: Storage>(&self, packet: &Packet<B>) {
        let known = self.restore();
        let told = || format!("{:?} {packet:?} before its entry: {:?}", self.role, self.journal);
        match packet {
            Packet::Publish(Publish { delivery, .. }) => match delivery {
                Delivery::AtMostOnce => {}
                Delivery::AtLeastOnce { id, .. } => {
                    assert_eq!(known.send_state(*id), Some(SendState::AwaitPubAck), "{}", told());
                }
                Delivery::ExactlyOnce { id, .. } => {
                    assert_eq!(known.send_state(*id), Some(SendState::AwaitPubRec), "{}", told());
                }
            },
            Packet::PubRec(ack) if !ack.reason.is_error() => {
                assert!(known.received().contains(ack.id), "{}", told());
            }
            Packet::PubRel(ack) => {
                let state = known.send_state(ack.id);
                assert!(matches!(state, None | Some(SendState::AwaitPubComp)), "{}", told());
            }
            Packet::PubComp(ack) => assert!(!known.received().contains(ack.id), "{}", told()),
            _ => {}
        }
    }

    /// The end of an exchange is told after it was written down.
    fn audit_end(&self, id: PacketId) {
        let known = self.restore();
        let open = known.send_state(id).is_some() || known.waiting().any(|(open, _)| open == id);
        assert!(!open, "{id} has ended before its entry: {:?}", self.journal);
    }
}

/// One direction of a network connection, in packets.
#[derive(Debug)]
struct Wire {
    packets: VecDeque<Vec<u8>>,
    decoder: Decoder,
}

impl Wire {
    fn new(sender: Role, version: ProtocolVersion) -> Self {
        Self { packets: VecDeque::new(), decoder: Decoder::new(sender, version) }
    }

    fn write(&mut self, disk: &Disk, transmit: &mut impl Buf) {
        let bytes = transmit.copy_to_bytes(transmit.remaining());
        let mut bytes = &bytes[..];
        while !bytes.is_empty() {
            let Ok(Status::Ready((packet, len))) = self.decoder.decode(bytes) else {
                panic!("no packet: {bytes:?}");
            };
            disk.audit(&packet);
            self.packets.push_back(bytes[..len].to_vec());
            bytes = &bytes[len..];
        }
    }
}

pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) settings: Settings,
    options: ClientOptions,
    pub(crate) client: Client,
    pub(crate) server: Option<Server>,
    /// Whether the server has a session of this client, on its disk.
    known: bool,
    /// That session while the client is away.
    pub(crate) kept: Option<Session>,
    up: Wire,
    down: Wire,
    pub(crate) at_client: Disk,
    pub(crate) at_server: Disk,
    /// What the client's application has, and has not acknowledged yet.
    receipts: Vec<Receipt>,
    /// QoS 2 messages that either application is to keep together with their entry.
    taken: BTreeMap<PacketId, String>,
    /// Message Expiry Intervals, as they were delivered.
    pub(crate) expiries: Vec<u32>,
    /// Sessions with what their journals said at that moment.
    pub(crate) seen: Vec<(Role, Vec<JournalEntry>, Session)>,
    looks: bool,
}

impl World {
    /// Not connected yet.
    pub(crate) fn new(settings: Settings) -> Self {
        let options = lasting(settings.version)
            .clean_start(settings.version == ProtocolVersion::V5)
            .max_in_flight(settings.window)
            .max_pending(LIMIT)
            .manual_acknowledgement(settings.answers != Answers::Automatic)
            .journaled(true);
        let options = match settings.version {
            ProtocolVersion::V311 => options.clean_start(false),
            ProtocolVersion::V5 => options,
        };
        Self {
            // The Unix epoch is not now.
            now: Instant::from_micros(1_000_000_000_000_000),
            settings,
            client: Client::new(options.clone()).expect("legal options"),
            options,
            server: None,
            known: false,
            kept: None,
            up: Wire::new(Role::Client, settings.version),
            down: Wire::new(Role::Server, settings.version),
            at_client: Disk::new(Role::Client),
            at_server: Disk::new(Role::Server),
            receipts: Vec::new(),
            taken: BTreeMap::new(),
            expiries: Vec::new(),
            seen: Vec::new(),
            looks: false,
        }
    }

    /// Keeps every session that is seen.
    pub(crate) fn looking(mut self) -> Self {
        self.looks = true;
        self
    }

    pub(crate) fn disk(&mut self, role: Role) -> &mut Disk {
        match role {
            Role::Client => &mut self.at_client,
            Role::Server => &mut self.at_server,
        }
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
    }

    /// Both processes live on, or one of them is started again.
    pub(crate) fn perform(&mut self, step: impl FnOnce(&mut Self) -> Lives) -> Option<Died> {
        let died = step(self).err()?;
        self.restart(died.0);
        Some(died)
    }

    /// The process of one side ends, and another one begins with what is on its disk.
    pub(crate) fn restart(&mut self, role: Role) {
        let session = self.disk(role).restore().journaled();
        match role {
            Role::Client => {
                self.receipts.clear();
                self.taken.clear();
                self.client = Client::with_session(self.options.clone(), session)
                    .expect("options of a session that lasts");
                self.end_server();
            }
            Role::Server => {
                self.server = None;
                self.kept = Some(session).filter(|_| self.known);
                self.taken.clear();
                self.client.handle_closed(self.now);
            }
        }
        self.clear_wires();
    }

    /// The network connection ends; what was under way is lost.
    pub(crate) fn cut(&mut self) -> Lives {
        self.clear_wires();
        self.end_server();
        self.client.handle_closed(self.now);
        self.act_client()
    }

    fn clear_wires(&mut self) {
        self.up = Wire::new(Role::Client, self.settings.version);
        self.down = Wire::new(Role::Server, self.settings.version);
    }

    fn end_server(&mut self) {
        if let Some(mut server) = self.server.take()
            && let Some(session) = server.take_session()
        {
            self.kept = Some(session);
        }
    }

    pub(crate) fn connect(&mut self) -> Lives {
        self.cut()?;
        let config = ServerConfig { max_in_flight: self.settings.window, ..Default::default() };
        self.server = Some(Server::new(config, self.now));
        self.client.handle_connected(self.now);
        self.act_client()
    }

    /// The server loses what it has of the client, with the connection.
    pub(crate) fn forget(&mut self) -> Lives {
        self.cut()?;
        (self.known, self.kept) = (false, None);
        Ok(())
    }

    pub(crate) fn publish(&mut self, up: bool, publication: Publication<bytes::Bytes>) -> Lives {
        if up {
            // More than the limit, or QoS 0 without a connection: not accepted.
            let _ = self.client.publish(self.now, publication);
            return self.act_client();
        }
        match (&mut self.server, &mut self.kept) {
            (Some(server), _) if server.is_connected() => {
                let _ = server.publish(self.now, publication);
            }
            (None, Some(session)) => {
                let _ = session.publish(self.now, publication);
            }
            _ => {}
        }
        self.act_server()
    }

    /// Deadlines come that have passed.
    pub(crate) fn timeout(&mut self) -> Lives {
        self.client.handle_timeout(self.now);
        if let Some(server) = &mut self.server {
            let _ = server.handle_timeout(self.now);
        }
        if let Some(session) = &mut self.kept {
            session.expire(self.now, |_| {});
        }
        self.act_client()?;
        self.act_server()
    }

    /// Until nothing moves any more and both sides are connected.
    pub(crate) fn settle(&mut self) -> Lives {
        for _ in 0..10_000 {
            if self.client.state() == ClientState::Idle {
                self.connect()?;
            }
            if !self.arrive(true)? && !self.arrive(false)? {
                return Ok(());
            }
        }
        panic!("no end in sight");
    }

    /// One packet arrives; whether there was one.
    pub(crate) fn arrive(&mut self, up: bool) -> Result<bool, Died> {
        let wire = if up { &mut self.up } else { &mut self.down };
        let Some(packet) = wire.packets.pop_front() else {
            return Ok(false);
        };
        self.pass(Duration::from_micros(1));
        let mut packet = BytesMut::from(&packet[..]);
        if up {
            self.serve(&mut packet)?;
        } else {
            self.client.handle_input(self.now, &mut packet);
            self.act_client()?;
        }
        Ok(true)
    }

    /// All that the client asks for, and then the bytes.
    fn act_client(&mut self) -> Lives {
        let mut closed = false;
        loop {
            while let Some(action) = self.client.poll_action() {
                match action {
                    ClientAction::Journal(entry) => self.write_client(entry)?,
                    ClientAction::Deliver { publish, receipt } => self.take(&publish, receipt)?,
                    ClientAction::Finished { id, .. } => self.at_client.audit_end(id),
                    ClientAction::Close(_) => closed = true,
                    _ => {}
                }
            }
            if self.receipts.is_empty() {
                break;
            }
            for receipt in std::mem::take(&mut self.receipts).into_iter().rev() {
                // What came on an earlier connection is sent again.
                let _ = self.client.acknowledge(self.now, receipt, ReasonCode::SUCCESS);
            }
        }
        if self.looks {
            let session = self.client.session().clone();
            self.seen.push((Role::Client, self.at_client.journal.clone(), session));
        }
        self.up.write(&self.at_client, self.client.transmit());
        self.at_client.moment()?;
        if closed { self.cut() } else { Ok(()) }
    }

    /// A message that comes by itself is the very next action.
    fn write_client(&mut self, entry: JournalEntry) -> Lives {
        let delivered = match entry {
            JournalEntry::Held { id } if self.settings.answers == Answers::Automatic => {
                match self.client.poll_action() {
                    Some(ClientAction::Deliver { publish, receipt: None })
                        if publish.delivery.id() == Some(id) =>
                    {
                        Some(text(&publish.message.payload))
                    }
                    other => panic!("held {id}, and then {other:?}"),
                }
            }
            JournalEntry::Held { id } => Some(self.taken.remove(&id).expect("it was delivered")),
            _ => None,
        };
        self.at_client.write(entry, delivered)
    }

    /// The client's application gets a message that no entry came with.
    fn take(&mut self, publish: &Publish<bytes::Bytes>, receipt: Option<Receipt>) -> Lives {
        let text = text(&publish.message.payload);
        self.expiries.extend(publish.message.properties.message_expiry_interval());
        match (publish.delivery, receipt) {
            (Delivery::ExactlyOnce { id, .. }, Some(_)) => drop(self.taken.insert(id, text)),
            (Delivery::ExactlyOnce { id, .. }, None) => panic!("{id} delivered before its entry"),
            _ => self.at_client.deliver(text)?,
        }
        if let Some(receipt) = receipt {
            self.receipts.push(receipt);
            if self.settings.answers == Answers::Manual {
                let receipt = self.receipts.remove(0);
                let _ = self.client.acknowledge(self.now, receipt, ReasonCode::SUCCESS);
            }
        }
        Ok(())
    }

    fn serve(&mut self, src: &mut BytesMut) -> Lives {
        let Some(server) = &mut self.server else {
            return Ok(());
        };
        let Ok(Status::Ready(packet)) = server.decode_bytes(self.now, src) else {
            panic!("no packet: {src:?}");
        };
        let action = server.handle_packet(self.now, packet);
        self.write_server()?;
        match action {
            Some(ServerAction::Connect(connect)) => {
                self.accept(connect.fields().clean_start)?;
            }
            Some(ServerAction::Publish(inbound)) => self.route(&inbound)?,
            Some(ServerAction::Finished { id, .. }) => self.at_server.audit_end(id),
            Some(ServerAction::Close(reason)) => panic!("{reason}"),
            Some(action) => panic!("what is {action:?}?"),
            None => {}
        }
        self.act_server()
    }

    fn accept(&mut self, clean_start: bool) -> Lives {
        let session = self.kept.take().filter(|_| !clean_start);
        let accept = Accept { session_present: session.is_some(), ..Accept::default() };
        let session = session.unwrap_or_else(|| {
            self.known = true;
            self.at_server.journal.clear();
            Session::new(LIMIT).journaled()
        });
        if let Some(server) = &mut self.server {
            server.accept(self.now, session, &accept, |_, _| {}).expect("a CONNECT awaits it");
        }
        self.write_server()
    }

    /// The server's application gets a message, and has it once it is acknowledged.
    fn route(&mut self, inbound: &Inbound<bytes::Bytes>) -> Lives {
        let publication = inbound.publication();
        let text = text(publication.message.payload);
        self.expiries.extend(publication.message.properties.message_expiry_interval());
        match inbound.publish().delivery {
            Delivery::ExactlyOnce { id, .. } => drop(self.taken.insert(id, text)),
            _ => self.at_server.deliver(text)?,
        }
        if let (Some(receipt), Some(server)) = (inbound.receipt(), &mut self.server) {
            server.acknowledge(self.now, receipt, ReasonCode::SUCCESS).expect("it is owed");
        }
        let held = inbound.publish().delivery.id();
        while let Some(entry) = self.server.as_mut().and_then(Server::poll_journal) {
            let delivered = match entry {
                JournalEntry::Held { id } if held == Some(id) => self.taken.remove(&id),
                _ => None,
            };
            self.at_server.write(entry, delivered)?;
        }
        Ok(())
    }

    fn write_server(&mut self) -> Lives {
        let polled = |server: Option<&mut Server>, kept: Option<&mut Session>| match (server, kept)
        {
            (Some(server), _) => server.poll_journal(),
            (None, kept) => kept?.poll_journal(),
        };
        while let Some(entry) = polled(self.server.as_mut(), self.kept.as_mut()) {
            self.at_server.write(entry, None)?;
        }
        Ok(())
    }

    fn act_server(&mut self) -> Lives {
        self.write_server()?;
        let session = match &self.server {
            Some(server) => server.session(),
            None => self.kept.as_ref(),
        };
        if let (true, Some(session)) = (self.looks, session) {
            let journal = self.at_server.journal.clone();
            self.seen.push((Role::Server, journal, session.clone()));
        }
        // A full buffer may have held messages back.
        while let Some(server) = &mut self.server {
            if server.transmit().is_empty() {
                break;
            }
            self.down.write(&self.at_server, server.transmit());
            server.handle_flushed(self.now, |_, _| {});
            self.write_server()?;
        }
        self.at_server.moment()
    }
}

pub(crate) fn text(payload: &[u8]) -> String {
    String::from_utf8_lossy(payload).into_owned()
}

pub(crate) fn message(qos: QoS, text: &str) -> Publication<bytes::Bytes> {
    publication(qos, text)
}
