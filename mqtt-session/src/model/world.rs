//! Two sessions, the bytes between them, what each side has written down, and everything that can
//! happen to them.

use alloc::{boxed::Box, format, rc::Rc, string::String, vec, vec::Vec};
use core::{cell::RefCell, mem};

use bytes::{Bytes, BytesMut};
use mqtt_proto::{
    Decoder, Packet, ProtocolVersion, Publication, QoS, ReasonCode, Role, Status, TopicName,
};

use super::{
    Print,
    ledger::{Checked, Ledger, TOPIC, broken, ensure},
    setup::{Action, Bounds, LIMIT, Setup, Step},
};
use crate::{
    Accept, Client, ClientState, CloseReason, Inbound, Instant, Receipt, Server, ServerAction,
    Session,
};

#[derive(Clone)]
pub(super) struct World {
    pub(super) setup: Setup,
    left: Bounds,
    pub(super) now: Instant,
    pub(super) client: Client,
    pub(super) to_client: Vec<u8>,
    /// The connections that the server has, oldest first.
    pub(super) lines: Vec<Line>,
    /// Whether the client has its end of the last of them.
    pub(super) joined: bool,
    /// The server's session while no connection has it.
    pub(super) kept: Option<Session>,
    pub(super) sides: [Side; 2],
    /// Whether the client's session is the one that the server has.
    agreed: bool,
    /// What CONNACK has to say. Only within a step, as the next three.
    pub(super) present: bool,
    pub(super) crash: Option<Crash>,
    /// How many commits each side has made.
    pub(super) commits: [u8; 2],
    /// Who accepts which message: it is written down together with the entry that it is held.
    pub(super) taking: Option<(Role, u8)>,
    /// What happened, for people.
    pub(super) story: Option<Rc<RefCell<Vec<String>>>>,
}

/// The server's end of a network connection, and the bytes that it has not read.
#[derive(Clone)]
pub(super) struct Line {
    pub(super) server: Server,
    pub(super) bytes: Vec<u8>,
}

/// The client's or the server's application and disk.
#[derive(Clone)]
pub(super) struct Side {
    /// What is restored from the journal as far as it was written down; `None` if there is none.
    pub(super) image: Option<Session>,
    /// Messages that were given out and not answered.
    inbox: Vec<(Receipt, u8)>,
    /// What this side publishes.
    ledger: Ledger,
}

/// A process that ends after so many commits of this step, or has ended.
#[derive(Clone, Copy)]
pub(super) struct Crash {
    pub(super) whose: Role,
    pub(super) commits: u8,
    pub(super) done: bool,
}

impl World {
    /// Never connected.
    pub(super) fn new(setup: Setup) -> Self {
        let ledger = Ledger::new(setup.qos, setup.bounds.repeats > 0);
        let side = |image| Side { image, inbox: Vec::new(), ledger: ledger.clone() };
        Self {
            setup,
            left: setup.bounds,
            now: Instant::ZERO,
            client: Client::new(setup.options()).expect("legal options"),
            to_client: Vec::new(),
            lines: Vec::new(),
            joined: false,
            kept: None,
            sides: [side(setup.lasts.then(|| Session::new(LIMIT))), side(None)],
            agreed: false,
            present: false,
            crash: None,
            commits: [0; 2],
            taking: None,
            story: None,
        }
    }

    pub(super) fn fingerprint(&self) -> u128 {
        let Self { left, now, client, to_client, lines, joined, kept, sides, agreed, .. } = self;
        let mut print = Print::new(*now, self.setup.ack_timeout.is_some());
        print.value(&(left, to_client, lines.len(), joined, agreed));
        print.of(client);
        for Line { server, bytes } in lines {
            print.of(server);
            print.value(bytes);
        }
        print.optional(kept.as_ref());
        for Side { image, inbox, ledger } in sides {
            print.optional(image.as_ref());
            print.value(&(inbox, ledger));
        }
        print.finish()
    }

