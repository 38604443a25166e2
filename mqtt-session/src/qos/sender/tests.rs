//! A sender against plain lists of flags.

use alloc::{
    collections::{BTreeMap, BTreeSet},
    vec,
    vec::Vec,
};

use mqtt_proto::{Properties, Property, TopicName};
use proptest::prelude::*;

use super::{super::transition::on_ack, *};

const LIMIT: u16 = 12;
/// What rests or is set aside comes on top.
const IDS: u16 = LIMIT + 8;

#[derive(Clone, Debug)]
enum Step {
    /// A message of QoS 1 or 2, and its Message Expiry Interval.
    Accept(bool, Option<u32>),
    Request,
    Answer(u16),
    Send,
    /// What is next cannot be sent.
    Drop,
    DropOldest,
    Expire,
    Pass(u64),
    Ack(u16, AckInput),
    Connect(u16),
    /// Everything once more on the same connection.
    Repeat,
    Cancel,
    Lose,
    /// The next identifier is none of those with a bit here that were ever given out.
    SetAside(u32),
    /// Another life, from what a snapshot says, or from a journal in which each message is accepted
    /// first and sent later.
    Restore {
        later: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let id = || 1..=IDS;
    let input = prop::sample::select(AckInput::ALL.to_vec());
    prop_oneof![
        8 => (any::<bool>(), prop::option::of(0..3u32))
            .prop_map(|(qos_2, expiry)| Step::Accept(qos_2, expiry)),
        1 => Just(Step::Request),
        1 => id().prop_map(Step::Answer),
        8 => Just(Step::Send),
        1 => Just(Step::Drop),
        1 => Just(Step::DropOldest),
        2 => Just(Step::Expire),
        3 => prop::sample::select(vec![1, 400_000, 1_000_000]).prop_map(Step::Pass),
        12 => (id(), input).prop_map(|(id, input)| Step::Ack(id, input)),
        1 => (1..6u16).prop_map(Step::Connect),
        1 => Just(Step::Repeat),
        1 => Just(Step::Cancel),
        1 => Just(Step::Lose),
        1 => any::<u32>().prop_map(Step::SetAside),
        1 => any::<bool>().prop_map(|later| Step::Restore { later }),
    ]
}

#[derive(Clone, Debug)]
struct Message {
    id: u16,
    qos_2: bool,
    accepted: Instant,
    expires: Option<Instant>,
    /// Whether it was sent on any connection, and when in this round.
    sent: bool,
    at: Option<Instant>,
}

#[derive(Clone, Debug)]
struct Release {
    id: u16,
    /// Whether its PUBLISH was sent in this round.
    counts: bool,
    at: Instant,
    /// Whether its outcome was told already.
    abandoned: bool,
}

#[derive(Debug, Default)]
struct Model {
    now: Instant,
    messages: Vec<Message>,
    releases: Vec<Release>,
    requests: BTreeMap<u16, u32>,
    window: u16,
    /// Those whose packets were repeated on this connection, open or not.
    repeated: BTreeSet<u16>,
    /// What was set aside.
    next_id: Option<u16>,
}

impl Model {
    fn taken(&self) -> usize {
        self.messages.len() + self.releases.len() + self.requests.len()
    }

    fn in_flight(&self) -> usize {
        self.messages.iter().filter(|message| message.at.is_some()).count()
            + self.releases.iter().filter(|release| release.counts).count()
    }

    /// Where in `messages` the next one is.
    fn next(&self) -> Option<usize> {
        let free = self.in_flight() < usize::from(self.window);
        self.messages.iter().position(|message| message.at.is_none()).filter(|_| free)
    }

    fn is_open(&self, id: u16) -> bool {
        self.messages.iter().any(|message| message.id == id)
            || self.releases.iter().any(|release| release.id == id)
            || self.requests.contains_key(&id)
    }

    /// An identifier was given out.
    fn taken_next(&mut self, id: PacketId) -> u16 {
        let id = id.get();
        assert!(!self.is_open(id), "{id} is open");
        assert!(!self.repeated.contains(&id), "{id} rests");
        if let Some(next) = self.next_id.take() {
            assert_eq!(id, next, "what was set aside");
        }
        id
    }

    /// A round begins, on a new connection or not.
    fn begin_round(&mut self) {
        self.messages.iter_mut().for_each(|message| message.at = None);
        self.releases.iter_mut().for_each(|release| release.counts = false);
        for release in &mut self.releases {
            release.at = self.now;
        }
    }

    fn connect(&mut self, window: u16) {
        self.window = window;
        self.repeated.clear();
        self.begin_round();
    }

