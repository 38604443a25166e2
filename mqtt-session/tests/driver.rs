//! A client driver on its own: what it reads, when it connects again, and that every call ends.

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use mqtt_session::{
    Answer, Backoff, CallError, ClientDriver, ClientOptions, CloseReason, CommandError,
    ConnectionState, DriverAction, Instant, JournalEntry, PublishError, Receipt, Request,
    Resubscribe, Session,
    proto::{
        Ack, Auth, ConnAck, Decoder, Delivery, Message, Packet, PacketId, Properties, Property,
        ProtocolVersion, Publication, Publish, QoS, ReasonCode, Role, Status, SubAck,
        SubscribeFilters, TopicFilter, TopicName, UnsubAck, UnsubscribeFilters,
    },
    undelivered_size,
};

/// A driver whose callers are numbers, and its clock.
struct Bench {
    driver: ClientDriver<u32>,
    now: Instant,
    ended: Vec<(u32, Result<ReasonCode, CallError>)>,
    delivered: Vec<Publish<Bytes>>,
    connects: usize,
    closes: usize,
    /// Subscriptions that were lost with the session, and what the server said.
    lost: Vec<(String, Option<ReasonCode>)>,
}

impl Bench {
    fn new(options: ClientOptions) -> Self {
        let driver = ClientDriver::new(options, 7).expect("legal options");
        let (ended, delivered) = (Vec::new(), Vec::new());
        let lost = Vec::new();
        Self { driver, now: Instant::ZERO, ended, delivered, connects: 0, closes: 0, lost }
    }

    fn connected(options: ClientOptions) -> Self {
        let mut bench = Self::new(options);
        bench.accept(false);
        bench
    }

    fn act(&mut self) {
        while let Some(action) = self.driver.poll_action() {
            match action {
                DriverAction::Deliver { publish, .. } => self.delivered.push(publish),
                DriverAction::Complete(waiter, result) => {
                    let result = result.map(|answer| match answer {
                        Answer::Acknowledged(reason) => reason,
                        Answer::Codes(codes) => codes.iter().next().expect("a code"),
                    });
                    self.ended.push((waiter, result));
                }
                DriverAction::SubscriptionLost { filter, reason } => {
                    self.lost.push((filter.to_string(), reason));
                }
                DriverAction::Connect => self.connects += 1,
                DriverAction::Close { .. } => self.closes += 1,
                _ => {}
            }
        }
        let transmit = self.driver.transmit();
        transmit.advance(transmit.remaining());
    }

    fn accept(&mut self, session_present: bool) {
        self.driver.handle_connected(self.now);
        let (reason, properties) = (ReasonCode::SUCCESS, Properties::EMPTY);
        self.receive(Packet::ConnAck(ConnAck { session_present, reason, properties }));
        assert!(matches!(self.driver.state(), ConnectionState::Connected(_)));
    }

    fn receive(&mut self, packet: Packet<Bytes>) {
        let mut bytes = BytesMut::new();
        packet.encode(ProtocolVersion::V5, &mut bytes).expect("a legal packet");
        self.driver.handle_input(self.now, &mut bytes);
        self.act();
    }

    fn deliver(&mut self, payload: usize) {
        let message = message(vec![0; payload]);
        let (delivery, retain) = (Delivery::AtMostOnce, false);
        self.receive(Packet::Publish(Publish { delivery, retain, message }));
    }

    fn request(&mut self, waiter: u32, request: Request) {
        self.driver.request(self.now, request, waiter);
        self.act();
    }

    /// Subscribes, which the server grants.
    fn subscribe(&mut self, waiter: u32, filter: &'static str) {
        let filter = TopicFilter::new(filter.as_bytes()).expect("a filter");
        let filters = SubscribeFilters::<Bytes>::new([(filter, QoS::AtLeastOnce)]);
        let filters = filters.expect("a list");
        self.request(waiter, Request::Subscribe { filters, properties: Properties::EMPTY });
        self.suback(1, ReasonCode::GRANTED_QOS_1);
    }

    /// How many requests and messages await an answer of the server.
    fn open(&self) -> usize {
        self.driver.session().open()
    }

    fn suback(&mut self, of: u16, code: ReasonCode) {
        self.receive(Packet::SubAck(SubAck::new(id(of), [code].into_iter().collect())));
    }

    /// The next connection, after which the session is there or is not.
    fn reconnect(&mut self, session_present: bool) {
        self.lose();
        self.wait();
        self.accept(session_present);
    }

    fn publish(&mut self, waiter: u32, qos: QoS) {
        let (retain, message) = (false, message("x".into()));
        self.request(waiter, Request::Publish(Publication { qos, retain, message }));
    }