    /// What comes of a step, or `None` where it cannot happen.
    pub(super) fn after(&self, step: Step) -> Option<Checked<Box<Self>>> {
        let Step { action, crash } = step;
        if !self.allows(action) || crash.is_some() && self.left.crashes == 0 {
            return None;
        }
        let mut next = Box::new(self.clone());
        next.commits = [0; 2];
        next.crash = crash.map(|(whose, commits)| Crash { whose, commits, done: false });
        match next.happen(action).and_then(|happened| Ok(happened && next.finish()?)) {
            Ok(false) => None,
            Ok(true) => Some(Ok(next)),
            Err(broken) => Some(Err(broken)),
        }
    }

    fn allows(&self, action: Action) -> bool {
        let Self { setup, left, lines, joined, .. } = self;
        let here = self.client.state() != ClientState::Idle;
        let waits = |by, at| at < self.sides[by as usize].inbox.len();
        let words = setup.version == ProtocolVersion::V5 && left.refusals > 0;
        // Once the server has lost its session the client hears of it before anything is lost
        // again: the next CONNACK would say that there is a session, and neither could know better.
        let heard = self.agreed || left.losses == setup.bounds.losses;
        match action {
            Action::Publish(by) => left.messages[by as usize] > 0,
            Action::Connect => !here,
            Action::ToClient => here && !self.to_client.is_empty(),
            Action::ToServer(at) => lines.get(at).is_some_and(|line| !line.bytes.is_empty()),
            Action::Accept(by, at) => waits(by, at),
            Action::Refuse(by, at) => words && waits(by, at),
            Action::EndClient => here && !joined,
            Action::EndServer(at) => at + usize::from(*joined) < lines.len(),
            Action::Cut => *joined && left.cuts > 0 && heard,
            Action::Tick => self.deadline().is_some(),
            Action::Lose => left.losses > 0 && self.kept.is_some(),
            Action::Crash(_) => left.crashes > 0,
        }
    }

    /// Whether it could.
    fn happen(&mut self, action: Action) -> Checked<bool> {
        match action {
            Action::Publish(by) => return self.publish(by),
            Action::Connect => self.connect()?,
            Action::ToClient => self.arrive_at_client()?,
            Action::ToServer(at) => self.arrive_at_server(at)?,
            Action::Accept(by, at) => self.answer(by, at, false)?,
            Action::Refuse(by, at) => {
                self.left.refusals -= 1;
                self.answer(by, at, true)?;
            }
            Action::EndClient => self.end_client()?,
            Action::EndServer(at) => self.end_server(at),
            Action::Cut => {
                self.left.cuts -= 1;
                self.end_client()?;
                if !self.setup.takeover {
                    self.end_server(self.lines.len() - 1);
                }
            }
            Action::Tick => return self.tick(),
            Action::Lose => {
                self.left.losses -= 1;
                self.kept = None;
                self.lose();
            }
            Action::Crash(whose) => self.crash = Some(Crash { whose, commits: 0, done: true }),
        }
        Ok(true)
    }

    /// Restarts whoever crashed, and looks at what must hold in every state. Whether the step went
    /// as it was asked for.
    fn finish(&mut self) -> Checked<bool> {
        match self.crash.take() {
            Some(Crash { done: false, .. }) => return Ok(false),
            Some(Crash { whose, .. }) => self.restart(whose)?,
            None => {}
        }
        self.sides.iter_mut().try_for_each(|side| side.ledger.check())?;
        let server = self.holder().and_then(|at| self.lines[at].server.session());
        let connected = self.client.state() == ClientState::Connected;
        let quotas = [
            connected.then(|| self.client.send_quota()),
            server.map(|session| session.sender.quota()),
        ];
        let sessions = [Some(self.client.session()), server.or(self.kept.as_ref())];
        for ((side, quota), session) in self.sides.iter().zip(quotas).zip(sessions) {
            if let Some(quota) = quota {
                let (open, window) = (side.ledger.in_flight(), usize::from(self.setup.window));
                let how = || format!("{quota} left and {open} in flight of {window}");
                ensure(usize::from(quota) + open == window, "quota", how)?;
            }
            if let (Some(image), Some(session)) = (&side.image, session) {
                let how = || format!("{:?}", Vec::from_iter(image.snapshot()));
                ensure(session.snapshot().eq(image.snapshot()), "journal", how)?;
            }
        }
        Ok(true)
    }