    fn ack(&mut self, id: u16, input: AckInput) -> SendStep {
        let message = self.messages.iter().position(|message| message.id == id && message.sent);
        let release = self.releases.iter().position(|release| release.id == id);
        let state = match (message, release) {
            (Some(at), _) if self.messages[at].qos_2 => Some(SendState::AwaitPubRec),
            (Some(_), _) => Some(SendState::AwaitPubAck),
            (None, Some(_)) => Some(SendState::AwaitPubComp),
            (None, None) => None,
        };
        let step = on_ack(state, input);
        match (step, message, release) {
            (SendStep::Finish, Some(at), _) => drop(self.messages.remove(at)),
            (SendStep::Finish, None, Some(at)) => drop(self.releases.remove(at)),
            (SendStep::Release, Some(at), _) => self.release(at, false),
            _ => {}
        }
        step
    }

    fn release(&mut self, at: usize, abandoned: bool) {
        let Message { id, at, .. } = self.messages.remove(at);
        self.releases.push(Release { id, counts: at.is_some(), at: self.now, abandoned });
    }

    fn expire(&mut self) -> Vec<u16> {
        let now = self.now;
        let due = |message: &&Message| {
            !message.sent && message.expires.is_some_and(|expires| expires <= now)
        };
        let expired: Vec<_> = self.messages.iter().filter(due).map(|message| message.id).collect();
        self.messages.retain(|message| !due(&message));
        expired
    }

    fn next_expiry(&self) -> Option<Instant> {
        let waiting = self.messages.iter().filter(|message| !message.sent);
        waiting.filter_map(|message| message.expires).min()
    }

    fn oldest_sent(&self) -> Option<Instant> {
        let messages = self.messages.iter().filter_map(|message| message.at);
        messages.chain(self.releases.iter().map(|release| release.at)).min()
    }

