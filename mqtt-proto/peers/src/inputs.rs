//! The streams that are measured: the same at every run, and built by hand, so that no codec is
//! its own referee.

/// A stream of packets of one version, all different.
pub struct Case {
    pub name: &'static str,
    /// 4 is MQTT 3.1.1, 5 is MQTT 5.0.
    pub level: u8,
    /// How many packets there are.
    pub count: usize,
    pub stream: Vec<u8>,
}

/// How many packets a stream has, and how many if each has 16 KiB.
const COUNT: usize = 1000;
const COUNT_16K: usize = 100;

/// The bytes of a packet in the making.
#[derive(Default)]
struct Body(Vec<u8>);

impl Body {
    fn new() -> Self {
        Self::default()
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    fn u8(self, value: u8) -> Self {
        self.raw(&[value])
    }

    fn u16(self, value: u16) -> Self {
        self.raw(&value.to_be_bytes())
    }

    fn u32(self, value: u32) -> Self {
        self.raw(&value.to_be_bytes())
    }

    fn varint(mut self, mut value: usize) -> Self {
        while value >= 128 {
            self.0.push((value % 128) as u8 | 0x80);
            value /= 128;
        }
        self.u8(value as u8)
    }

    fn binary(self, bytes: &[u8]) -> Self {
        self.u16(bytes.len() as u16).raw(bytes)
    }

    fn text(self, text: &str) -> Self {
        self.binary(text.as_bytes())
    }

    fn pair(self, name: &str, value: &str) -> Self {
        self.u8(0x26).text(name).text(value)
    }

    /// A property list behind its length; nothing in 3.1.1.
    fn properties(self, level: u8, properties: Self) -> Self {
        if level == 4 { self } else { self.varint(properties.0.len()).raw(&properties.0) }
    }

    fn packet(self, first: u8) -> Vec<u8> {
        Self::new().u8(first).varint(self.0.len()).raw(&self.0).0
    }
}

/// A linear congruential generator: what matters is that it is the same everywhere.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u32) -> u32 {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32 % end
    }

    fn text(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| b' ' + self.below(94) as u8).collect()
    }
}

fn id(number: usize) -> u16 {
    (number % 65_535 + 1) as u16
}

fn publish(level: u8, qos: u8, number: usize, payload: &[u8], properties: Body) -> Vec<u8> {
    let topic = format!("sensors/{:05}/status", number % 100_000);
    let body = Body::new().text(&topic);
    let body = if qos > 0 { body.u16(id(number)) } else { body };
    body.properties(level, properties).raw(payload).packet(0x30 | qos << 1)
}

/// Three properties in the order of their identifiers, then two user properties.
fn five_properties(number: usize, random: &mut Random) -> Body {
    Body::new()
        .u8(0x02)
        .u32(3600 + number as u32)
        .u8(0x03)
        .text("application/json")
        .u8(0x09)
        .binary(&random.text(16))
        .pair("trace-id", "0af7651916cd43dd")
        .pair("origin", "plant-7/line-2")
}

/// Everything a CONNECT can have: user name, password, a will with QoS 1 and RETAIN, clean start.
fn connect(level: u8, number: usize, random: &mut Random) -> Vec<u8> {
    let properties = Body::new()
        .u8(0x11)
        .u32(3600)
        .u8(0x15)
        .text("SCRAM-SHA-256")
        .u8(0x16)
        .binary(&random.text(24))
        .u8(0x21)
        .u16(100)
        .u8(0x22)
        .u16(16)
        .pair("device", "gateway-a")
        .u8(0x27)
        .u32(65_536);
    let will =
        Body::new().u8(0x01).u8(1).u8(0x02).u32(60).u8(0x03).text("text/plain").u8(0x18).u32(5);
    Body::new()
        .text("MQTT")
        .u8(level)
        .u8(0b1110_1110)
        .u16(60)
        .properties(level, properties)
        .text(&format!("client-{number:05}"))
        .properties(level, will)
        .text("clients/last-will")
        .binary(b"gone offline")
        .text("alice")
        .binary(b"correct horse")
        .packet(0x10)
}

