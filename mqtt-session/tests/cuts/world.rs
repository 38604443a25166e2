//! A client and a server that play a scenario over connections that are cut, in virtual time.

mod application;
mod broker;

use std::{collections::VecDeque, iter::from_fn, time::Duration};

use bytes::BytesMut;
use mqtt_session::{
    Client, ClientState, Instant, JournalEntry, Receipt, Server, Session,
    proto::{Message, PacketId, ReasonCode, Status},
};

use super::{
    ledger::{Harvest, Ledger},
    pipe::{Pipe, Watch, Way},
    scenario::{Answers, Ending, Forget, Scenario, Step},
};

/// How many bytes of a connection arrive at most, in each direction. What is written beyond is
/// lost, and the connection ends once nothing moves any more: at the end of the scenario if nothing
/// was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Cut {
    pub(crate) up: usize,
    pub(crate) down: usize,
}

impl Cut {
    pub(crate) const NONE: Self = Self { up: usize::MAX, down: usize::MAX };
}

/// What a run was like.
#[derive(Debug, Default)]
pub(crate) struct Report {
    /// How much arrived on each connection.
    pub(crate) arrived: Vec<Cut>,
    /// How much had arrived after each step on the way there.
    pub(crate) paths: Vec<Vec<Cut>>,
    /// How many messages were sent with a topic alias and no topic name.
    pub(crate) aliased: usize,
    /// What was delivered, up and down.
    pub(crate) harvest: [Harvest; 2],
}

/// One network connection, with the server's end of it.
struct Link {
    number: u32,
    server: Server,
    /// How much of `up` the server has taken as packets.
    taken: usize,
    up: Pipe,
    down: Pipe,
    path: Vec<Cut>,
}

/// A SUBSCRIBE or UNSUBSCRIBE without an answer.
#[derive(Debug, PartialEq)]
struct OpenRequest {
    /// None once it is known that no answer will come.
    id: Option<PacketId>,
    step: Step,
}

pub(crate) struct World<'a> {
    scenario: &'a Scenario,
    cuts: &'a [Cut],
    now: Instant,
    client: Client,
    client_inbox: BytesMut,
    link: Option<Box<Link>>,
    /// A connection whose end the server has not noticed.
    old: Option<Box<Link>>,
    /// What the server keeps of the client while no connection has it.
    kept: Option<Session>,
    /// Up and down.
    ledgers: [Ledger; 2],
    /// What the applications are about to do.
    client_plans: VecDeque<Step>,
    server_plans: VecDeque<usize>,
    requests: Vec<OpenRequest>,
    subscribed: Vec<&'static str>,
    /// Messages that were not answered.
    unanswered: VecDeque<(Way, Receipt, usize)>,
    /// Receipts of earlier connections, for messages up and down.
    stale: [Vec<Receipt>; 2],
    /// What the client and the server have written down.
    journals: [Vec<JournalEntry>; 2],
    connections: u32,
    was_away: bool,
    /// The client has said what makes the connection end.
    client_closed: bool,
    /// The server has lost the session that it once had, and the client has not heard of it.
    hidden_loss: bool,
    report: Report,
    trace: Option<&'a mut Vec<String>>,
}

impl<'a> World<'a> {
    /// Plays a scenario to its end, over as many connections as there are cuts and one more, and
    /// panics where a promise is broken.
    pub(crate) fn play(
        scenario: &'a Scenario,
        cuts: &'a [Cut],
        trace: Option<&'a mut Vec<String>>,
    ) -> Report {
        let client = Client::new(scenario.options.clone()).expect("legal options");
        let mut world = Self {
            scenario,
            cuts,
            now: Instant::ZERO,
            client,
            client_inbox: BytesMut::new(),
            link: None,
            old: None,
            kept: None,
            ledgers: Default::default(),
            client_plans: VecDeque::new(),
            server_plans: VecDeque::new(),
            requests: Vec::new(),
            subscribed: Vec::new(),
            unanswered: VecDeque::new(),
            stale: Default::default(),
            journals: Default::default(),
            connections: 0,
            was_away: false,
            client_closed: false,
            hidden_loss: false,
            report: Report::default(),
            trace,
        };
        world.connect();
        world.rest();
        for &step in &scenario.script {
            world.perform(step);
        }
        world.finish();
        world.report
    }

