//! The broker on real sockets. Every wait has an end, and nothing waits for time to pass.
#![cfg(feature = "server")]

use std::{
    io::{self, Read, Write},
    net::{Shutdown, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use mqtt_broker_lite::{BrokerConfig, TestBroker, server};

const PATIENCE: Duration = Duration::from_secs(20);

const CONNECT_V5: &[u8] = b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00";
const CONNECT_V311: &[u8] = b"\x10\x0c\x00\x04MQTT\x04\x02\x00\x00\x00\x00";

/// A socket that speaks.
struct Peer(TcpStream);

impl Peer {
    fn open(address: std::net::SocketAddr) -> Self {
        let stream = TcpStream::connect(address).expect("a listener");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
        Self(stream)
    }

    /// A 3.1.1 client that was accepted.
    fn join(address: std::net::SocketAddr) -> Self {
        let mut peer = Self::open(address);
        peer.send(CONNECT_V311);
        peer.expect(b"\x20\x02\x00\x00");
        peer
    }

    fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).expect("a connection");
    }

    fn expect(&mut self, bytes: &[u8]) {
        let mut got = vec![0; bytes.len()];
        self.0.read_exact(&mut got).expect("bytes in time");
        assert_eq!(got, bytes);
    }

    /// The next packet, whole.
    fn packet(&mut self) -> Vec<u8> {
        let mut packet = vec![0; 2];
        self.0.read_exact(&mut packet).expect("a packet in time");
        let mut len = usize::from(packet[1] & 0x7f);
        let mut shift = 7;
        while packet[packet.len() - 1] & 0x80 != 0 {
            packet.push(0);
            let last = packet.len() - 1;
            self.0.read_exact(&mut packet[last..]).expect("a length in time");
            len |= usize::from(packet[last] & 0x7f) << shift;
            shift += 7;
        }
        let head = packet.len();
        packet.resize(head + len, 0);
        self.0.read_exact(&mut packet[head..]).expect("a body in time");
        packet
    }

    /// What comes before the end.
    fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        match self.0.read_to_end(&mut rest) {
            Ok(_) => rest,
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => rest,
            Err(error) => panic!("{error} after {} bytes", rest.len()),
        }
    }

    fn subscribe(&mut self, qos: u8) {
        self.send(&[0x82, 6, 0, 1, 0, 1, b't', qos]);
        self.expect(&[0x90, 3, 0, 1, qos]);
    }
}

/// A PUBLISH of QoS 0 to `t`.
fn publish(payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x30];
    let mut len = payload.len() + 3;
    while len >= 0x80 {
        packet.push(len as u8 | 0x80);
        len >>= 7;
    }
    packet.extend([len as u8, 0, 1, b't']);
    packet.extend(payload);
    packet
}

/// Runs this elsewhere, and fails if it takes too long.
fn in_time<T: Send + 'static>(what: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, wait) = mpsc::channel();
    let thread = thread::spawn(move || {
        // Nobody listens any more if it was too late.
        let _ = done.send(what());
    });
    match wait.recv_timeout(PATIENCE) {
        Ok(value) => value,
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it takes too long"),
        Err(mpsc::RecvTimeoutError::Disconnected) => {
            std::panic::resume_unwind(thread.join().expect_err("it panicked"))
        }
    }
}

#[test]
fn brokers_start_and_stop_side_by_side() {
    let threads: Vec<_> = (0..8)
        .map(|_| {
            thread::spawn(|| {
                for _ in 0..10 {
                    let broker = TestBroker::start();
                    let mut peer = Peer::join(broker.addr());
                    peer.subscribe(0);
                    peer.send(&publish(b"x"));
                    peer.expect(&publish(b"x"));
                    assert_eq!(broker.url(), format!("mqtt://{}", broker.addr()));
                }
            })
        })
        .collect();
    for thread in threads {
        thread.join().expect("no panic");
    }
}