fn connack(level: u8, number: usize) -> Vec<u8> {
    let properties = Body::new()
        .u8(0x11)
        .u32(3600)
        .u8(0x12)
        .text(&format!("client-{number:05}"))
        .u8(0x13)
        .u16(30)
        .u8(0x21)
        .u16(100)
        .u8(0x22)
        .u16(16)
        .pair("node", "broker-3")
        .u8(0x27)
        .u32(65_536);
    Body::new().u8((number % 2) as u8).u8(0).properties(level, properties).packet(0x20)
}

fn ack(first: u8, number: usize) -> Vec<u8> {
    Body::new().u16(id(number)).packet(first)
}

/// A PUBACK of 5.0 that says why.
fn refusal(number: usize) -> Vec<u8> {
    let reason = Body::new().u8(0x1f).text("not allowed here");
    Body::new().u16(id(number)).u8(0x87).properties(5, reason).packet(0x40)
}

const FILTERS: [&str; 5] =
    ["sensors/+/status", "sensors/#", "plant/7/line/2/+", "$SYS/broker/load", "cmd/device-1/in"];

fn subscribe(level: u8, number: usize) -> Vec<u8> {
    let mut body = Body::new().u16(id(number)).properties(level, Body::new());
    for (at, filter) in FILTERS.iter().enumerate() {
        body = body.text(filter).u8((at % 3) as u8);
    }
    body.packet(0x82)
}

fn unsubscribe(level: u8, number: usize) -> Vec<u8> {
    let body = Body::new().u16(id(number)).properties(level, Body::new());
    FILTERS.iter().fold(body, |body, filter| body.text(filter)).packet(0xa2)
}

fn suback(level: u8, number: usize) -> Vec<u8> {
    Body::new().u16(id(number)).properties(level, Body::new()).raw(&[0, 1, 2, 0, 1]).packet(0x90)
}

fn unsuback(level: u8, number: usize) -> Vec<u8> {
    let body = Body::new().u16(id(number)).properties(level, Body::new());
    if level == 4 { body } else { body.raw(&[0, 0, 0x11, 0, 0]) }.packet(0xb0)
}

fn auth(random: &mut Random) -> Vec<u8> {
    let properties = Body::new().u8(0x15).text("SCRAM-SHA-256").u8(0x16).binary(&random.text(24));
    Body::new().u8(0x18).properties(5, properties).packet(0xf0)
}

/// What both sides of a connection say: mostly PUBLISH and its acknowledgements.
fn mixed(level: u8, number: usize, random: &mut Random) -> Vec<u8> {
    let dice = random.below(100);
    let len = 16 + random.below(240) as usize;
    match dice {
        0..72 => {
            let payload = random.text(len);
            let qos = match dice {
                0..50 => 0,
                50..66 => 1,
                _ => 2,
            };
            let properties = if level == 5 && random.below(10) < 3 {
                five_properties(number, random)
            } else {
                Body::new()
            };
            publish(level, qos, number, &payload, properties)
        }
        72..84 => ack(0x40, number),
        84..87 => ack(0x50, number),
        87..90 => ack(0x62, number),
        90..93 => ack(0x70, number),
        93..95 => subscribe(level, number),
        95..97 => suback(level, number),
        97..99 => Body::new().packet(0xc0),
        _ => Body::new().packet(0xd0),
    }
}

