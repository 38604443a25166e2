//! Requests and responses between two clients of one broker, in memory (section 4.10).

use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use mqtt_broker_lite::{Broker, BrokerConfig, ConnectionId};
use mqtt_session::{
    Client, ClientAction, ClientOptions, Instant, Outcome, PublishError, Requester,
    RequesterConfig, Response,
    proto::{
        EncodeError, Message, Properties, Property, ProtocolVersion, Publication, QoS, ReasonCode,
        SubscribeFilters, TopicFilter, TopicName,
    },
    reply,
};

const NOW: Instant = Instant::ZERO;

/// A client and its connection to the broker.
struct Member {
    client: Client,
    connection: ConnectionId,
    src: BytesMut,
    received: Vec<Message<Bytes>>,
    finished: Vec<Outcome>,
}

struct Room {
    broker: Broker,
    members: Vec<Member>,
}

impl Room {
    /// Clients of these names, each subscribed to one topic.
    fn new(members: &[(&str, ProtocolVersion, &str)]) -> Self {
        let mut broker = Broker::new(BrokerConfig::default(), 1);
        let members = members.iter().map(|&(name, version, _)| {
            let options = ClientOptions::new(name).version(version);
            let mut client = Client::new(options).expect("legal options");
            client.handle_connected(NOW);
            let connection = broker.handle_accepted(NOW).expect("room");
            let (received, finished) = (Vec::new(), Vec::new());
            Member { client, connection, src: BytesMut::new(), received, finished }
        });
        let members = members.collect();
        Self { broker, members }
    }

    fn subscribed(members: &[(&str, ProtocolVersion, &str)]) -> Self {
        let mut room = Self::new(members);
        room.run();
        for (member, (.., topic)) in room.members.iter_mut().zip(members) {
            let filter = TopicFilter::<Bytes>::try_from(*topic).expect("a filter");
            let filters = SubscribeFilters::new([(filter, QoS::ExactlyOnce)]).expect("one");
            member.client.subscribe(NOW, filters, Properties::EMPTY).expect("connected");
        }
        room.run();
        room
    }

    /// Moves bytes until nothing moves any more.
    fn run(&mut self) {
        let mut moved = true;
        while moved {
            moved = false;
            for member in &mut self.members {
                while let Some(action) = member.client.poll_action() {
                    match action {
                        ClientAction::Deliver { publish, .. } => {
                            member.received.push(publish.message);
                        }
                        ClientAction::Finished { outcome, .. } => member.finished.push(outcome),
                        ClientAction::Close(reason) => panic!("{reason}"),
                        _ => {}
                    }
                }
                let up = member.client.transmit();
                let used = self.broker.handle_input(NOW, member.connection, up.chunk());
                up.advance(used);
                let down = self.broker.transmit(member.connection).expect("open");
                let count = down.remaining();
                member.src.extend_from_slice(down.chunk());
                down.advance(count);
                self.broker.handle_flushed(NOW, member.connection);
                member.client.handle_input(NOW, &mut member.src);
                moved |= used + count > 0;
            }
        }
        while self.broker.poll_action().is_some() {}
    }

    fn publish(&mut self, member: usize, publication: Publication<Bytes>) {
        self.members[member].client.publish(NOW, publication).expect("it can be said");
        self.run();
    }

    /// What came to a member since the last time.
    fn received(&mut self, member: usize) -> Vec<Message<Bytes>> {
        self.members[member].received.drain(..).collect()
    }
}

fn topic(name: &str) -> TopicName<Bytes> {
    TopicName::try_from(name).expect("a topic name")
}

const V5: ProtocolVersion = ProtocolVersion::V5;

#[test]
fn responses_find_their_requests_through_a_broker() {
    for qos in [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce] {
        let mut room =
            Room::subscribed(&[("asks", V5, "responses/asks"), ("answers", V5, "questions/+")]);
        let mut requester = Requester::new(topic("responses/asks"), 7, RequesterConfig::default());
        for waiter in 0..3 {
            let question = Publication::new(topic(&format!("questions/{waiter}")), "?");
            let (_, request) = requester.request(NOW, question, waiter).expect("room");
            room.publish(0, request.with_qos(qos));
        }
        let requests = room.received(1);
        assert_eq!(requests.len(), 3);
        // In another order than they were asked in.
        for request in requests.iter().rev() {
            let text = request.topic.as_str().replace("questions/", "answer ");
            room.publish(1, reply(request, text).expect("a request").with_qos(qos));
        }
        let mut answered = Vec::new();
        for response in room.received(0) {
            let text = String::from_utf8(response.payload.to_vec()).expect("text");
            match requester.handle_message(&response) {
                Response::Answers { waiter, .. } => answered.push((waiter, text)),
                other => panic!("{other:?}"),
            }
        }
        let expected = [2, 1, 0].map(|waiter| (waiter, format!("answer {waiter}")));
        assert_eq!(answered, expected, "{qos:?}");
        assert_eq!(requester.open(), 0);
    }
}

