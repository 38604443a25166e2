//! A server that says what a test wants, and no more.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    thread::{self, JoinHandle},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use mqtt_session::proto::{
    Ack, ConnAck, Decoder, Delivery, Packet, PacketType, Properties, ProtocolVersion, Publication,
    Publish, ReasonCode, ReasonCodes, Role, Status, SubAck, TopicName, UnsubAck,
};

/// How long a test waits for anything.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// One step of a conversation, from the server's side.
#[derive(Clone)]
pub(crate) enum Step {
    /// This packet comes next.
    Expect(PacketType),
    /// The packet that came last is right.
    Check(fn(&Packet<Bytes>)),
    /// Answers the packet that came last.
    Answer(ReasonCode),
    /// CONNACK.
    Accept {
        session_present: bool,
    },
    /// PUBLISH of QoS 0.
    Deliver {
        topic: &'static str,
        payload: String,
    },
    Bytes(&'static [u8]),
    /// The test hears that the conversation has come here.
    Tell(mpsc::Sender<()>),
    /// Nothing more is said; the client ends the connection.
    UntilClosed,
    /// The server does.
    Close,
}

/// Has these conversations, one after the other. Dropped, it checks that all of them took place.
pub(crate) struct Peer {
    pub(crate) address: SocketAddr,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    pub(crate) fn start(version: ProtocolVersion, conversations: Vec<Vec<Step>>) -> Self {
        Self::start_at((Ipv4Addr::LOCALHOST, 0).into(), version, conversations)
    }

    /// At an address where there was one before.
    pub(crate) fn start_at(
        address: SocketAddr,
        version: ProtocolVersion,
        conversations: Vec<Vec<Step>>,
    ) -> Self {
        let listener = TcpListener::bind(address).expect("a port");
        let address = listener.local_addr().expect("an address");
        let thread = thread::spawn(move || {
            for (at, steps) in conversations.into_iter().enumerate() {
                let (stream, _) = listener.accept().expect("a connection");
                stream.set_read_timeout(Some(LIMIT)).expect("a time-out");
                Conversation::new(stream, version).run(at, steps);
            }
        });
        Self { address, thread: Some(thread) }
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A test that failed says why itself, and may not have come to the end of the
        // conversations.
        if let Some(thread) = self.thread.take().filter(|_| !thread::panicking()) {
            thread.join().expect("the conversations took another course");
        }
    }
}

struct Conversation {
    stream: TcpStream,
    decoder: Decoder,
    version: ProtocolVersion,
    input: BytesMut,
    last: Option<Packet<Bytes>>,
}

impl Conversation {
    fn new(stream: TcpStream, version: ProtocolVersion) -> Self {
        let (decoder, input) = (Decoder::awaiting_connect(), BytesMut::new());
        Self { stream, decoder, version, input, last: None }
    }

    fn run(mut self, at: usize, steps: Vec<Step>) {
        for (step_at, step) in steps.into_iter().enumerate() {
            let here = format!("conversation {at}, step {step_at}");
            match step {
                Step::Expect(packet) => {
                    let came = self.receive();
                    let came_type = came.as_ref().map(Packet::packet_type);
                    assert_eq!(came_type, Some(packet), "{here}: {came:?}");
                    self.last = came;
                }
                Step::Check(check) => check(self.last.as_ref().expect(&here)),
                Step::Answer(reason) => {
                    let answer = answer(self.version, self.last.as_ref().expect(&here), reason);
                    self.send(&answer);
                }
                Step::Accept { session_present } => {
                    let properties = Properties::EMPTY;
                    let reason = ReasonCode::SUCCESS;
                    self.send(&Packet::ConnAck(ConnAck { session_present, reason, properties }));
                }
                Step::Deliver { topic, payload } => {
                    let topic = TopicName::try_from(topic).expect("a topic");
                    let message = Publication::new(topic, payload).message;
                    let (delivery, retain) = (Delivery::AtMostOnce, false);
                    self.send(&Packet::Publish(Publish { delivery, retain, message }));
                }
                Step::Bytes(bytes) => self.stream.write_all(bytes).expect(&here),
                Step::Tell(test) => test.send(()).expect("the test"),
                Step::UntilClosed => while self.receive().is_some() {},
                Step::Close => return,
            }
        }
    }

    fn send(&mut self, packet: &Packet<Bytes>) {
        let mut bytes = BytesMut::new();
        packet.encode(self.version, &mut bytes).expect("a packet that can be sent");
        self.stream.write_all(&bytes).expect("a client that reads");
    }

    /// `None` at the end of the connection.
    fn receive(&mut self) -> Option<Packet<Bytes>> {
        loop {
            match self.decoder.decode_bytes(&mut self.input).expect("MQTT") {
                Status::Ready(packet) => {
                    if let Packet::Connect(connect) = &packet {
                        self.decoder = Decoder::new(Role::Client, connect.version());
                    }
                    return Some(packet);
                }
                Status::NeedMore(_) => {
                    let mut buffer = [0; 1024];
                    match self.stream.read(&mut buffer) {
                        Ok(0) => return None,
                        Ok(count) => self.input.extend_from_slice(&buffer[..count]),
                        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {
                            return None;
                        }
                        Err(error) => panic!("the client says nothing: {error}"),
                    }
                }
            }
        }
    }
}

fn answer(version: ProtocolVersion, to: &Packet<Bytes>, reason: ReasonCode) -> Packet<Bytes> {
    let properties = Properties::EMPTY;
    match to {
        Packet::Connect(_) => {
            Packet::ConnAck(ConnAck { session_present: false, reason, properties })
        }
        Packet::Publish(publish) => {
            let id = publish.delivery.id().expect("a message that is answered");
            match publish.delivery.qos().bits() {
                1 => Packet::PubAck(Ack::new(id, reason)),
                _ => Packet::PubRec(Ack::new(id, reason)),
            }
        }
        Packet::PubRel(ack) => Packet::PubComp(Ack::new(ack.id, reason)),
        Packet::Subscribe(subscribe) => {
            let codes = subscribe.filters.iter().map(|_| reason);
            Packet::SubAck(SubAck { id: subscribe.id, properties, codes: codes.collect() })
        }
        Packet::Unsubscribe(unsubscribe) => {
            let codes = match version {
                ProtocolVersion::V311 => ReasonCodes::default(),
                ProtocolVersion::V5 => unsubscribe.filters.iter().map(|_| reason).collect(),
            };
            Packet::UnsubAck(UnsubAck { id: unsubscribe.id, properties, codes })
        }
        Packet::PingReq => Packet::PingResp,
        packet => panic!("no answer to {packet:?}"),
    }
}