    fn check(&self, sender: &Sender) {
        let ids = |ids: &mut dyn Iterator<Item = u16>| ids.collect::<Vec<_>>();
        assert_eq!(usize::from(sender.taken()), self.taken());
        assert_eq!(sender.is_full(), self.taken() >= usize::from(LIMIT));
        assert_eq!(usize::from(sender.quota()) + self.in_flight(), usize::from(self.window));
        assert_eq!(
            ids(&mut sender.releases().map(PacketId::get)),
            ids(&mut self.releases.iter().map(|release| release.id))
        );
        assert_eq!(
            ids(&mut sender.messages().map(|held| held.id.get())),
            ids(&mut self.messages.iter().map(|message| message.id))
        );
        let waiting = || self.messages.iter().filter(|message| !message.sent);
        assert_eq!(
            ids(&mut sender.waiting().map(|held| held.id.get())),
            ids(&mut waiting().map(|message| message.id))
        );
        assert_eq!(sender.has_fresh(), waiting().next().is_some());
        for release in &self.releases {
            assert_eq!(sender.is_abandoned(id(release.id)), release.abandoned);
        }
        let next = self.next().map(|at| (self.messages[at].id, self.messages[at].sent));
        assert_eq!(sender.peek().map(|next| (next.id.get(), next.dup)), next);
        assert_eq!(sender.oldest_sent(), self.oldest_sent());
        if let Some(real) = self.next_expiry() {
            assert!(sender.next_expiry().is_some_and(|next| next <= real), "it would be late");
        }
    }
}

fn id(number: u16) -> PacketId {
    PacketId::new(number).expect("not 0")
}

fn message(qos_2: bool, expiry: Option<u32>) -> Publication<Bytes> {
    let topic = TopicName::try_from("t").expect("a topic name");
    let qos = if qos_2 { QoS::ExactlyOnce } else { QoS::AtLeastOnce };
    let expiry = Properties::new(expiry.map(Property::MessageExpiryInterval)).expect("legal");
    Publication::new(topic, Bytes::new()).with_qos(qos).with_properties(expiry)
}

fn apply(sender: &mut Sender, model: &mut Model, step: &Step) {
    let now = model.now;
    match *step {
        Step::Accept(qos_2, interval) => {
            let message = message(qos_2, interval);
            let expires = expiry(&message, now);
            match sender.accept(now, message) {
                None => assert_eq!(model.taken(), usize::from(LIMIT)),
                Some(id) => {
                    let id = model.taken_next(id);
                    let (sent, at) = (false, None);
                    model.messages.push(Message { id, qos_2, accepted: now, expires, sent, at });
                }
            }
        }
        Step::Request => match sender.accept_request(PacketType::SubAck, 7) {
            None => assert_eq!(model.taken(), usize::from(LIMIT)),
            Some(id) => {
                let id = model.taken_next(id);
                model.requests.insert(id, 7);
            }
        },
        Step::Answer(number) => {
            assert_eq!(sender.finish_request(id(number), PacketType::UnsubAck), None);
            let answered = sender.finish_request(id(number), PacketType::SubAck);
            assert_eq!(answered, model.requests.remove(&number));
        }
        Step::Send => {
            if let Some(at) = model.next() {
                assert_eq!(sender.sent(now), !model.messages[at].sent);
                (model.messages[at].sent, model.messages[at].at) = (true, Some(now));
            }
        }
        Step::Drop => {
            if let Some(at) = model.next() {
                if model.messages[at].qos_2 && model.messages[at].sent {
                    sender.abandon_unsent(now);
                    model.release(at, true);
                } else {
                    sender.drop_unsent();
                    model.messages.remove(at);
                }
            }
        }
        Step::DropOldest => {
            let at = model.messages.iter().position(|message| !message.sent);
            let dropped = at.map(|at| model.messages.remove(at).id);
            assert_eq!(sender.drop_oldest().map(PacketId::get), dropped);
        }
        Step::Expire => {
            let due = sender.next_expiry().is_some_and(|at| at <= now);
            let mut expired = Vec::new();
            sender.expire(now, |id| expired.push(id.get()));
            assert_eq!(expired, model.expire());
            if due {
                // It has looked at all of them.
                assert_eq!(sender.next_expiry(), model.next_expiry());
            }
        }
        Step::Pass(micros) => model.now = now + Duration::from_micros(micros),
        Step::Ack(number, input) => {
            let step = sender.on_ack(now, id(number), input);
            assert_eq!(step, model.ack(number, input));
        }
        Step::Connect(window) => {
            sender.connect(window);
            sender.releases_sent(now);
            model.connect(window);
        }
        Step::Repeat => {
            sender.repeat();
            sender.releases_sent(now);
            let open = model.messages.iter().map(|message| message.id);
            model.repeated.extend(open.chain(model.releases.iter().map(|release| release.id)));
            model.begin_round();
        }
        Step::Cancel => {
            let mut cancelled = Vec::new();
            sender.cancel_requests(|id| cancelled.push(id.get()));
            let requests = core::mem::take(&mut model.requests);
            assert_eq!(cancelled, requests.into_keys().collect::<Vec<_>>());
        }
        Step::Lose => lose(sender, model),
        Step::SetAside(bits) => {
            let given = sender.slots.len();
            let avoid = |id: PacketId| usize::from(id.get()) <= given && bits >> id.get() & 1 == 1;
            let aside = sender.set_aside(avoid).expect("there are more than enough");
            assert!(!avoid(aside));
            model.next_id = Some(aside.get());
        }
        Step::Restore { later } => restore(sender, model, later),
    }
}

fn lose(sender: &mut Sender, model: &mut Model) {
    let mut lost = Vec::new();
    sender.lose_session(|id| lost.push(id.get()));
    let sent = model.messages.iter().filter(|message| message.sent).map(|message| message.id);
    let released = model.releases.iter().filter(|release| !release.abandoned);
    let released = released.map(|release| release.id);
    assert_eq!(lost, released.chain(sent).collect::<Vec<_>>());
    model.releases.clear();
    model.messages.retain(|message| !message.sent);
    // A session is only lost between two connections.
    sender.connect(model.window);
    model.connect(model.window);
}

fn restore(sender: &mut Sender, model: &mut Model, later: bool) {
    *sender = Sender::new(LIMIT);
    for Message { id: number, qos_2, accepted, expires, sent, .. } in &model.messages {
        let seconds = expires.map(|expires| expires.since(*accepted).as_secs() as u32);
        let message = message(*qos_2, seconds);
        let sent = *sent && !later;
        assert!(sender.restore(id(*number), *accepted, sent, message.clone()));
        assert!(!sender.restore(id(*number), *accepted, sent, message), "it is taken");
    }
    for release in &model.releases {
        assert!(sender.restore_release(id(release.id)));
        assert!(!sender.restore_sent(id(release.id)), "it is no message any more");
    }
    if later {
        for message in model.messages.iter().filter(|message| message.sent) {
            assert!(sender.restore_sent(id(message.id)));
        }
    }
    // Requests and what was told do not outlive a process.
    model.requests.clear();
    model.next_id = None;
    model.releases.iter_mut().for_each(|release| release.abandoned = false);
    let window = model.window;
    sender.connect(window);
    sender.releases_sent(model.now);
    model.connect(window);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn it_agrees_with_lists_of_flags(steps in prop::collection::vec(step(), 0..300)) {
        let (mut sender, mut model) = (Sender::new(LIMIT), Model::default());
        for step in &steps {
            apply(&mut sender, &mut model, step);
            model.check(&sender);
        }
        // However it was left, it can be emptied.
        sender.cancel_requests(|_| {});
        lose(&mut sender, &mut model);
        while sender.drop_oldest().is_some() {}
        prop_assert_eq!(sender.taken(), 0);
        prop_assert_eq!(sender.oldest_sent(), None);
    }
}

#[test]
fn a_slot_is_as_small_as_its_doc_says() {
    assert!(size_of::<Slot>() <= 160, "{}", size_of::<Slot>());
}

#[test]
fn with_every_identifier_taken_none_is_set_aside() {
    let mut sender = Sender::new(u16::MAX);
    for _ in 0..u16::MAX {
        sender.accept_request(PacketType::SubAck, 1).expect("room");
    }
    assert_eq!(sender.set_aside(|_| false), None);
    assert_eq!(sender.finish_request(id(9), PacketType::SubAck), Some(1));
    assert_eq!(sender.set_aside(|_| false), Some(id(9)));
    assert_eq!(sender.set_aside(|_| true), None);
}