/// All streams, in the order of the tables.
pub fn cases() -> Vec<Case> {
    let mut random = Random(7);
    let mut cases = Vec::new();
    let mut push = |name, level, count, packet: &mut dyn FnMut(usize) -> Vec<u8>| {
        let stream = (0..count).flat_map(packet).collect();
        cases.push(Case { name, level, count, stream });
    };
    let none = Body::new;
    push("v4_pub0_64", 4, COUNT, &mut |n| publish(4, 0, n, &random.text(64), none()));
    push("v4_pub1_64", 4, COUNT, &mut |n| publish(4, 1, n, &random.text(64), none()));
    push("v4_pub0_16k", 4, COUNT_16K, &mut |n| publish(4, 0, n, &random.text(16_384), none()));
    push("v4_puback", 4, COUNT, &mut |n| ack(0x40, n));
    push("v4_sub5", 4, COUNT, &mut |n| subscribe(4, n));
    push("v5_pub0_64", 5, COUNT, &mut |n| publish(5, 0, n, &random.text(64), none()));
    push("v5_pub1_props", 5, COUNT, &mut |n| {
        let properties = five_properties(n, &mut random);
        publish(5, 1, n, &random.text(64), properties)
    });
    push("v5_puback", 5, COUNT, &mut |n| ack(0x40, n));
    push("v5_connect", 5, COUNT, &mut |n| connect(5, n, &mut random));
    push("v5_sub5", 5, COUNT, &mut |n| subscribe(5, n));
    for (name, level) in [("v4_mixed", 4), ("v5_mixed", 5)] {
        let mut random = Random(42);
        push(name, level, COUNT, &mut |n| mixed(level, n, &mut random));
    }
    // The rest of the packet types; after the others, whose bytes depend on the order.
    push("v5_pub0_16k", 5, COUNT_16K, &mut |n| publish(5, 0, n, &random.text(16_384), none()));
    push("v4_pub2_64", 4, COUNT, &mut |n| publish(4, 2, n, &random.text(64), none()));
    push("v5_pub1_64", 5, COUNT, &mut |n| publish(5, 1, n, &random.text(64), none()));
    push("v4_connect", 4, COUNT, &mut |n| connect(4, n, &mut random));
    push("v4_connack", 4, COUNT, &mut |n| connack(4, n));
    push("v4_pubrec", 4, COUNT, &mut |n| ack(0x50, n));
    push("v4_pubrel", 4, COUNT, &mut |n| ack(0x62, n));
    push("v4_pubcomp", 4, COUNT, &mut |n| ack(0x70, n));
    push("v4_suback", 4, COUNT, &mut |n| suback(4, n));
    push("v4_unsub5", 4, COUNT, &mut |n| unsubscribe(4, n));
    push("v4_unsuback", 4, COUNT, &mut |n| unsuback(4, n));
    push("v4_pingreq", 4, COUNT, &mut |_| Body::new().packet(0xc0));
    push("v4_pingresp", 4, COUNT, &mut |_| Body::new().packet(0xd0));
    push("v4_disconnect", 4, COUNT, &mut |_| Body::new().packet(0xe0));
    push("v5_connack", 5, COUNT, &mut |n| connack(5, n));
    push("v5_puback_why", 5, COUNT, &mut refusal);
    push("v5_pubrec", 5, COUNT, &mut |n| ack(0x50, n));
    push("v5_pubrel", 5, COUNT, &mut |n| ack(0x62, n));
    push("v5_pubcomp", 5, COUNT, &mut |n| ack(0x70, n));
    push("v5_suback", 5, COUNT, &mut |n| suback(5, n));
    push("v5_unsub5", 5, COUNT, &mut |n| unsubscribe(5, n));
    push("v5_unsuback", 5, COUNT, &mut |n| unsuback(5, n));
    push("v5_pingreq", 5, COUNT, &mut |_| Body::new().packet(0xc0));
    push("v5_pingresp", 5, COUNT, &mut |_| Body::new().packet(0xd0));
    push("v5_disconnect", 5, COUNT, &mut |_| Body::new().packet(0xe0));
    push("v5_auth", 5, COUNT, &mut |_| auth(&mut random));
    cases
}
