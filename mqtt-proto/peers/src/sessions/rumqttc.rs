//! rumqttc and rumqttc-next: the `MqttState` of each of their versions, with the codec beside it.
//! They are of a client, and so are both sides; a server would send the same messages. In the form
//! `state` packets are handed over as they are, not encoded and decoded: that is a part of the work
//! only. The states read the clock at each call.

use std::hint::black_box;

use bytes::{Bytes, BytesMut};

use super::{Case, Connection, PAYLOAD, Seen, TOPIC, WINDOW, session};
use crate::Bench;

pub(super) fn wire(case: &Case) -> Box<dyn Bench> {
    match case.level {
        4 => session(case, Wire::<v4::Side>::connected(case.qos)),
        _ => session(case, Wire::<v5::Side>::connected(case.qos)),
    }
}

pub(super) fn next_wire(case: &Case) -> Box<dyn Bench> {
    match case.level {
        4 => session(case, Wire::<next_v4::Side>::connected(case.qos)),
        _ => session(case, Wire::<next_v5::Side>::connected(case.qos)),
    }
}

pub(super) fn state(case: &Case) -> Box<dyn Bench> {
    match case.level {
        4 => session(case, Handed::<v4::Side>::connected(case.qos)),
        _ => session(case, Handed::<v5::Side>::connected(case.qos)),
    }
}

pub(super) fn next_state(case: &Case) -> Box<dyn Bench> {
    match case.level {
        4 => session(case, Handed::<next_v4::Side>::connected(case.qos)),
        _ => session(case, Handed::<next_v5::Side>::connected(case.qos)),
    }
}

/// One side of a connection, of any of the four.
trait State: 'static {
    type Packet;

    fn connected(qos: u8) -> Self;
    /// The PUBLISH of the message once more.
    fn publish(&mut self) -> Self::Packet;
    /// What is to be answered to a packet.
    fn handle(&mut self, packet: Self::Packet) -> Option<Self::Packet>;
    /// What the application is told.
    fn tell(&mut self, seen: &mut Seen);
    fn in_flight(&self) -> u16;
    fn read(src: &mut BytesMut) -> Self::Packet;
    fn write(packet: &Self::Packet, dst: &mut BytesMut);
}

/// With the names of the version in `names`.
macro_rules! side {
    ($module:ident, { $($names:tt)* }, $new:expr, $message:expr, $max_size:expr) => {
        mod $module {
            $($names)*
            use super::*;

            pub(super) struct Side {
                state: MqttState,
                message: Publish,
            }

            impl State for Side {
                type Packet = Packet;

                fn connected(qos: u8) -> Self {
                    let qos = [QoS::AtMostOnce, QoS::AtLeastOnce, QoS::ExactlyOnce][usize::from(qos)];
                    let message: fn(QoS) -> Publish = $message;
                    Self { state: $new, message: message(qos) }
                }

                fn publish(&mut self) -> Packet {
                    let request = Request::Publish(self.message.clone());
                    let packet = self.state.handle_outgoing_packet(request).expect("a message");
                    packet.expect("there is a free identifier")
                }

                fn handle(&mut self, packet: Packet) -> Option<Packet> {
                    self.state.handle_incoming_packet(packet).expect("packets that are due")
                }

                fn tell(&mut self, seen: &mut Seen) {
                    while let Some(event) = self.state.events.pop_front() {
                        match black_box(&event) {
                            Event::Incoming(Packet::Publish(_)) => seen.delivered += 1,
                            Event::Incoming(Packet::PubAck(_) | Packet::PubComp(_)) => {
                                seen.acknowledged += 1;
                            }
                            _ => {}
                        }
                    }
                }

                fn in_flight(&self) -> u16 {
                    self.state.inflight()
                }

                fn read(src: &mut BytesMut) -> Packet {
                    Packet::read(src, $max_size).expect("whole packets")
                }

                fn write(packet: &Packet, dst: &mut BytesMut) {
                    packet.write(dst, $max_size).expect("it fits");
                }
            }
        }
    };
}

