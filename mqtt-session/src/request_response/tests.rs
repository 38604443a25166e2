//! What becomes of requests.

use alloc::{collections::BTreeSet, vec::Vec};

use mqtt_proto::{EncodeError, PropertyId, QoS};
use proptest::prelude::*;

use super::*;

const RESPONSES: &str = "responses/me";

fn topic(name: &str) -> TopicName<Bytes> {
    TopicName::try_from(name).expect("a topic name")
}

fn requester(max_open: usize, timeout: Duration) -> Requester<u64> {
    Requester::new(topic(RESPONSES), 7, RequesterConfig { max_open, timeout })
}

fn question() -> Publication<Bytes> {
    Publication::new(topic("questions"), "?")
}

/// A message on this topic, with this Correlation Data.
fn message(name: &str, data: Option<&[u8]>) -> Message<Bytes> {
    let properties = Properties::new(data.map(Property::CorrelationData)).expect("legal");
    Publication::new(topic(name), "!").with_properties(properties).message
}

fn properties<const N: usize>(properties: [Property<'_>; N]) -> Properties<Bytes> {
    Properties::new(properties).expect("legal")
}

#[test]
fn a_request_is_the_publication_with_two_properties_more() {
    let mut requester = requester(1, Duration::MAX);
    let own = properties([Property::ContentType("text"), Property::UserProperty(("a", "b"))]);
    let question = question().with_qos(QoS::ExactlyOnce).with_retain(true).with_properties(own);
    let (_, request) = requester.request(Instant::ZERO, question.clone(), 0).expect("room");
    let data = request.message.properties.correlation_data().expect("some").to_vec();
    let expected = question
        .message
        .properties
        .iter()
        .chain([Property::ResponseTopic(RESPONSES), Property::CorrelationData(&data)]);
    let expected = Properties::new(expected).expect("legal");
    assert_eq!(request, question.with_properties(expected));
    assert_eq!(requester.response_topic(), &topic(RESPONSES));
}

#[test]
fn a_publication_that_says_where_to_respond_is_refused() {
    for property in [Property::ResponseTopic("mine"), Property::CorrelationData(b"mine")] {
        let mut requester = requester(1, Duration::MAX);
        let question = question().with_properties(properties([property]));
        let refused = requester.request(Instant::ZERO, question, 7).expect_err("it has one");
        let error = RequestError::Property(PropertyError::Twice(property.id()));
        assert_eq!(refused, RequestRefused { waiter: 7, error });
        assert_eq!((requester.open(), requester.made), (0, 0), "nothing changed");
    }
}

#[test]
fn what_each_message_is_to_a_requester() {
    let mut requester = requester(4, Duration::MAX);
    let ids: Vec<_> = (0..3)
        .map(|waiter| requester.request(Instant::ZERO, question(), waiter).expect("room"))
        .collect();
    let data = |at: usize| ids[at].1.message.properties.correlation_data().expect("some");
    let next = (u64::from_be_bytes(data(2).try_into().expect("8 bytes")) + 1).to_be_bytes();
    let before = (u64::from_be_bytes(data(0).try_into().expect("8 bytes")) - 1).to_be_bytes();
    assert_eq!(requester.cancel(ids[2].0), Some(2));
    let answers = |at: usize| Response::Answers { id: ids[at].0, waiter: at as u64 };
    let rows = [
        ("elsewhere", Some(data(0)), Response::Unrelated),
        ("responses/me/too", Some(data(0)), Response::Unrelated),
        (RESPONSES, None, Response::Unknown),
        (RESPONSES, Some(&[]), Response::Unknown),
        (RESPONSES, Some(&data(0)[1..]), Response::Unknown),
        (RESPONSES, Some(&next), Response::Unknown),
        (RESPONSES, Some(&before), Response::Unknown),
        (RESPONSES, Some(data(1)), answers(1)),
        (RESPONSES, Some(data(1)), Response::Late(ids[1].0)),
        (RESPONSES, Some(data(2)), Response::Late(ids[2].0)),
        (RESPONSES, Some(data(0)), answers(0)),
    ];
    for (topic, data, expected) in rows {
        assert_eq!(requester.handle_message(&message(topic, data)), expected, "{topic} {data:?}");
    }
    assert_eq!(requester.open(), 0);
}

/// Also of seeds that are close to each other.
#[test]
fn responses_to_another_requester_are_unknown() {
    let config = RequesterConfig::default();
    let mut requesters: Vec<_> =
        (0..20).map(|seed| Requester::new(topic(RESPONSES), seed, config)).collect();
    let mut requests = Vec::new();
    for (at, requester) in requesters.iter_mut().enumerate() {
        for _ in 0..100 {
            requests.push((at, requester.request(Instant::ZERO, question(), ()).expect("room").1));
        }
    }
    for (from, request) in &requests {
        let response = reply(&request.message, "!").expect("a request");
        for (at, requester) in requesters.iter_mut().enumerate().filter(|(at, _)| at != from) {
            let found = requester.handle_message(&response.message);
            assert_eq!(found, Response::Unknown, "of {from} at {at}");
        }
    }
}

#[test]
fn a_reply_goes_where_the_request_says() {
    let with = |list| question().with_properties(list).message;
    let to = |name, list| Publication::new(topic(name), "!").with_properties(list);
    let (place, data) = (Property::ResponseTopic("a/b"), Property::CorrelationData(&[0, 255, 7]));
    let rest = Property::UserProperty(("a", "b"));
    let rows = [
        (with(properties([])), None),
        (with(properties([data])), None),
        (with(properties([place])), Some(to("a/b", properties([])))),
        (with(properties([place, data])), Some(to("a/b", properties([data])))),
        (with(properties([data, rest, place])), Some(to("a/b", properties([data])))),
        (
            with(properties([place, Property::CorrelationData(&[])])),
            Some(to("a/b", properties([Property::CorrelationData(&[])]))),
        ),
    ];
    for (request, expected) in rows {
        assert_eq!(reply(&request, "!"), expected, "{request:?}");
        assert_eq!(reply(&request.as_ref(), "!"), expected, "borrowed");
    }
}

/// [MQTT-3.3.2-14] There is no list with such a Response Topic, so nothing is left to refuse.
#[test]
fn no_list_has_a_response_topic_with_wildcards() {
    for name in ["a/+", "#", "", "\0"] {
        let list = Properties::new([Property::ResponseTopic(name)]);
        assert!(matches!(list, Err(PropertyError::Text(PropertyId::ResponseTopic, _))), "{name:?}");
    }
}

#[test]
fn in_3_1_1_a_request_cannot_be_said() {
    let (_, request) =
        requester(1, Duration::MAX).request(Instant::ZERO, question(), 0).expect("room");
    let publish = request.into_publish(mqtt_proto::PacketId::MIN);
    let error = EncodeError::NotInV311("a property");
    assert_eq!(publish.encoded_len(mqtt_proto::ProtocolVersion::V311), Err(error));
}

#[test]
fn an_open_request_costs_about_fifty_bytes() {
    const COUNT: u64 = 10_000;
    let config = RequesterConfig { max_open: COUNT as usize, ..RequesterConfig::default() };
    let mut requester = Requester::new(topic(RESPONSES), 7, config);
    let info = allocation_counter::measure(|| {
        for _ in 0..COUNT {
            let _ = requester.request(Instant::ZERO, question(), ()).expect("room");
        }
    });
    let each = info.bytes_current / COUNT as i64;
    assert!((30..=60).contains(&each), "{each}");
}

#[derive(Clone, Debug)]
enum Step {
    Request,
    /// A response to one of the requests ever made, or to one that never was.
    Respond(usize),
    Cancel(usize),
    CancelAll,
    Pass(u64),
    Timeout,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Request),
        4 => (0..40usize).prop_map(Step::Respond),
        2 => (0..40usize).prop_map(Step::Cancel),
        1 => Just(Step::CancelAll),
        // Back as well: a clock may jump.
        4 => (0..8u64).prop_map(Step::Pass),
        3 => Just(Step::Timeout),
    ]
}