    fn publish(&mut self, by: Role) -> Checked<bool> {
        let number = self.ledger(by).published();
        let topic = TopicName::try_from(TOPIC).expect("a topic name");
        let qos = self.setup.qos[usize::from(number) % 2];
        let message = Publication::new(topic, vec![number]).with_qos(qos);
        let id = match (by, self.holder(), &mut self.kept) {
            (Role::Client, ..) => self.client.publish(self.now, message),
            (Role::Server, Some(at), _) => self.lines[at].server.publish(self.now, message),
            (Role::Server, None, Some(session)) => session.publish(self.now, message).map(Some),
            // The server has never heard of the client, or has forgotten it.
            (Role::Server, None, None) => return Ok(false),
        };
        let id = id.ok().flatten().ok_or_else(|| broken("publish", "refused"))?;
        self.left.messages[by as usize] -= 1;
        self.tell(|| format!("identifier {id}"));
        self.ledger(by).accepted(id)?;
        self.settle()?;
        Ok(true)
    }

    /// A connection whose CONNECT the server has not read is given up: if it were accepted after the
    /// new one, it would take over the session from it, and if it starts clean discard it. MQTT has
    /// no defence against that.
    fn connect(&mut self) -> Checked {
        self.lines.retain(|line| line.server.is_connected());
        let server = Server::new(self.setup.config(), self.now);
        self.lines.push(Line { server, bytes: Vec::new() });
        self.joined = true;
        self.ledger(Role::Client).begin_round();
        self.ledger(Role::Server).begin_reading();
        self.client.handle_connected(self.now);
        self.settle()
    }

    fn arrive_at_client(&mut self) -> Checked {
        let mut bytes = take_packet(&mut self.to_client);
        let packet = self.read(Role::Server, &bytes);
        self.tell(|| format!("< {packet}"));
        self.ledger(Role::Client).answered(&packet);
        self.ledger(Role::Server).came(&packet);
        self.client.handle_input(self.now, &mut bytes);
        self.settle()?;
        if let Packet::ConnAck(_) = packet {
            let empty = self.client.session().received().is_empty();
            let agreed = self.agreed || empty && !self.ledger(Role::Client).keeps_what_was_sent();
            let how = || "the client keeps what the server does not know".into();
            ensure(agreed, "session present", how)?;
            self.agreed = true;
        }
        Ok(())
    }

    fn arrive_at_server(&mut self, at: usize) -> Checked {
        let mut bytes = take_packet(&mut self.lines[at].bytes);
        let packet = self.read(Role::Client, &bytes);
        self.tell(|| format!("> {packet}"));
        self.ledger(Role::Server).answered(&packet);
        self.ledger(Role::Client).came(&packet);
        let (now, server) = (self.now, &mut self.lines[at].server);
        let Ok(Status::Ready(packet)) = server.decode_bytes(now, &mut bytes) else {
            return Err(broken("no accusation", "malformed"));
        };
        let action = server.handle_packet(now, packet);
        self.settle_journal()?;
        match action.filter(|_| !self.is_down(Role::Server)) {
            None => {}
            Some(ServerAction::Connect(connect)) => self.accept(connect.fields().clean_start)?,
            Some(ServerAction::Publish(inbound)) => self.given(Role::Server, &inbound)?,
            Some(ServerAction::Finished { id, outcome }) => {
                self.finished(Role::Server, id, outcome)?;
            }
            Some(ServerAction::Disconnect(disconnect)) => {
                self.excuse(&CloseReason::Disconnected(disconnect.reason))?;
                self.end_server(at);
            }
            Some(action) => return Err(broken("no accusation", format!("{action:?}"))),
        }
        self.settle()
    }