side!(
    v4,
    {
        use rumqttc::{Event, MqttState, Packet, Publish, QoS, Request};
    },
    MqttState::new(WINDOW as u16, false),
    |qos| Publish::from_bytes(TOPIC, qos, Bytes::from_static(&PAYLOAD)),
    MAX_SIZE
);
side!(
    v5,
    {
        use rumqttc::v5::{
            Event, MqttState, Request,
            mqttbytes::{
                QoS,
                v5::{Packet, Publish},
            },
        };
    },
    MqttState::new(WINDOW as u16, false),
    |qos| Publish::new(TOPIC, qos, Bytes::from_static(&PAYLOAD), None),
    Some(MAX_SIZE as u32)
);
side!(
    next_v4,
    {
        use rumqttc_next_v4::{Event, MqttState, Packet, Publish, QoS, Request};
    },
    MqttState::builder(WINDOW as u16).build(),
    |qos| Publish::from_bytes(TOPIC, qos, Bytes::from_static(&PAYLOAD)),
    MAX_SIZE
);
side!(
    next_v5,
    {
        use rumqttc_next_v5::{Event, MqttState, Packet, Publish, QoS, Request};
    },
    MqttState::builder(WINDOW as u16).build(),
    |qos| Publish::new(TOPIC, qos, Bytes::from_static(&PAYLOAD), None),
    Some(MAX_SIZE as u32)
);

const MAX_SIZE: usize = 1 << 20;

struct Wire<S> {
    sender: S,
    receiver: S,
    up: BytesMut,
    down: BytesMut,
}

impl<S: State> Wire<S> {
    fn connected(qos: u8) -> Self {
        let (sender, receiver) = (S::connected(qos), S::connected(qos));
        Self { sender, receiver, up: BytesMut::new(), down: BytesMut::new() }
    }

    fn read(side: &mut S, src: &mut BytesMut, dst: &mut BytesMut, seen: &mut Seen) {
        while !src.is_empty() {
            if let Some(answer) = side.handle(S::read(src)) {
                S::write(&answer, dst);
            }
            side.tell(seen);
        }
    }
}

impl<S: State> Connection for Wire<S> {
    fn publish(&mut self) {
        S::write(&self.sender.publish(), &mut self.up);
    }

    fn settle(&mut self) -> Seen {
        let mut seen = Seen::default();
        let mut at_sender = Seen::default();
        self.sender.tell(&mut at_sender);
        while !self.up.is_empty() {
            Self::read(&mut self.receiver, &mut self.up, &mut self.down, &mut seen);
            Self::read(&mut self.sender, &mut self.down, &mut self.up, &mut at_sender);
        }
        assert_eq!(self.sender.in_flight(), 0);
        Seen { acknowledged: at_sender.acknowledged, ..seen }
    }
}

struct Handed<S: State> {
    sender: S,
    receiver: S,
    up: Vec<S::Packet>,
    down: Vec<S::Packet>,
}

impl<S: State> Handed<S> {
    fn connected(qos: u8) -> Self {
        let (sender, receiver) = (S::connected(qos), S::connected(qos));
        Self { sender, receiver, up: Vec::new(), down: Vec::new() }
    }

    fn hand(side: &mut S, from: &mut Vec<S::Packet>, to: &mut Vec<S::Packet>, seen: &mut Seen) {
        for packet in from.drain(..) {
            to.extend(side.handle(packet));
            side.tell(seen);
        }
    }
}

impl<S: State> Connection for Handed<S> {
    fn publish(&mut self) {
        self.up.push(self.sender.publish());
    }

    fn settle(&mut self) -> Seen {
        let mut seen = Seen::default();
        let mut at_sender = Seen::default();
        self.sender.tell(&mut at_sender);
        while !self.up.is_empty() {
            Self::hand(&mut self.receiver, &mut self.up, &mut self.down, &mut seen);
            Self::hand(&mut self.sender, &mut self.down, &mut self.up, &mut at_sender);
        }
        assert_eq!(self.sender.in_flight(), 0);
        Seen { acknowledged: at_sender.acknowledged, ..seen }
    }
}