/// What is known of a request.
struct Made {
    id: RequestId,
    response: Publication<Bytes>,
    deadline: Instant,
    /// How often its waiter came out.
    ended: usize,
}

proptest! {
    /// Against a list of all requests ever made, one of which has number and waiter alike.
    #[test]
    fn every_waiter_goes_out_once(
        max_open in 0..6usize,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        const TIMEOUT: Duration = Duration::from_micros(10);
        let mut requester = requester(max_open, TIMEOUT);
        let mut made: Vec<Made> = Vec::new();
        let (mut now, mut latest) = (Instant::ZERO, Instant::ZERO);
        for step in steps {
            let open = made.iter().filter(|made| made.ended == 0).count();
            match step {
                Step::Request => {
                    latest = latest.max(now);
                    let waiter = made.len() as u64;
                    match requester.request(now, question(), waiter) {
                        Ok((id, request)) => {
                            prop_assert!(open < max_open);
                            let response = reply(&request.message, "!").expect("a request");
                            made.push(Made { id, response, deadline: latest + TIMEOUT, ended: 0 });
                        }
                        Err(refused) => {
                            let error = RequestError::Full { limit: max_open };
                            prop_assert_eq!(refused, RequestRefused { waiter, error });
                            prop_assert_eq!(open, max_open);
                        }
                    }
                }
                Step::Respond(at) => {
                    let Some(made) = made.get_mut(at) else {
                        let id = RequestId(at as u64);
                        let data = requester.first.wrapping_add(id.0).to_be_bytes();
                        let found = requester.handle_message(&message(RESPONSES, Some(&data)));
                        prop_assert_eq!(found, Response::Unknown);
                        continue;
                    };
                    let expected = match made.ended {
                        0 => Response::Answers { id: made.id, waiter: at as u64 },
                        _ => Response::Late(made.id),
                    };
                    prop_assert_eq!(requester.handle_message(&made.response.message), expected);
                    made.ended = 1;
                }
                Step::Cancel(at) => {
                    let Some(made) = made.get_mut(at) else { continue };
                    let expected = (made.ended == 0).then_some(at as u64);
                    prop_assert_eq!(requester.cancel(made.id), expected);
                    made.ended = 1;
                }
                Step::CancelAll => {
                    let mut out = Vec::new();
                    requester.cancel_all(|id, waiter| out.push((id, waiter)));
                    prop_assert_eq!(out, end(&mut made, |_| true));
                }
                Step::Pass(micros) => {
                    now = Instant::from_micros((now.as_micros() + micros).saturating_sub(2));
                }
                Step::Timeout => {
                    latest = latest.max(now);
                    let mut out = Vec::new();
                    requester.handle_timeout(now, |id, waiter| out.push((id, waiter)));
                    prop_assert_eq!(out, end(&mut made, |made| made.deadline <= latest));
                }
            }
            let open: Vec<_> = made.iter().filter(|made| made.ended == 0).collect();
            prop_assert_eq!(requester.open(), open.len());
            let deadline = open.iter().map(|made| made.deadline).min();
            prop_assert_eq!(requester.poll_timeout(), deadline);
        }
        let data = made.iter().map(|made| made.response.message.properties.correlation_data());
        prop_assert_eq!(data.collect::<BTreeSet<_>>().len(), made.len(), "each has its own");
    }
}

/// Ends those that are open; their identifiers and waiters.
fn end(made: &mut [Made], which: impl Fn(&Made) -> bool) -> Vec<(RequestId, u64)> {
    let mut out = Vec::new();
    for (at, made) in made.iter_mut().enumerate() {
        if made.ended == 0 && which(made) {
            made.ended = 1;
            out.push((made.id, at as u64));
        }
    }
    out
}

#[test]
fn without_a_timeout_a_request_waits_for_ever() {
    let mut requester = requester(1, Duration::MAX);
    let _ = requester.request(Instant::ZERO, question(), 0).expect("room");
    assert_eq!(requester.poll_timeout(), None);
    requester.handle_timeout(Instant::from_micros(u64::MAX), |_, _| panic!("it is over"));
    assert_eq!(requester.open(), 1);
}
