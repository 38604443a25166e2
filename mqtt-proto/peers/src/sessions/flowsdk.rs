//! flowsdk: its engine with the time as an argument. It is of a client, and so are both sides; a
//! server would send the same messages.

use std::hint::black_box;

use flowsdk::{
    mqtt_client::{
        MqttClientOptions,
        commands::PublishCommand,
        engine::{MqttEvent, PortableMqttEngine},
    },
    time::Timestamp,
};

use super::{Case, Connection, PAYLOAD, Seen, TOPIC, session};
use crate::Bench;

pub(super) fn make(case: &Case) -> Box<dyn Bench> {
    session(case, Pair::connected(case))
}

const NOW: Timestamp = Timestamp::ZERO;
const CONNACK_V4: &[u8] = &[0x20, 2, 0, 0];
const CONNACK_V5: &[u8] = &[0x20, 3, 0, 0, 0];

struct Pair {
    sender: PortableMqttEngine,
    receiver: PortableMqttEngine,
    message: PublishCommand,
}

impl Pair {
    fn connected(case: &Case) -> Self {
        let message = PublishCommand::simple(TOPIC, PAYLOAD.to_vec(), case.qos, false);
        Self { sender: engine(case.level), receiver: engine(case.level), message }
    }
}

fn engine(level: u8) -> PortableMqttEngine {
    let options = MqttClientOptions { mqtt_version: level, ..MqttClientOptions::default() };
    let mut engine = PortableMqttEngine::try_new_at(options, NOW).expect("legal options");
    engine.connect_at(NOW).expect("it was not connected");
    engine.take_outgoing_at(NOW).expect("the time stands still");
    let connack = if level == 4 { CONNACK_V4 } else { CONNACK_V5 };
    engine.handle_incoming_at(connack, NOW).expect("the time stands still");
    assert!(engine.is_connected());
    engine
}

impl Connection for Pair {
    fn publish(&mut self) {
        self.sender.publish_at(self.message.clone(), NOW).expect("room");
    }

    fn settle(&mut self) -> Seen {
        let mut seen = Seen::default();
        loop {
            let up = self.sender.take_outgoing_at(NOW).expect("the time stands still");
            if up.is_empty() {
                return seen;
            }
            read(&mut self.receiver, &up, &mut seen);
            let down = self.receiver.take_outgoing_at(NOW).expect("the time stands still");
            read(&mut self.sender, &down, &mut seen);
        }
    }
}

fn read(engine: &mut PortableMqttEngine, bytes: &[u8], seen: &mut Seen) {
    for event in engine.handle_incoming_at(bytes, NOW).expect("the time stands still") {
        match black_box(&event) {
            MqttEvent::MessageReceived(_) => seen.delivered += 1,
            MqttEvent::Published(_) => seen.acknowledged += 1,
            MqttEvent::PublishReceived { .. } | MqttEvent::PubRelReceived { .. } => {}
            event => panic!("{event:?}"),
        }
    }
}