    fn lose(&mut self) {
        self.driver.handle_closed(self.now);
        self.act();
    }

    /// Lets time pass to the next deadline; how much it was.
    fn wait(&mut self) -> Duration {
        let deadline = self.driver.poll_timeout().expect("something to wait for");
        let waited = deadline.since(self.now);
        self.now = deadline;
        self.driver.handle_timeout(self.now);
        self.act();
        waited
    }
}

fn message(payload: Vec<u8>) -> Message<Bytes> {
    let topic = TopicName::try_from("a").expect("a topic");
    Message { topic, payload: payload.into(), properties: Properties::EMPTY }
}

fn options() -> ClientOptions {
    ClientOptions::new("c").session_expiry(60).keep_alive(0)
}

fn reconnecting(min: u64, max: u64) -> ClientOptions {
    let backoff = Backoff::new(Duration::from_secs(min), Duration::from_secs(max));
    options().reconnect(Some(backoff)).request_timeout(Duration::MAX)
}

fn id(id: u16) -> PacketId {
    PacketId::new(id).expect("not 0")
}

#[test]
fn reads_as_long_as_messages_are_taken() {
    let mut bench = Bench::connected(options().max_undelivered(10_000));
    bench.deliver(9_000);
    assert!(bench.driver.wants_input());
    bench.deliver(1_000);
    assert!(!bench.driver.wants_input(), "the application is behind");

    // Whoever waits for an answer gets it all the same.
    bench.publish(1, QoS::AtLeastOnce);
    assert!(bench.driver.wants_input());
    bench.deliver(5_000);
    assert!(bench.driver.wants_input());
    bench.receive(Packet::PubAck(Ack::success(id(1))));
    assert_eq!(bench.ended, [(1, Ok(ReasonCode::SUCCESS))]);
    assert!(!bench.driver.wants_input());

    // But not behind any number of messages.
    bench.publish(2, QoS::AtLeastOnce);
    bench.deliver(5_000);
    assert!(!bench.driver.wants_input());
    bench.publish(3, QoS::ExactlyOnce);
    bench.publish(4, QoS::AtMostOnce);
    let not_taken = Err(CallError::MessagesNotTaken);
    let ended = [(2, not_taken.clone()), (3, not_taken), (4, Ok(ReasonCode::SUCCESS))];
    assert_eq!(bench.ended[1..], ended);

    let taken = bench.delivered.iter().map(undelivered_size).sum();
    bench.driver.handle_taken(taken);
    assert!(bench.driver.wants_input());
    bench.publish(5, QoS::AtLeastOnce);
    bench.receive(Packet::PubAck(Ack::success(id(2))));
    bench.receive(Packet::PubAck(Ack::success(id(3))));
    assert_eq!(bench.ended[4..], [(5, Ok(ReasonCode::SUCCESS))]);
}

#[test]
fn waits_between_attempts() {
    let mut bench = Bench::connected(reconnecting(1, 60));
    bench.lose();
    for whole in [1, 2, 4, 8, 16, 32, 60, 60] {
        let (waited, whole) = (bench.wait(), Duration::from_secs(whole));
        assert!(waited > whole / 2 && waited <= whole, "{waited:?} of {whole:?}");
        bench.driver.handle_connect_failed(bench.now);
        bench.act();
    }
    assert_eq!(bench.connects, 8);

    // A connection that did not hold does not shorten the wait; one that held does.
    for (held, least) in [(59, 30), (60, 0)] {
        bench.wait();
        bench.accept(true);
        bench.now = bench.now + Duration::from_secs(held);
        bench.lose();
        let next = bench.driver.poll_timeout().expect("a wait").since(bench.now);
        assert!(next >= Duration::from_secs(least) && next <= Duration::from_secs(least + 30));
    }
}

#[test]
fn every_call_ends() {
    let filters = || {
        let filter = TopicFilter::new(&b"a"[..]).expect("a filter");
        SubscribeFilters::<Bytes>::new([(filter, QoS::AtMostOnce)]).expect("a list")
    };
    let subscribe = || Request::Subscribe { filters: filters(), properties: Properties::EMPTY };
    let mut bench = Bench::connected(options().max_pending(2));
    bench.publish(1, QoS::AtLeastOnce);
    bench.request(2, subscribe());
    // No identifier is left for these.
    bench.publish(3, QoS::ExactlyOnce);
    bench.request(4, subscribe());
    assert!(!bench.driver.wants_requests());
    bench.lose();
    bench.publish(5, QoS::AtMostOnce);
    bench.request(6, subscribe());
    let lost = || Err(CallError::Closed(CloseReason::Lost));
    bench.ended.sort_by_key(|(waiter, _)| *waiter);
    assert_eq!(bench.ended, [1, 2, 3, 4, 5, 6].map(|waiter| (waiter, lost())));
    assert_eq!(bench.driver.poll_timeout(), None);
}

