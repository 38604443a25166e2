//! The adapters of the examples, against a broker and against a server that is as thin as they are:
//! [`Server`] on a plain thread.

#![allow(clippy::duplicate_mod, reason = "each example has its application in a file of its own")]

use std::{
    error::Error,
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread::{self, JoinHandle},
};

use bytes::{Buf, Bytes, BytesMut};
use mqtt_broker_lite::TestBroker;
use mqtt_session::{
    Accept, Instant, Server, ServerAction, ServerConfig, Session,
    proto::{Packet, ReasonCode, Status},
};

#[path = "../examples/async_std.rs"]
mod async_std_example;
#[path = "../examples/threads.rs"]
mod threads_example;

type Run = fn(&str) -> Result<Vec<String>, Box<dyn Error + Send + Sync>>;

const ADAPTERS: [Run; 2] = [threads_example::run, async_std_example::run];

/// [MQTT-4.6.0-6] asks for no order between one QoS and another.
fn check(mut heard: Vec<String>) {
    heard.sort();
    assert_eq!(heard, ["hello at QoS 0", "hello at QoS 1", "hello at QoS 2"]);
}

#[test]
fn a_client_hears_itself_through_a_broker_on_any_runtime() {
    let broker = TestBroker::start();
    for run in ADAPTERS {
        check(run(&broker.addr().to_string()).expect("it said good-bye"));
    }
}

#[test]
fn a_server_on_a_plain_thread_will_do() {
    for run in ADAPTERS {
        let (address, server) = serve_one();
        check(run(&address.to_string()).expect("it said good-bye"));
        assert_eq!(server.join().expect("no panic"), Some(ReasonCode::NORMAL_DISCONNECTION));
    }
}

#[test]
fn a_server_that_hangs_up_is_an_error() {
    for run in ADAPTERS {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("bound").to_string();
        let server = thread::spawn(move || drop(listener.accept()));
        run(&address).expect_err("no CONNACK came");
        server.join().expect("no panic");
    }
}

/// Serves one client, which gets back all it publishes; how it said good-bye.
fn serve_one() -> (SocketAddr, JoinHandle<Option<ReasonCode>>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    let serve = move || serve(&mut listener.accept().expect("a client").0);
    (address, thread::spawn(serve))
}

/// The server's side on one thread. Its time stands still: nothing here waits for a deadline.
fn serve(socket: &mut TcpStream) -> Option<ReasonCode> {
    let now = Instant::ZERO;
    let mut server = Server::new(ServerConfig::default(), now);
    let (mut src, mut chunk) = (BytesMut::new(), [0; 7]);
    loop {
        while let Ok(Status::Ready(packet)) = server.decode_bytes(now, &mut src) {
            if let Some(reason) = route(&mut server, packet) {
                return Some(reason);
            }
        }
        while !server.transmit().is_empty() {
            let count = socket.write(&server.transmit().chunk()[..1]).ok()?;
            server.transmit().advance(count);
            server.handle_flushed(now, |_, _| {});
        }
        match socket.read(&mut chunk) {
            Ok(count @ 1..) => src.extend_from_slice(&chunk[..count]),
            _ => return None,
        }
    }
}

/// The broker's part for a client that is alone.
fn route(server: &mut Server, packet: Packet<Bytes>) -> Option<ReasonCode> {
    let now = Instant::ZERO;
    match server.handle_packet(now, packet)? {
        ServerAction::Connect(_) => {
            let session = Session::new(10);
            server.accept(now, session, &Accept::default(), |_, _| {}).expect("a CONNECT");
        }
        ServerAction::Subscribe(subscribe) => {
            let codes = subscribe.filters.iter().map(|(_, options)| options.qos);
            let codes: Vec<_> = codes.map(ReasonCode::granted).collect();
            server.suback(now, subscribe.id, codes).expect("connected");
        }
        ServerAction::Publish(inbound) => {
            if let Some(receipt) = inbound.receipt() {
                server.acknowledge(now, receipt, ReasonCode::SUCCESS).expect("it is owed");
            }
            server.publish(now, inbound.into_publication()).expect("room");
        }
        ServerAction::Disconnect(disconnect) => return Some(disconnect.reason),
        ServerAction::Close(reason) => panic!("{reason}"),
        _ => {}
    }
    None
}