#[test]
fn a_second_responder_is_late_and_so_is_one_after_the_time() {
    let mut room = Room::subscribed(&[
        ("asks", V5, "responses"),
        ("answers", V5, "question"),
        ("answers too", V5, "question"),
    ]);
    let config = RequesterConfig { timeout: Duration::from_secs(1), ..Default::default() };
    let mut requester = Requester::new(topic("responses"), 7, config);
    let ask = |room: &mut Room, requester: &mut Requester<_>| {
        let question = Publication::new(topic("question"), "?");
        let (id, request) = requester.request(NOW, question, ()).expect("room");
        room.publish(0, request);
        id
    };
    let answer = |room: &mut Room, member| {
        let request = room.received(member).pop().expect("a request");
        room.publish(member, reply(&request, "!").expect("a request"));
        room.received(0).pop().expect("a response")
    };

    let id = ask(&mut room, &mut requester);
    let response = answer(&mut room, 1);
    assert_eq!(requester.handle_message(&response), Response::Answers { id, waiter: () });
    let response = answer(&mut room, 2);
    assert_eq!(requester.handle_message(&response), Response::Late(id));

    let id = ask(&mut room, &mut requester);
    let mut timed_out = Vec::new();
    requester.handle_timeout(NOW + Duration::from_secs(1), |id, ()| timed_out.push(id));
    assert_eq!(timed_out, [id]);
    let response = answer(&mut room, 1);
    assert_eq!(requester.handle_message(&response), Response::Late(id));
}

/// The server says so, and then nobody will answer: the request can be cancelled.
#[test]
fn a_request_that_nobody_gets_is_known_from_its_acknowledgement() {
    let mut room = Room::subscribed(&[("asks", V5, "responses")]);
    let mut requester = Requester::new(topic("responses"), 7, RequesterConfig::default());
    let question = Publication::new(topic("question"), "?").with_qos(QoS::AtLeastOnce);
    let (id, request) = requester.request(NOW, question, "who waits").expect("room");
    room.publish(0, request);
    let nobody = Outcome::Acknowledged(ReasonCode::NO_MATCHING_SUBSCRIBERS);
    assert_eq!(room.members[0].finished, [nobody]);
    assert_eq!(requester.cancel(id), Some("who waits"));
}

#[test]
fn clients_of_3_1_1_neither_ask_nor_answer() {
    let v311 = ProtocolVersion::V311;
    let mut room = Room::subscribed(&[("asks", V5, "responses"), ("of 3.1.1", v311, "question")]);
    let mut requester = Requester::new(topic("responses"), 7, RequesterConfig::default());
    let question = Publication::new(topic("question"), "?");
    let (id, request) = requester.request(NOW, question, ()).expect("room");
    room.publish(0, request.clone());
    let received = room.received(1).pop().expect("the message as such");
    assert_eq!(reply(&received, "!"), None, "it has no Response Topic any more");

    let refused = room.members[1].client.publish(NOW, request);
    assert_eq!(refused, Err(PublishError::Encode(EncodeError::NotInV311("a property"))));
    assert_eq!(requester.cancel(id), Some(()));
}

/// [MQTT-3.3.2-15] [MQTT-3.3.2-16]
#[test]
fn response_topic_and_correlation_data_arrive_as_they_were_sent() {
    let mut room = Room::subscribed(&[("asks", V5, "responses"), ("answers", V5, "question")]);
    let sent = [Property::ResponseTopic("any/t\u{f6}pic"), Property::CorrelationData(&[0, 1, 255])];
    let properties = Properties::new(sent).expect("legal");
    let question = Publication::new(topic("question"), "?").with_properties(properties.clone());
    room.publish(0, question);
    let request = room.received(1).pop().expect("a request");
    assert_eq!(request.properties, properties);
    let response = reply(&request, "!").expect("a request").message;
    assert_eq!(response.topic, "any/t\u{f6}pic");
    assert_eq!(response.properties.correlation_data(), Some(&[0, 1, 255][..]));
}
