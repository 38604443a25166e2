//! Carries connections to a broker, and cuts them.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{Arc, Condvar, Mutex},
    thread,
};

use super::peer::LIMIT;
use bytes::BytesMut;
use mqtt_session::proto::{Decoder, Packet, PacketType, ProtocolVersion, Role, Status};

/// Where to cut: the packet of this type after so many others, counted over all connections. It
/// is not carried any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cut {
    pub(crate) sender: Role,
    pub(crate) packet: PacketType,
    pub(crate) after: usize,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    state: Arc<Shared>,
}

type Shared = (Mutex<State>, Condvar);

#[derive(Default)]
struct State {
    streams: Vec<TcpStream>,
    cut: Option<Cut>,
    cuts: usize,
    stopped: bool,
}

impl State {
    fn cut(&mut self) {
        self.cuts += 1;
        for stream in self.streams.drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}

impl Proxy {
    pub(crate) fn start(broker: SocketAddr, version: ProtocolVersion, cut: Option<Cut>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new((Mutex::new(State { cut, ..State::default() }), Condvar::new()));
        let shared = state.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.expect("a connection");
                let mut state = shared.0.lock().expect("the state");
                if state.stopped {
                    return;
                }
                let server = TcpStream::connect(broker).expect("the broker");
                state.streams.extend([&client, &server].map(clone));
                for (from, to, sender) in
                    [(clone(&client), clone(&server), Role::Client), (server, client, Role::Server)]
                {
                    let shared = shared.clone();
                    thread::spawn(move || carry(&shared, from, to, sender, version));
                }
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }

    /// Ends every connection, as if the network had.
    pub(crate) fn cut(&self) {
        self.state.0.lock().expect("the state").cut();
    }

    /// Waits until connections were cut where they were to be.
    pub(crate) fn wait_cut(&self) {
        let state = self.state.0.lock().expect("the state");
        let cut = self.state.1.wait_timeout_while(state, LIMIT, |state| state.cuts == 0);
        assert_eq!(cut.expect("the state").0.cuts, 1, "a cut");
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Ok(mut state) = self.state.0.lock() {
            state.stopped = true;
            state.cut();
        }
        let _ = TcpStream::connect(self.address);
    }
}

fn clone(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("another handle")
}

fn carry(
    shared: &Shared,
    mut from: TcpStream,
    mut to: TcpStream,
    sender: Role,
    version: ProtocolVersion,
) {
    let mut decoder = Decoder::new(sender, version);
    let (mut input, mut buffer) = (BytesMut::new(), [0; 4096]);
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        input.extend_from_slice(&buffer[..count]);
        while let Status::Ready(packet) = decoder.decode_bytes(&mut input).expect("MQTT") {
            if cut_here(shared, sender, packet.packet_type()) {
                return;
            }
            let mut bytes = BytesMut::new();
            Packet::encode(&packet, version, &mut bytes).expect("what was decoded");
            if to.write_all(&bytes).is_err() {
                return;
            }
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn cut_here(shared: &Shared, sender: Role, packet: PacketType) -> bool {
    let mut state = shared.0.lock().expect("the state");
    match &mut state.cut {
        Some(cut) if (cut.sender, cut.packet) == (sender, packet) && cut.after == 0 => {
            state.cut = None;
            state.cut();
            shared.1.notify_all();
            true
        }
        Some(cut) if (cut.sender, cut.packet) == (sender, packet) => {
            cut.after -= 1;
            false
        }
        _ => false,
    }
}