#[test]
fn a_drop_writes_what_is_queued_and_tells_the_clients() {
    let broker = TestBroker::start();
    let mut new = Peer::open(broker.addr());
    new.send(CONNECT_V5);
    assert_eq!(new.packet()[0], 0x20);
    new.send(b"\x82\x07\x00\x01\x00\x00\x01t\x01");
    assert_eq!(new.packet(), b"\x90\x04\x00\x01\x00\x01");
    let mut old = Peer::join(broker.addr());
    old.subscribe(1);
    let mut publisher = Peer::join(broker.addr());
    publisher.send(b"\x32\x06\x00\x01t\x00\x01x");
    publisher.expect(b"\x40\x02\x00\x01");
    let silent = Peer::open(broker.addr());
    in_time(move || {
        let dropping = thread::spawn(move || drop(broker));
        assert_eq!(new.rest(), b"\x32\x07\x00\x01t\x00\x01\x00x\xe0\x01\x8b");
        assert_eq!(old.rest(), b"\x32\x06\x00\x01t\x00\x01x");
        assert_eq!(publisher.rest(), b"");
        drop((new, old, publisher, silent));
        dropping.join().expect("no panic");
    });
}

#[test]
fn several_listeners_serve_one_broker() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.expect("a runtime");
    let mut listeners = Vec::new();
    let mut addresses = Vec::new();
    for address in ["127.0.0.1:0", "127.0.0.1:0", "localhost:0", "[::1]:0"] {
        match runtime.block_on(server::bind(address)) {
            Ok((listener, address)) => {
                listeners.push(listener);
                addresses.push(address);
            }
            // Not every machine has IPv6.
            Err(error) => assert!(address.starts_with('['), "{address}: {error}"),
        }
    }
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let thread = thread::spawn(move || {
        let stopped = async {
            let _ = stopped.await;
        };
        runtime.block_on(server::serve(listeners, BrokerConfig::default(), stopped));
    });
    let mut peers: Vec<_> = addresses.iter().map(|&address| Peer::join(address)).collect();
    for peer in &mut peers {
        peer.subscribe(0);
    }
    peers[0].send(&publish(b"to all"));
    for peer in &mut peers {
        peer.expect(&publish(b"to all"));
    }
    drop(peers);
    drop(stop);
    in_time(|| thread.join().expect("no panic"));
    for address in addresses {
        assert!(TcpStream::connect(address).is_err(), "{address} is free again");
    }
}

#[test]
fn bytes_may_come_one_at_a_time() {
    let broker = TestBroker::start();
    let mut peer = Peer::open(broker.addr());
    peer.0.set_nodelay(true).expect("a socket");
    let payload = vec![b'x'; 200];
    let script =
        [CONNECT_V311, b"\x82\x06\x00\x01\x00\x01t\x00", &publish(&payload), b"\xc0\x00"].concat();
    for byte in script {
        peer.send(&[byte]);
    }
    peer.expect(b"\x20\x02\x00\x00\x90\x03\x00\x01\x00");
    peer.expect(&publish(&payload));
    peer.expect(b"\xd0\x00");
}

#[test]
fn a_large_packet_comes_through() {
    let broker = TestBroker::start();
    let mut peer = Peer::join(broker.addr());
    peer.subscribe(0);
    let large = publish(&vec![b'x'; 1_000_000]);
    let mut writer = Peer(peer.0.try_clone().expect("a socket"));
    let bytes = large.clone();
    let writing = thread::spawn(move || writer.send(&bytes));
    peer.expect(&large);
    writing.join().expect("no panic");
}

#[test]
fn many_retained_messages_come_through() {
    const MANY: usize = 3000;
    let broker = TestBroker::start();
    let mut publisher = Peer::join(broker.addr());
    for number in 0..MANY {
        let mut packet = b"\x31\x80\x08\x00\x04".to_vec();
        packet.extend(format!("{number:04}").bytes());
        packet.resize(3 + 1024, b'x');
        publisher.send(&packet);
    }
    publisher.send(b"\xc0\x00");
    publisher.expect(b"\xd0\x00");
    let mut reader = Peer::join(broker.addr());
    reader.send(b"\x82\x06\x00\x01\x00\x01#\x00");
    reader.expect(b"\x90\x03\x00\x01\x00");
    // Others are served before this one has taken them all.
    publisher.send(b"\xc0\x00");
    publisher.expect(b"\xd0\x00");
    for number in 0..MANY {
        let packet = reader.packet();
        assert_eq!(packet.len(), 3 + 1024);
        assert_eq!(packet[5..9], *format!("{number:04}").as_bytes());
    }
    reader.send(b"\xc0\x00");
    reader.expect(b"\xd0\x00");
}