    fn finish(&mut self) {
        self.rest();
        while self.connections as usize <= self.cuts.len()
            || !(self.was_away || self.scenario.away.is_empty())
        {
            self.end();
            self.rest();
        }
        self.check();
        let mut link = self.link.take().expect("connected");
        self.arrived(&mut link);
        self.report.harvest = self.ledgers.each_ref().map(|ledger| ledger.harvest(self.scenario));
    }

    fn perform(&mut self, step: Step) {
        self.note(|| format!("{step:?}"));
        match step {
            Step::Rest => self.rest(),
            Step::Wait(time) => self.wait(time),
            Step::Disconnect => {
                self.client.disconnect(self.now, ReasonCode::NORMAL_DISCONNECTION);
                self.rest();
            }
            Step::Down(message) => self.server_plans.push_back(message),
            Step::Up(_) | Step::Subscribe(_) | Step::Unsubscribe(_) => {
                self.client_plans.push_back(step);
            }
        }
        self.settle();
    }

    fn wait(&mut self, time: Duration) {
        self.now = self.now + time;
        self.client.handle_timeout(self.now);
        if let Some(link) = &mut self.link {
            assert_eq!(link.server.handle_timeout(self.now), None);
        }
    }

    fn connect(&mut self) {
        let number = self.connections;
        self.connections += 1;
        let Cut { up, down } = self.cuts.get(number as usize).copied().unwrap_or(Cut::NONE);
        let (scenario, now) = (self.scenario, self.now);
        let windows = scenario.windows(number);
        self.client_inbox.clear();
        self.client_closed = false;
        self.client.handle_connected(now);
        self.link = Some(Box::new(Link {
            number,
            server: Server::new(scenario.config(number), now),
            taken: 0,
            up: Pipe::new(Way::Up, scenario.version, windows[0], up),
            down: Pipe::new(Way::Down, scenario.version, windows[1], down),
            path: vec![Cut { up: 0, down: 0 }],
        }));
        self.settle();
    }

    /// Lets bytes move until none does, over another connection where this one is cut.
    fn rest(&mut self) {
        for _ in 0..10_000 {
            self.settle();
            if self.arrive_up() | self.arrive_down() {
                continue;
            }
            self.check_sent();
            let link = self.link.as_ref().expect("there is always one");
            if link.up.is_cut() || link.down.is_cut() || self.client_closed {
                self.end();
            } else if !self.answer() {
                assert!(self.client_plans.is_empty() && self.server_plans.is_empty());
                return;
            }
        }
        panic!("no end in sight");
    }

    /// An application says that it has a message; whether there was one.
    fn answer(&mut self) -> bool {
        let next = match self.scenario.settings.answers {
            Answers::Backwards => self.unanswered.pop_back(),
            Answers::AtOnce | Answers::Late => self.unanswered.pop_front(),
        };
        let Some((way, receipt, index)) = next else { return false };
        match way {
            Way::Up => {
                let mut link = self.link.take().expect("connected");
                self.own(&mut link, Some(receipt), index);
                self.link = Some(link);
            }
            Way::Down => self.receive(Some(receipt), index),
        }
        true
    }

    /// Lets everybody but the network do what there is to do.
    fn settle(&mut self) {
        loop {
            self.poll_client();
            if !(self.write() | self.proceed_client() | self.proceed_server()) {
                return;
            }
        }
    }

    fn write(&mut self) -> bool {
        let Some(mut link) = self.link.take() else { return false };
        let moved = self.take_up(&mut link) | self.take_down(&mut link);
        self.link = Some(link);
        if let Some(mut old) = self.old.take() {
            self.take_down(&mut old);
            self.old = Some(old);
        }
        moved
    }