#[test]
fn calls_are_made_again_in_order() {
    let mut bench = Bench::connected(reconnecting(1, 1));
    let unsubscribe = || {
        let filter = TopicFilter::new(&b"a"[..]).expect("a filter");
        let filters = UnsubscribeFilters::<Bytes>::new([filter]);
        let filters = filters.expect("a list");
        Request::Unsubscribe { filters, properties: Properties::EMPTY }
    };
    bench.publish(1, QoS::AtLeastOnce);
    bench.request(2, unsubscribe());
    bench.request(3, unsubscribe());
    bench.lose();
    // In line behind those.
    bench.publish(4, QoS::AtMostOnce);
    assert_eq!(bench.ended, []);
    bench.wait();
    assert_eq!(bench.connects, 1);
    bench.accept(true);
    bench.receive(Packet::PubAck(Ack::success(id(1))));
    assert_eq!(bench.ended, [(4, Ok(ReasonCode::SUCCESS)), (1, Ok(ReasonCode::SUCCESS))]);
    for (waiter, of) in [(2, 2), (3, 3)] {
        let codes = [ReasonCode::SUCCESS].into_iter().collect();
        let unsuback = UnsubAck { id: id(of), properties: Properties::EMPTY, codes };
        bench.receive(Packet::UnsubAck(unsuback));
        assert_eq!(bench.ended.last(), Some(&(waiter, Ok(ReasonCode::SUCCESS))));
    }
}

#[test]
fn at_most_once_is_not_kept() {
    let mut bench = Bench::connected(reconnecting(1, 1));
    bench.lose();
    bench.publish(1, QoS::AtMostOnce);
    let error = CallError::Publish(PublishError::NotConnected);
    assert_eq!(bench.ended, [(1, Err(error))]);
}

#[test]
fn disconnect_between_connections() {
    let mut bench = Bench::connected(reconnecting(1, 1));
    bench.publish(1, QoS::AtLeastOnce);
    bench.lose();
    bench.driver.disconnect(bench.now, ReasonCode::NORMAL_DISCONNECTION);
    bench.act();
    let reason = CloseReason::Requested(ReasonCode::NORMAL_DISCONNECTION);
    assert_eq!(bench.ended, [(1, Err(CallError::Closed(reason.clone())))]);
    assert_eq!(*bench.driver.state(), ConnectionState::Closed(reason));
    assert_eq!((bench.driver.poll_timeout(), bench.connects, bench.closes), (None, 0, 0));
}

/// Two subscriptions, and a session that the server loses: how many are asked for again, and what
/// comes of a refusal of the first one.
#[test]
fn what_becomes_of_subscriptions_that_are_lost_with_the_session() {
    let refused = ReasonCode::NOT_AUTHORIZED;
    let lost = |filter: &str, reason| (filter.to_owned(), reason);
    let check = |policy, asked, reported: &[(String, Option<ReasonCode>)], closes| {
        let mut bench = Bench::connected(reconnecting(1, 1).resubscribe(policy));
        bench.subscribe(1, "a");
        bench.subscribe(2, "b");
        bench.reconnect(true);
        assert_eq!((bench.open(), &bench.lost[..]), (0, &[][..]), "{policy:?}: it was kept");
        bench.reconnect(false);
        assert_eq!(bench.open(), asked, "{policy:?}");
        // The last one granted is the first one asked for.
        bench.suback(2, refused);
        assert_eq!((&bench.lost[..], bench.closes), (reported, closes), "{policy:?}");
        if asked > 0 && closes == 0 {
            bench.suback(1, ReasonCode::GRANTED_QOS_1);
            // What was refused is not asked for again.
            bench.reconnect(false);
            assert_eq!(bench.open(), 1, "{policy:?}");
        }
    };
    check(Resubscribe::OrClose, 2, &[], 1);
    check(Resubscribe::OrReport, 2, &[lost("a", Some(refused))], 0);
    check(Resubscribe::Never, 0, &[lost("a", None), lost("b", None)], 0);
}