    /// What a broker does with a CONNECT, which has come on the last connection.
    fn accept(&mut self, clean_start: bool) -> Checked {
        while self.lines.len() > 1 {
            self.end_server(0);
        }
        if clean_start && self.kept.take().is_some() {
            self.lose();
        }
        self.present = self.kept.is_some();
        self.agreed &= self.present;
        if !self.present && self.setup.lasts {
            if !self.commits(Role::Server) {
                return Ok(());
            }
            self.sides[Role::Server as usize].image = Some(Session::new(LIMIT));
        }
        self.ledger(Role::Server).begin_round();
        self.ledger(Role::Client).begin_reading();
        let session = self.kept.take().unwrap_or_else(|| Session::new(LIMIT));
        let session = if self.setup.lasts { session.journaled() } else { session };
        let accept = Accept { session_present: self.present, ..Accept::default() };
        let accepted = self.lines[0].server.accept(self.now, session, &accept, |_, _| {});
        accepted.map_err(|error| broken("accept", format!("{error}")))
    }

    /// An application was given a message: it has it, or answers it later.
    pub(super) fn given(&mut self, to: Role, inbound: &Inbound<Bytes>) -> Checked {
        let number = self.ledger(other(to)).arrived(&inbound.publish())?;
        let session = match (to, self.holder()) {
            (Role::Server, Some(at)) => self.lines[at].server.session(),
            _ => Some(self.client.session()),
        };
        let connection = session.map(|session| session.connection);
        let inbox = &mut self.sides[to as usize].inbox;
        let waits = inbox
            .iter()
            .any(|(receipt, waiting)| *waiting == number && connection == Some(receipt.connection));
        ensure(!waits, "given once", || format!("message {number}"))?;
        match inbound.receipt() {
            Some(receipt) => inbox.push((receipt, number)),
            None => self.ledger(other(to)).taken(number)?,
        }
        Ok(())
    }

    /// An application answers a message. What it makes of one that it accepts it writes down with
    /// the entry that the message is held, or at QoS 1 before it answers.
    fn answer(&mut self, by: Role, at: usize, refuse: bool) -> Checked {
        let (receipt, number) = self.sides[by as usize].inbox.remove(at);
        let exactly_once = self.setup.qos[usize::from(number) % 2] == QoS::ExactlyOnce;
        if !refuse && !exactly_once {
            if !self.commits(by) {
                return Ok(());
            }
            self.ledger(other(by)).taken(number)?;
        }
        let reason = if refuse { ReasonCode::QUOTA_EXCEEDED } else { ReasonCode::SUCCESS };
        let now = self.now;
        let answered = match (by, self.holder()) {
            (Role::Client, _) => self.client.acknowledge(now, receipt, reason).is_ok(),
            (Role::Server, Some(at)) => {
                self.lines[at].server.acknowledge(now, receipt, reason).is_ok()
            }
            (Role::Server, None) => false,
        };
        if answered {
            self.ledger(other(by)).decided(number, refuse);
        }
        self.taking = (answered && !refuse && exactly_once).then_some((by, number));
        self.settle()?;
        // Without a journal there is no entry to wait for.
        if self.taking.is_some() && self.commits(by) {
            self.take()?;
        }
        self.taking = None;
        Ok(())
    }

    pub(super) fn take(&mut self) -> Checked {
        match self.taking.take() {
            Some((by, number)) => self.ledger(other(by)).taken(number),
            None => Ok(()),
        }
    }

    pub(super) fn end_client(&mut self) -> Checked {
        self.client.handle_closed(self.now);
        self.to_client.clear();
        self.joined = false;
        if !self.setup.lasts {
            self.ledger(Role::Client).doom();
        }
        self.settle()
    }

    fn end_server(&mut self, at: usize) {
        self.joined &= at + 1 < self.lines.len();
        let mut server = self.lines.remove(at).server;
        if let Some(session) = server.take_session() {
            self.kept = Some(session).filter(|_| server.session_expiry() > 0);
            if self.kept.is_none() {
                self.lose();
            }
        }
    }

    /// The server's session is gone, and with it every receipt.
    fn lose(&mut self) {
        self.agreed = false;
        self.ledger(Role::Client).doom();
        let Side { image, inbox, ledger } = &mut self.sides[Role::Server as usize];
        *image = None;
        inbox.clear();
        ledger.forget();
    }