#[test]
fn a_client_that_never_reads_holds_up_nobody() {
    let broker = TestBroker::start();
    let mut stuck = Peer::join(broker.addr());
    stuck.subscribe(0);
    let mut reader = Peer::join(broker.addr());
    reader.subscribe(0);
    let mut publisher = Peer::join(broker.addr());
    let message = publish(&[b'x'; 10_000]);
    // More than any socket buffer between here and the one who does not read.
    for _ in 0..3000 {
        publisher.send(&message);
        reader.expect(&message);
    }
    // It has not been told, and it can still be talked to.
    stuck.send(b"\xc0\x00");
    drop(stuck);
    publisher.send(b"\xc0\x00");
    publisher.expect(b"\xd0\x00");
}

#[test]
fn a_client_that_never_stops_writing_holds_up_nobody() {
    let broker = TestBroker::start();
    let mut flood = Peer::join(broker.addr());
    let message = publish(&[b'x'; 10]).repeat(10_000);
    let (stop, stopped) = mpsc::channel::<()>();
    let flooding = thread::spawn(move || {
        while stopped.try_recv() == Err(mpsc::TryRecvError::Empty) {
            flood.send(&message);
        }
    });
    for _ in 0..100 {
        let mut peer = Peer::join(broker.addr());
        peer.send(b"\xc0\x00");
        peer.expect(b"\xd0\x00");
    }
    drop(stop);
    flooding.join().expect("no panic");
}

#[test]
fn a_client_that_closes_its_half_gets_its_answers() {
    let broker = TestBroker::start();
    let mut watcher = Peer::join(broker.addr());
    watcher.subscribe(0);
    let mut peer = Peer::open(broker.addr());
    // With a will on `t`.
    peer.send(b"\x10\x13\x00\x04MQTT\x04\x06\x00\x00\x00\x01c\x00\x01t\x00\x01w");
    peer.send(b"\x32\x06\x00\x01t\x00\x09x\xc0\x00");
    peer.0.shutdown(Shutdown::Write).expect("a socket");
    assert_eq!(peer.rest(), b"\x20\x02\x00\x00\x40\x02\x00\x09\xd0\x00");
    watcher.expect(&publish(b"x"));
    watcher.expect(&publish(b"w"));
}

#[test]
fn a_connection_that_is_reset_is_a_lost_one() {
    let broker = TestBroker::start();
    let mut watcher = Peer::join(broker.addr());
    watcher.subscribe(0);
    let mut peer = Peer::open(broker.addr());
    peer.send(b"\x10\x13\x00\x04MQTT\x04\x06\x00\x00\x00\x01c\x00\x01t\x00\x01w");
    // Unread bytes make the close a reset.
    peer.send(b"\xc0\x00");
    peer.0.peek(&mut [0; 4]).expect("CONNACK");
    drop(peer);
    watcher.expect(&publish(b"w"));
}

#[test]
fn beyond_max_connections_a_connection_is_closed() {
    let config = BrokerConfig { max_connections: 2, ..BrokerConfig::default() };
    let broker = TestBroker::with_config(config);
    let mut first = Peer::join(broker.addr());
    let second = Peer::join(broker.addr());
    let mut third = Peer::open(broker.addr());
    assert_eq!(third.rest(), b"");
    first.send(b"\xe0\x00");
    assert_eq!(first.rest(), b"");
    drop(first);
    in_time(move || {
        // Room is made when the broker has seen that the first is gone.
        while let Err(_) | Ok(0) = {
            let mut peer = Peer::open(broker.addr());
            let written = peer.0.write_all(CONNECT_V311);
            written.and_then(|()| peer.0.read(&mut [0; 4]))
        } {}
        drop(second);
    });
}

#[test]
fn a_connection_without_connect_is_closed_in_time() {
    let mut config = BrokerConfig::default();
    config.server.connect_timeout = Duration::from_millis(50);
    let broker = TestBroker::with_config(config);
    let mut peer = Peer::open(broker.addr());
    assert_eq!(peer.rest(), b"");
}