    fn take_up(&mut self, link: &mut Link) -> bool {
        let [ledger, _] = &mut self.ledgers;
        let mut watch = Watch {
            scenario: self.scenario,
            now: self.now,
            connection: link.number,
            ledger,
            trace: self.trace.as_deref_mut(),
        };
        link.up.take(self.client.transmit(), &mut watch)
    }

    fn take_down(&mut self, link: &mut Link) -> bool {
        let mut moved = false;
        loop {
            let [_, ledger] = &mut self.ledgers;
            let mut watch = Watch {
                scenario: self.scenario,
                now: self.now,
                connection: link.number,
                ledger,
                trace: self.trace.as_deref_mut(),
            };
            moved |= link.down.take(link.server.transmit(), &mut watch);
            link.server.handle_flushed(self.now, |id, how| ledger.finished(id.get(), how));
            self.journals[Way::Down.index()].extend(from_fn(|| link.server.poll_journal()));
            if link.server.transmit().is_empty() {
                return moved;
            }
        }
    }

    fn arrive_up(&mut self) -> bool {
        let Some(mut link) = self.link.take() else { return false };
        let moved = self.feed_server(&mut link);
        self.link = Some(link);
        moved
    }

    fn feed_server(&mut self, link: &mut Link) -> bool {
        let count = link.up.ready(self.scenario.settings.chunk);
        if count == 0 || !link.server.wants_input() {
            return false;
        }
        let [_, ledger] = &mut self.ledgers;
        let mut watch = Watch {
            scenario: self.scenario,
            now: self.now,
            connection: link.number,
            ledger,
            trace: None,
        };
        link.up.arrive(count, &mut link.down, &mut watch);
        link.path.push(Cut { up: link.up.arrived, down: link.down.arrived });
        let bytes = std::mem::take(&mut link.up.bytes);
        while link.server.wants_input() {
            match link.server.decode(self.now, &bytes[link.taken..link.up.arrived]) {
                Ok(Status::Ready((packet, len))) => {
                    link.taken += len;
                    self.serve(link, packet);
                }
                Ok(Status::NeedMore(_)) => break,
                Err(reason) => panic!("the server closes: {reason}"),
            }
        }
        link.up.bytes = bytes;
        self.take_down(link);
        true
    }

    fn arrive_down(&mut self) -> bool {
        let Some(link) = &mut self.link else { return false };
        let count = link.down.ready(self.scenario.settings.chunk);
        if count == 0 || !self.client.wants_input() {
            return false;
        }
        let start = link.down.arrived;
        self.client_inbox.extend_from_slice(&link.down.bytes[start..start + count]);
        let [ledger, _] = &mut self.ledgers;
        let mut watch = Watch {
            scenario: self.scenario,
            now: self.now,
            connection: link.number,
            ledger,
            trace: None,
        };
        let told = link.down.arrive(count, &mut link.up, &mut watch);
        link.path.push(Cut { up: link.up.arrived, down: link.down.arrived });
        self.client.handle_input(self.now, &mut self.client_inbox);
        if told {
            self.hidden_loss = false;
            self.poll_client();
            self.ledgers[Way::Up.index()].check_lost();
        }
        true
    }

    /// The connection ends, and another one begins.
    fn end(&mut self) {
        let mut link = self.link.take().expect("connected");
        let Cut { up, down } = self.arrived(&mut link);
        self.note(|| format!("cut after {up} bytes up and {down} bytes down"));
        let settings = &self.scenario.settings;
        if settings.ending == Ending::Silent {
            self.fall_silent(&mut link);
        }
        if !settings.lasts {
            self.ledgers[Way::Up.index()].lose();
        }
        for (way, receipt, _) in self.unanswered.drain(..) {
            self.stale[way.index()].push(receipt);
        }
        self.client.handle_closed(self.now);
        self.poll_client();
        self.ask_again();
        if !settings.lasts {
            self.ledgers[Way::Up.index()].check_lost();
        }
        if settings.crash {
            self.crash_client();
        }
        match settings.ending {
            Ending::Noticed | Ending::Silent => self.end_server(&mut link),
            Ending::TakenOver | Ending::TakenOverLate if self.old.is_none() => {
                self.old = Some(link);
            }
            // Its CONNECT never came: the server still has the connection before it.
            Ending::TakenOver | Ending::TakenOverLate => {}
        }
        let first = !std::mem::replace(&mut self.was_away, true);
        self.lose_session(first);
        for &step in self.scenario.away.iter().filter(|_| first) {
            self.perform(step);
        }
        self.now = self.now + Duration::from_secs(settings.pause);
        self.connect();
    }