    fn deadline(&self) -> Option<Instant> {
        let servers = self.lines.iter().filter_map(|line| line.server.poll_timeout());
        servers.chain(self.client.poll_timeout()).min()
    }

    /// A deadline that ends a connection counts as a cut, unless its other side has left it.
    fn tick(&mut self) -> Checked<bool> {
        let (joined, may_be_cut) = (self.joined, self.allows(Action::Cut));
        self.now = self.deadline().expect("allowed");
        let repeats = self.setup.version == ProtocolVersion::V311;
        self.sides.iter_mut().for_each(|side| side.ledger.may_repeat(repeats));
        self.client.handle_timeout(self.now);
        self.settle()?;
        for at in (0..self.lines.len()).rev() {
            let closed = self.lines[at].server.handle_timeout(self.now);
            self.settle()?;
            if closed.is_some() {
                self.end_server(at);
            }
        }
        let repeated = self.sides.iter_mut().map(|side| u8::from(side.ledger.repeated())).sum();
        let cut = u8::from(joined && !self.joined);
        let enough = self.left.repeats >= repeated && (cut == 0 || may_be_cut);
        self.left.repeats = self.left.repeats.saturating_sub(repeated);
        self.left.cuts = self.left.cuts.saturating_sub(cut);
        Ok(enough)
    }

    /// Everything of this process that it has not written down is gone.
    fn restart(&mut self, whose: Role) -> Checked {
        self.left.crashes -= 1;
        let Side { image, inbox, ledger } = &mut self.sides[whose as usize];
        inbox.clear();
        let session = image.clone().map(Session::journaled);
        ledger.restarted(session.iter().flat_map(Session::snapshot))?;
        match (whose, session) {
            (Role::Client, Some(session)) => {
                let client = Client::with_session(self.setup.options(), session);
                self.client = client.map_err(|error| broken("restart", format!("{error}")))?;
                self.to_client.clear();
                if self.joined && !self.setup.takeover {
                    self.end_server(self.lines.len() - 1);
                }
            }
            (_, session) => {
                self.lines.clear();
                self.kept = session;
            }
        }
        self.joined = false;
        Ok(())
    }

    /// Where nothing happens by itself any more, everything is done.
    pub(super) fn check_rest(&self) -> Checked {
        let line = self.lines.last().filter(|_| self.joined);
        let server = line.and_then(|line| line.server.session());
        let (ClientState::Connected, Some(server)) = (self.client.state(), server) else {
            return Err(broken("rest", "there is no connection"));
        };
        for session in [self.client.session(), server] {
            let (open, held) = (session.open(), session.received());
            ensure(open == 0 && held.is_empty(), "rest", || format!("{open} open, held {held:?}"))?;
        }
        self.sides.iter().try_for_each(|side| side.ledger.check_rest())
    }

    /// The connection that has the server's session.
    fn holder(&self) -> Option<usize> {
        self.lines.iter().position(|line| line.server.is_connected())
    }

    pub(super) const fn ledger(&mut self, publisher: Role) -> &mut Ledger {
        &mut self.sides[publisher as usize].ledger
    }

    pub(super) fn read(&self, from: Role, bytes: &[u8]) -> Packet<Bytes> {
        let mut bytes = BytesMut::from(bytes);
        match Decoder::new(from, self.setup.version).decode_bytes(&mut bytes) {
            Ok(Status::Ready(packet)) => packet,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn tell(&self, what: impl FnOnce() -> String) {
        if let Some(story) = &self.story {
            story.borrow_mut().push(what());
        }
    }
}

pub(super) const fn other(role: Role) -> Role {
    match role {
        Role::Client => Role::Server,
        Role::Server => Role::Client,
    }
}

/// The first of some packets. None here is longer than 127 bytes.
pub(super) fn take_packet(bytes: &mut Vec<u8>) -> BytesMut {
    let rest = bytes.split_off(2 + usize::from(bytes[1]));
    BytesMut::from(&mem::replace(bytes, rest)[..])
}
