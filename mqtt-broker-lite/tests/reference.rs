//! The broker beside a model of it that is too simple to be wrong: lists, loops, and no connection
//! but who is there.

mod common;

use bytes::Bytes;
use common::*;
use mqtt_broker_lite::session::proto::{
    Property, ProtocolVersion, Publication, QoS, ReasonCode, RetainHandling, SubscriptionOptions,
};
use proptest::prelude::*;

const CLIENTS: usize = 4;
const TOPICS: [&str; 5] = ["a", "a/b", "a/c", "c/b", "$x/b"];
const FILTERS: [&str; 10] =
    ["a", "a/b", "a/+", "+/b", "a/#", "#", "+", "$x/+", "$share/g/a/b", "$share/g/#"];
/// Every step and every wait take a time of their own, so that no two things are due at the same
/// moment.
const STEP: u64 = 1_001_000;
const WAIT: u64 = 7_013_700;

#[derive(Clone, Debug)]
enum Step {
    Connect { who: usize, clean: bool, lasts: bool, will: Option<Will> },
    Cut { who: usize },
    Disconnect { who: usize },
    Subscribe { who: usize, filter: &'static str, options: SubscriptionOptions, identifier: u32 },
    Unsubscribe { who: usize, filter: &'static str },
    Publish { who: usize, topic: &'static str, qos: QoS, retain: bool, empty: bool },
    Wait { times: u64 },
}

#[derive(Clone, Copy, Debug)]
struct Will {
    topic: &'static str,
    qos: QoS,
    retain: bool,
    delay: u32,
}

const fn version(who: usize) -> ProtocolVersion {
    if who == 0 { V311 } else { V5 }
}

#[derive(Default)]
struct Model {
    now: u64,
    sessions: [Option<Session>; CLIENTS],
    retained: Vec<(&'static str, String, QoS)>,
    /// Who subscribed to a shared filter, in the order of their turns.
    groups: Vec<(&'static str, Vec<usize>)>,
    inbox: [Vec<String>; CLIENTS],
}

#[derive(Default)]
struct Session {
    online: bool,
    expiry: u32,
    will: Option<Will>,
    will_at: Option<u64>,
    ends_at: Option<u64>,
    subscriptions: Vec<(&'static str, SubscriptionOptions, u32)>,
    queue: Vec<String>,
}

impl Model {
    fn step(&mut self, step: &Step, number: usize) {
        match *step {
            Step::Connect { who, clean, lasts, will } => self.connect(who, clean, lasts, will),
            Step::Cut { who } => self.close(who, true),
            Step::Disconnect { who } => self.close(who, false),
            Step::Subscribe { who, filter, options, identifier } => {
                self.subscribe(who, filter, options, identifier);
            }
            Step::Unsubscribe { who, filter } => {
                if let Some(session) = self.online(who) {
                    session.subscriptions.retain(|(theirs, ..)| *theirs != filter);
                    self.leave(who, Some(filter));
                }
            }
            Step::Publish { who, topic, qos, retain, empty } => {
                if self.online(who).is_some() {
                    let payload = if empty { String::new() } else { number.to_string() };
                    self.publish(Some(who), topic, &payload, qos, retain);
                }
            }
            Step::Wait { times } => self.wait(times * WAIT),
        }
        self.wait(STEP);
    }

    fn online(&mut self, who: usize) -> Option<&mut Session> {
        self.sessions[who].as_mut().filter(|session| session.online)
    }

    fn connect(&mut self, who: usize, clean: bool, lasts: bool, will: Option<Will>) {
        if let Some(session) = self.online(who) {
            let resumed = !clean && session.expiry > 0;
            let delayed = session.will.is_some_and(|will| will.delay > 0);
            self.close(who, !(resumed && delayed));
        }
        if clean {
            self.end(who);
        }
        let session = self.sessions[who].get_or_insert_default();
        session.online = true;
        session.expiry = match (version(who), lasts) {
            (V311, _) if clean => 0,
            (V311, _) => FOREVER,
            (_, lasts) => 60 * u32::from(lasts),
        };
        (session.will, session.will_at, session.ends_at) = (will, None, None);
        self.inbox[who].append(&mut session.queue);
    }

    fn close(&mut self, who: usize, with_will: bool) {
        let now = self.now;
        let Some(session) = self.online(who) else { return };
        session.online = false;
        session.will = session.will.filter(|_| with_will);
        let after = |seconds: u32| now + u64::from(seconds) * 1_000_000;
        session.will_at = session.will.map(|will| after(will.delay));
        session.ends_at = (session.expiry != FOREVER).then(|| after(session.expiry));
        if session.expiry == 0 {
            self.end(who);
        } else if session.will.is_some_and(|will| will.delay == 0) {
            self.fire(who);
        }
    }

    fn end(&mut self, who: usize) {
        self.leave(who, None);
        if let Some(Session { will: Some(will), .. }) = self.sessions[who].take() {
            self.publish(Some(who), will.topic, &format!("will {who}"), will.qos, will.retain);
        }
    }

    fn fire(&mut self, who: usize) {
        let Some(session) = &mut self.sessions[who] else { return };
        session.will_at = None;
        if let Some(will) = session.will.take() {
            self.publish(Some(who), will.topic, &format!("will {who}"), will.qos, will.retain);
        }
    }

    fn wait(&mut self, micros: u64) {
        let until = self.now + micros;
        loop {
            let due = |who: usize| {
                let session = self.sessions[who].as_ref()?;
                session.will_at.into_iter().chain(session.ends_at).min().map(|at| (at, who))
            };
            let next = (0..CLIENTS).filter_map(due).min().filter(|(at, _)| *at <= until);
            let Some((at, who)) = next else { break };
            self.now = at;
            let session = self.sessions[who].as_ref().expect("it was due");
            if session.ends_at == Some(at) { self.end(who) } else { self.fire(who) }
        }
        self.now = until;
    }

    fn leave(&mut self, who: usize, filter: Option<&str>) {
        for (theirs, members) in &mut self.groups {
            if filter.is_none_or(|filter| filter == *theirs) {
                members.retain(|member| *member != who);
            }
        }
    }

    fn subscribe(
        &mut self,
        who: usize,
        text: &'static str,
        options: SubscriptionOptions,
        identifier: u32,
    ) {
        let Some(session) = self.online(who) else { return };
        let existing = session.subscriptions.iter().any(|(theirs, ..)| *theirs == text);
        session.subscriptions.retain(|(theirs, ..)| *theirs != text);
        session.subscriptions.push((text, options, identifier));
        if text.starts_with("$share") {
            if !self.groups.iter().any(|(theirs, _)| *theirs == text) {
                self.groups.push((text, Vec::new()));
            }
            let group = self.groups.iter_mut().find(|(theirs, _)| *theirs == text);
            let members = &mut group.expect("it was made").1;
            if !members.contains(&who) {
                members.push(who);
            }
            return;
        }
        let wanted = match options.retain_handling {
            RetainHandling::Send => true,
            RetainHandling::SendIfNew => !existing,
            RetainHandling::DoNotSend => false,
        };
        for (topic, payload, qos) in self.retained.clone() {
            if wanted && matches(text, topic) {
                let copy = copy(topic, &payload, qos.min(options.qos), true, vec![identifier]);
                self.inbox[who].push(copy);
            }
        }
    }

    fn publish(
        &mut self,
        publisher: Option<usize>,
        topic: &'static str,
        payload: &str,
        qos: QoS,
        retain: bool,
    ) {
        if retain {
            self.retained.retain(|(theirs, ..)| *theirs != topic);
            if !payload.is_empty() {
                self.retained.push((topic, payload.to_owned(), qos));
            }
        }
        for who in 0..CLIENTS {
            let Some(session) = &self.sessions[who] else { continue };
            let mut found = session.subscriptions.clone();
            found.retain(|(filter, options, _)| {
                matches(filter, topic) && !(options.no_local && publisher == Some(who))
            });
            let Some(granted) = found.iter().map(|(_, options, _)| options.qos).max() else {
                continue;
            };
            let as_published = found.iter().any(|(_, options, _)| options.retain_as_published);
            let identifiers = found.iter().map(|(.., identifier)| *identifier).collect();
            let qos = qos.min(granted);
            self.deliver(who, qos, copy(topic, payload, qos, retain && as_published, identifiers));
        }
        for group in 0..self.groups.len() {
            let (filter, members) = &self.groups[group];
            let plain = filter.strip_prefix("$share/g/").expect("a shared filter");
            if members.is_empty() || !matches(plain, topic) {
                continue;
            }
            let online = |who: &usize| self.sessions[*who].as_ref().is_some_and(|s| s.online);
            let turn = members.iter().position(online).unwrap_or(0);
            let who = members[turn];
            let session = self.sessions[who].as_ref().expect("members have sessions");
            let subscription = session.subscriptions.iter().find(|(theirs, ..)| theirs == filter);
            let &(_, options, identifier) = subscription.expect("members have subscribed");
            self.groups[group].1.rotate_left(turn + 1);
            let qos = qos.min(options.qos);
            let retain = retain && options.retain_as_published;
            self.deliver(who, qos, copy(topic, payload, qos, retain, vec![identifier]));
        }
    }

    fn deliver(&mut self, who: usize, qos: QoS, copy: String) {
        match &mut self.sessions[who] {
            Some(session) if session.online => self.inbox[who].push(copy),
            Some(session) if qos > AtMostOnce => session.queue.push(copy),
            _ => {}
        }
    }
}

fn matches(text: &str, topic: &str) -> bool {
    !text.starts_with("$share") && filter(text).matches(&name(topic))
}

fn copy(topic: &str, payload: &str, qos: QoS, retain: bool, mut identifiers: Vec<u32>) -> String {
    let mut text = format!("{topic}={payload} q{}", qos.bits());
    if retain {
        text += " r";
    }
    identifiers.sort_unstable();
    for identifier in identifiers.into_iter().filter(|identifier| *identifier > 0) {
        text += &format!(" #{identifier}");
    }
    text
}

/// The real thing, with the same steps.
struct Real {
    world: World,
    clients: [Option<Who>; CLIENTS],
}

impl Real {
    fn step(&mut self, step: &Step, number: usize) {
        match *step {
            Step::Connect { who, clean, lasts, will } => self.connect(who, clean, lasts, will),
            Step::Cut { who } => {
                if let Some(client) = self.clients[who] {
                    self.world.cut(client);
                }
            }
            Step::Disconnect { who } => {
                if let Some(client) = self.online(who) {
                    self.world.disconnect(client, ReasonCode::NORMAL_DISCONNECTION);
                }
            }
            Step::Subscribe { who, filter, options, identifier } => {
                if let Some(client) = self.online(who) {
                    self.world.subscribe_all(client, &[(filter, options)], identifier);
                }
            }
            Step::Unsubscribe { who, filter } => {
                if let Some(client) = self.online(who) {
                    self.world.unsubscribe(client, filter);
                }
            }
            Step::Publish { who, topic, qos, retain, empty } => {
                if let Some(client) = self.online(who) {
                    let payload = if empty { String::new() } else { number.to_string() };
                    let message = message(topic, &payload).with_qos(qos).with_retain(retain);
                    self.world.publish(client, message);
                }
            }
            Step::Wait { times } => self.world.advance((times * WAIT) as f64 / 1e6),
        }
        self.world.advance(STEP as f64 / 1e6);
    }

    fn online(&self, who: usize) -> Option<Who> {
        self.clients[who].filter(|client| self.world.is_open(*client))
    }

    fn connect(&mut self, who: usize, clean: bool, lasts: bool, will: Option<Will>) {
        let mut options = options(version(who), &format!("c{who}")).clean_start(clean);
        if version(who) == V5 && lasts {
            options = options.session_expiry(60);
        }
        if let Some(will) = will {
            let mut message: Publication<Bytes> = message(will.topic, &format!("will {who}"));
            if will.delay > 0 {
                message.message.properties = properties([Property::WillDelayInterval(will.delay)]);
            }
            options = options.will(message.with_qos(will.qos).with_retain(will.retain));
        }
        self.clients[who] = Some(self.world.join(options));
    }
}

fn run(steps: &[Step]) {
    let mut model = Model::default();
    let mut real = Real { world: World::new(), clients: [None; CLIENTS] };
    for (number, step) in steps.iter().enumerate() {
        let before = real.clients;
        model.step(step, number);
        real.step(step, number);
        for (who, earlier) in before.into_iter().enumerate() {
            let mut expected = std::mem::take(&mut model.inbox[who]);
            let mut got = Vec::new();
            // What came just before a takeover belongs to the same client.
            let mut ends = vec![earlier, real.clients[who]];
            ends.dedup();
            for client in ends.into_iter().flatten() {
                got.extend(real.world.inbox(client));
            }
            // In which order the copies of one message are sent is nobody's business.
            expected.sort();
            got.sort();
            assert_eq!(got, expected, "client {who} after step {number}: {step:?}");
            let queued = model.sessions[who].as_ref().map(|session| session.queue.len());
            assert_eq!(real.world.queued(&format!("c{who}")), queued, "step {number}: {step:?}");
        }
        assert_eq!(real.world.broker.retained(), model.retained.len(), "step {number}: {step:?}");
    }
}

fn qos() -> impl Strategy<Value = QoS> {
    proptest::sample::select(&ALL_QOS[..])
}

fn topic() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&TOPICS[..])
}

fn filters() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(&FILTERS[..])
}

fn will() -> impl Strategy<Value = Will> {
    (topic(), qos(), any::<bool>(), proptest::sample::select(&[0, 5, 100][..]))
        .prop_map(|(topic, qos, retain, delay)| Will { topic, qos, retain, delay })
}

fn subscription() -> impl Strategy<Value = Step> {
    let handling = [RetainHandling::Send, RetainHandling::SendIfNew, RetainHandling::DoNotSend];
    let handling = proptest::sample::select(handling.to_vec());
    (0..CLIENTS, filters(), qos(), any::<(bool, bool)>(), handling, 0..3_u32).prop_map(
        |(who, filter, qos, (no_local, retain_as_published), retain_handling, identifier)| {
            let v5 = version(who) == V5;
            let options = SubscriptionOptions {
                qos,
                no_local: no_local && v5 && !filter.starts_with("$share"),
                retain_as_published: retain_as_published && v5,
                retain_handling: if v5 { retain_handling } else { RetainHandling::Send },
            };
            let identifier = if v5 { identifier } else { 0 };
            Step::Subscribe { who, filter, options, identifier }
        },
    )
}

fn step() -> impl Strategy<Value = Step> {
    let connect = (0..CLIENTS, any::<(bool, bool)>(), proptest::option::of(will())).prop_map(
        |(who, (clean, lasts), mut will)| {
            if let (V311, Some(will)) = (version(who), &mut will) {
                will.delay = 0;
            }
            Step::Connect { who, clean, lasts, will }
        },
    );
    let publish = (0..CLIENTS, topic(), qos(), any::<bool>(), proptest::bool::weighted(0.2));
    prop_oneof![
        4 => connect,
        2 => (0..CLIENTS).prop_map(|who| Step::Cut { who }),
        1 => (0..CLIENTS).prop_map(|who| Step::Disconnect { who }),
        6 => subscription(),
        1 => (0..CLIENTS, filters()).prop_map(|(who, filter)| Step::Unsubscribe { who, filter }),
        8 => publish.prop_map(|(who, topic, qos, retain, empty)| {
            Step::Publish { who, topic, qos, retain, empty }
        }),
        1 => (1..10_u64).prop_map(|times| Step::Wait { times }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 1000,
        failure_persistence: None,
        ..Default::default()
    })]

    #[test]
    fn deliveries_agree_with_the_model(steps in proptest::collection::vec(step(), 1..60)) {
        run(&steps);
    }
}