    /// What the client knows from here on is what its journal says.
    fn crash_client(&mut self) {
        let journal = self.journals[Way::Up.index()].clone();
        let session = Session::restore(self.scenario.settings.max_pending, journal);
        let session = session.expect("a journal of a session").journaled();
        let known = self.client.session().snapshot();
        assert!(session.snapshot().eq(known), "another session was restored");
        let options = self.scenario.options.clone();
        self.client = Client::with_session(options, session).expect("legal options");
    }

    /// What is to be sent was.
    fn check_sent(&self) {
        let link = self.link.as_ref().expect("there is always one");
        let [up, down] = &self.ledgers;
        if self.client.state() == ClientState::Connected {
            up.check_sent(link.number, link.up.has_quota());
        }
        if link.server.is_connected() {
            down.check_sent(link.number, link.down.has_quota());
        }
    }

    fn journaled(&self, session: Session) -> Session {
        if self.scenario.settings.crash { session.journaled() } else { session }
    }

    fn arrived(&mut self, link: &mut Link) -> Cut {
        let arrived = Cut { up: link.up.arrived, down: link.down.arrived };
        self.report.arrived.push(arrived);
        self.report.aliased += link.up.aliased + link.down.aliased;
        self.report.paths.push(std::mem::take(&mut link.path));
        arrived
    }

    /// Nothing arrives any more, and both ends find out by themselves.
    fn fall_silent(&mut self, link: &mut Link) {
        let mut server_closed = false;
        for _ in 0..10 {
            let client = self.client.poll_timeout().filter(|_| !self.client_closed);
            let server = link.server.poll_timeout().filter(|_| !server_closed);
            let Some(now) = [client, server].into_iter().flatten().min() else { return };
            self.now = self.now.max(now);
            self.client.handle_timeout(self.now);
            self.poll_client();
            server_closed |= link.server.handle_timeout(self.now).is_some();
            self.take_up(link);
            self.take_down(link);
        }
        panic!("no end in sight");
    }

    /// Everything has come to rest: nobody waits for anything, and what was promised was done.
    fn check(&mut self) {
        let link = self.link.as_ref().expect("connected");
        assert!(link.up.is_at_rest(), "the client owes an answer");
        assert!(link.down.is_at_rest(), "the server owes an answer");
        assert_eq!(self.requests, [], "have no answer");
        for session in [Some(self.client.session()), link.server.session()] {
            let session = session.expect("connected");
            assert_eq!(session.open(), 0, "exchanges are open");
            let held = session.received();
            assert!(held.is_empty() || self.hidden_loss, "is held: {held:?}");
        }
        let delivery = !self.hidden_loss;
        self.ledgers.iter().for_each(|ledger| ledger.check(self.scenario, delivery));
        let [up, down] = self.scenario.windows(link.number);
        assert_eq!(self.client.send_quota(), up, "is the client's quota");
        self.probe(down.min(self.scenario.settings.max_pending));
    }

    /// The server's quota cannot be seen but by use.
    fn probe(&mut self, quota: u16) {
        self.server_plans.extend((0..=quota).map(|_| self.scenario.probe()));
        self.settle();
        let link = self.link.as_ref().expect("connected");
        assert_eq!(link.down.in_flight, quota, "is the server's quota");
    }

    /// Which message came, whole and with its topic.
    fn index(&self, message: &Message<&[u8]>) -> usize {
        let index = self.scenario.find(message.payload);
        assert_eq!(message.topic.as_str(), self.scenario.messages[index].topic);
        index
    }

    fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            trace.push(line());
        }
    }
}