/// The server kept a session, but not of the connection on which the subscription was granted.
#[test]
fn a_subscription_that_was_not_granted_again_is_asked_for_again() {
    let mut bench = Bench::connected(reconnecting(1, 1));
    bench.subscribe(1, "a");
    bench.reconnect(false);
    assert_eq!(bench.open(), 1);
    bench.reconnect(true);
    assert_eq!(bench.open(), 1);
    bench.suback(1, ReasonCode::GRANTED_QOS_1);
    bench.reconnect(true);
    assert_eq!(bench.open(), 0);
}

/// A driver of which everything is written down, in order: what it asks of its adapter and, last,
/// what it has to say.
struct Diary {
    driver: ClientDriver<u32>,
    now: Instant,
    receipts: Vec<Receipt>,
    journal: Vec<JournalEntry>,
}

impl Diary {
    /// Connected, with a CONNACK that says this.
    fn connected(options: ClientOptions, properties: &[Property<'_>]) -> Self {
        let driver = ClientDriver::new(options, 7).expect("legal options");
        let (receipts, journal) = (Vec::new(), Vec::new());
        let mut diary = Self { driver, now: Instant::ZERO, receipts, journal };
        diary.connect(false, properties);
        diary
    }

    fn connect(&mut self, present: bool, properties: &[Property<'_>]) {
        self.driver.handle_connected(self.now);
        self.read();
        let properties = Properties::new(properties.iter().copied()).expect("legal");
        let connack = ConnAck::accepted(present).with_properties(properties);
        self.hear(&Packet::ConnAck(connack));
    }

    fn hear(&mut self, packet: &Packet<Bytes>) -> Vec<String> {
        let mut bytes = BytesMut::new();
        packet.encode(ProtocolVersion::V5, &mut bytes).expect("a legal packet");
        self.driver.handle_input(self.now, &mut bytes);
        self.read()
    }

    fn publish(&mut self, waiter: u32, qos: QoS) -> Vec<String> {
        let (retain, message) = (false, message("x".into()));
        let request = Request::Publish(Publication { qos, retain, message });
        self.driver.request(self.now, request, waiter);
        self.read()
    }

    fn read(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Some(action) = self.driver.poll_action() {
            lines.push(match action {
                DriverAction::Deliver { publish, receipt } => {
                    self.receipts.extend(receipt);
                    format!("deliver {}", String::from_utf8_lossy(&publish.message.payload))
                }
                DriverAction::Auth(auth) => {
                    let data = auth.properties.authentication_data().unwrap_or_default();
                    format!("auth {:#04x} {}", auth.reason.get(), String::from_utf8_lossy(data))
                }
                DriverAction::Journal(entry) => {
                    self.journal.push(entry.clone());
                    match entry {
                        JournalEntry::Accepted { id, sent, .. } => {
                            format!("journal: accepted {id}, sent: {sent}")
                        }
                        entry => format!("journal: {entry:?}"),
                    }
                }
                DriverAction::Complete(waiter, result) => format!("{waiter} ends: {result:?}"),
                DriverAction::State(_) => continue,
                action => format!("{action:?}"),
            });
        }
        let bytes = self.driver.transmit().chunk().to_vec();
        let (mut decoder, mut at) = (Decoder::new(Role::Client, ProtocolVersion::V5), 0);
        if bytes.first() == Some(&0x10) {
            decoder = Decoder::awaiting_connect();
        }
        while let Ok(Status::Ready((packet, len))) = decoder.decode(&bytes[at..]) {
            at += len;
            lines.push(format!("says {}", packet.packet_type().name()));
        }
        let transmit = self.driver.transmit();
        transmit.advance(transmit.remaining());
        lines
    }
}

fn incoming(qos: QoS, number: u16, payload: &str) -> Packet<Bytes> {
    let delivery = match qos {
        QoS::AtMostOnce => Delivery::AtMostOnce,
        QoS::AtLeastOnce => Delivery::AtLeastOnce { id: id(number), dup: false },
        QoS::ExactlyOnce => Delivery::ExactlyOnce { id: id(number), dup: false },
    };
    let message = message(payload.into());
    Packet::Publish(Publish { delivery, retain: false, message })
}

#[test]
fn receipts_go_through_a_driver_and_back() {
    let mut diary = Diary::connected(options().manual_acknowledgement(true), &[]);
    assert_eq!(diary.hear(&incoming(QoS::AtLeastOnce, 1, "a")), ["deliver a"]);
    assert_eq!(diary.hear(&incoming(QoS::ExactlyOnce, 2, "b")), ["deliver b"]);
    assert_eq!(diary.hear(&incoming(QoS::AtMostOnce, 0, "c")), ["deliver c"]);
    let [first, second] = diary.receipts[..] else { panic!("{:?}", diary.receipts) };
    let success = ReasonCode::SUCCESS;
    assert_eq!(diary.driver.acknowledge(diary.now, second, success), Ok(()));
    assert_eq!(diary.read(), ["says PUBREC"]);
    diary.driver.handle_closed(diary.now);
    let late = diary.driver.acknowledge(diary.now, first, success);
    assert_eq!(late, Err(CommandError::NothingToAnswer));
}

#[test]
fn authentication_goes_through_a_driver_and_back() {
    let method = Property::AuthenticationMethod("m");
    let auth = |reason, data: &'static str| {
        let properties = [method, Property::AuthenticationData(data.as_bytes())];
        Packet::Auth(Auth::new(reason, Properties::new(properties).expect("legal")))
    };
    let (more, success) = (ReasonCode::CONTINUE_AUTHENTICATION, ReasonCode::SUCCESS);
    let driver = ClientDriver::new(options().authentication("m", "first"), 7);
    let (receipts, journal) = (Vec::new(), Vec::new());
    let driver = driver.expect("legal options");
    let mut diary = Diary { driver, now: Instant::ZERO, receipts, journal };
    let out_of_turn = Err(CommandError::NothingToAnswer);
    assert_eq!(diary.driver.authenticate(diary.now, b"x"), Err(CommandError::NotConnected));
    diary.driver.handle_connected(diary.now);
    assert_eq!(diary.read(), ["says CONNECT"]);
    assert_eq!(diary.driver.authenticate(diary.now, b"x"), out_of_turn);
    assert_eq!(diary.hear(&auth(more, "s1")), ["auth 0x18 s1"]);
    assert_eq!(diary.driver.authenticate(diary.now, b"c1"), Ok(()));
    assert_eq!(diary.read(), ["says AUTH"]);
    let accepted = Properties::new([method]).expect("legal");
    diary.hear(&Packet::ConnAck(ConnAck::accepted(false).with_properties(accepted)));
    assert!(matches!(diary.driver.state(), ConnectionState::Connected(_)));
    assert_eq!(diary.driver.reauthenticate(diary.now, b"c2"), Ok(()));
    assert_eq!(diary.driver.reauthenticate(diary.now, b"c2"), out_of_turn);
    assert_eq!(diary.read(), ["says AUTH"]);
    assert_eq!(diary.hear(&auth(success, "s2")), ["auth 0x00 s2"]);
}

#[test]
fn journal_entries_go_through_a_driver_before_what_follows_from_them() {
    let mut diary = Diary::connected(options().journaled(true), &[]);
    let (success, finished) = (ReasonCode::SUCCESS, "journal: Finished { id: #1 }");
    let ends = |waiter| format!("{waiter} ends: Ok(Acknowledged(0x00 Success))");
    diary.journal.clear();
    assert_eq!(
        diary.publish(1, QoS::AtLeastOnce),
        ["journal: accepted 1, sent: true", "says PUBLISH"]
    );
    assert_eq!(diary.hear(&Packet::PubAck(Ack::success(id(1)))), [finished.to_owned(), ends(1)]);
    diary.publish(2, QoS::ExactlyOnce);
    assert_eq!(
        diary.hear(&Packet::PubRec(Ack::new(id(1), success))),
        ["journal: Released { id: #1 }", "says PUBREL"]
    );
    assert_eq!(diary.hear(&Packet::PubComp(Ack::success(id(1)))), [finished.to_owned(), ends(2)]);
    assert_eq!(
        diary.hear(&incoming(QoS::ExactlyOnce, 7, "down")),
        ["journal: Held { id: #7 }", "deliver down", "says PUBREC"]
    );
    diary.publish(3, QoS::ExactlyOnce);

    // Another life: the session is what was written down, and the driver goes on with it.
    let restored = Session::restore(1000, diary.journal.clone()).expect("a journal");
    let (snapshot, kept): (Vec<_>, Vec<_>) =
        (restored.snapshot().collect(), diary.driver.session().snapshot().collect());
    assert_eq!(snapshot, kept);
    let driver = ClientDriver::with_session(options(), restored, 7).expect("it lasts");
    let (receipts, journal) = (Vec::new(), Vec::new());
    let mut diary = Diary { driver, now: Instant::ZERO, receipts, journal };
    diary.driver.handle_connected(diary.now);
    assert_eq!(diary.read(), ["says CONNECT"]);
    assert_eq!(diary.hear(&Packet::ConnAck(ConnAck::accepted(true))), ["says PUBLISH"]);
    assert_eq!(diary.hear(&incoming(QoS::ExactlyOnce, 7, "down")), ["says PUBREC"]);
}
