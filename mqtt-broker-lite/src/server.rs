//! The broker on TCP: a thin layer that moves bytes between sockets and the [`Broker`].
//!
//! One thread does everything. The task that read from a socket hands the bytes to the broker, and
//! then writes to every socket the broker wants written, in one call each. What a socket does not
//! take is left to that connection's own task. An idle connection has no buffer.

use std::{
    cell::{Cell, RefCell},
    future::Future,
    hash::{BuildHasher, Hasher},
    io,
    net::{Shutdown, SocketAddr},
    rc::Rc,
    time::Duration,
    vec,
    vec::Vec,
};

use bytes::{Buf, BytesMut};
use mqtt_session::Instant;
use socket2::SockRef;
use tokio::{
    net::{TcpListener, TcpStream},
    select,
    sync::Notify,
    task::{self, JoinSet, LocalSet},
    time,
};

use crate::{Broker, BrokerAction, BrokerConfig, ConnectionId};

/// How much is read at a time; one buffer for all connections.
const READ_SIZE: usize = 64 * 1024;

/// How often a connection is read from, or written to, before the others have their turn.
const READS_IN_A_TURN: u32 = 4;
const WRITES_IN_A_TURN: u32 = 4;

/// How long a connection that was closed from this side is given to take what is left for it.
const LINGER: Duration = Duration::from_secs(5);

/// How long it is given to close in turn, once it has that.
const CLOSE_WAIT: Duration = Duration::from_secs(1);

/// The same when a broker inside a test stops: its clients may be tasks of the thread that waits.
pub(crate) const CLOSE_WAIT_IN_TESTS: Duration = Duration::from_millis(10);

/// How long to wait when a connection cannot be accepted, most likely for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves MQTT on these listeners until `stop` completes. Then no more is accepted, every client is
/// told, what is queued for it is written, and the function returns after at most five seconds.
///
/// Needs a tokio runtime with I/O and time; everything runs on the thread that polls it.
pub async fn serve(
    listeners: Vec<TcpListener>,
    config: BrokerConfig,
    stop: impl Future<Output = ()>,
) {
    serve_with(listeners, config, stop, CLOSE_WAIT).await;
}

/// As [`serve`]; who does not close in turn when the server stops is waited for so long.
pub(crate) async fn serve_with(
    listeners: Vec<TcpListener>,
    config: BrokerConfig,
    stop: impl Future<Output = ()>,
    last_close_wait: Duration,
) {
    let shared = Rc::new(Shared {
        broker: RefCell::new(Broker::new(config, random_seed())),
        peers: RefCell::new(Vec::new()),
        scratch: RefCell::new(vec![0; READ_SIZE]),
        timer: Notify::new(),
        armed: Cell::new(None),
        close_wait: Cell::new(CLOSE_WAIT),
        epoch: time::Instant::now(),
    });
    let tasks = LocalSet::new();
    tasks.run_until(run(shared, listeners, stop, last_close_wait)).await;
}

async fn run(
    shared: Rc<Shared>,
    listeners: Vec<TcpListener>,
    stop: impl Future<Output = ()>,
    last_close_wait: Duration,
) {
    let mut accepting = JoinSet::new();
    for listener in listeners {
        accepting.spawn_local(accept(Rc::clone(&shared), listener));
    }
    accepting.spawn_local(keep_time(Rc::clone(&shared)));
    stop.await;
    accepting.shutdown().await;
    shared.close_wait.set(last_close_wait);
    let now = shared.now();
    shared.broker.borrow_mut().shut_down(now);
    shared.drain();
    let closed = async {
        let peers = || shared.peers.borrow().iter().flatten().map(Rc::clone).collect::<Vec<_>>();
        for peer in peers() {
            peer.closed.notified().await;
        }
    };
    // Who has not taken what was queued by now is not going to.
    let _ = time::timeout(LINGER, closed).await;
}

/// What all tasks of a server share; they take turns on one thread, so no borrow outlives a turn.
struct Shared {
    broker: RefCell<Broker>,
    /// By [`ConnectionId::index`].
    peers: RefCell<Vec<Option<Rc<Peer>>>>,
    scratch: RefCell<Vec<u8>>,
    /// Wakes [`keep_time`] when there is an earlier deadline than the one it knows of.
    timer: Notify,
    armed: Cell<Option<Instant>>,
    /// How long a connection is given to close in turn.
    close_wait: Cell<Duration>,
    epoch: time::Instant,
}

/// A connection as the other tasks see it.
struct Peer {
    id: ConnectionId,
    stream: TcpStream,
    /// The socket took less than there was, or enough for one turn.
    blocked: Cell<bool>,
    /// The broker is done with it.
    closing: Cell<bool>,
    /// The socket is.
    broken: Cell<bool>,
    /// Tells its task that one of these has changed, or that there is room for input again.
    wake: Notify,
    /// Its task has ended.
    closed: Notify,
}

async fn accept(shared: Rc<Shared>, listener: TcpListener) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Small packets are written together where they can be; they should not wait where
                // they cannot.
                let _ = stream.set_nodelay(true);
                if let Some(peer) = shared.add(stream) {
                    task::spawn_local(converse(Rc::clone(&shared), peer));
                }
            }
            Err(_) => time::sleep(ACCEPT_PAUSE).await,
        }
    }
}

async fn keep_time(shared: Rc<Shared>) {
    loop {
        let next = shared.broker.borrow().poll_timeout();
        shared.armed.set(next);
        let due = async {
            match next {
                Some(at) => time::sleep_until(shared.epoch + at.since(Instant::ZERO)).await,
                None => core::future::pending().await,
            }
        };
        select! {
            () = due => {
                let now = shared.now();
                shared.broker.borrow_mut().handle_timeout(now);
                shared.drain();
            }
            () = shared.timer.notified() => {}
        }
    }
}

/// Reads from a connection until it ends; writes what others could not.
async fn converse(shared: Rc<Shared>, peer: Rc<Peer>) {
    let mut tail = BytesMut::new();
    let mut reads: u32 = 0;
    while !peer.closing.get() && !peer.broken.get() {
        // What is always readable is never waited for, and this thread is all there is.
        reads = reads.wrapping_add(1);
        if reads.is_multiple_of(READS_IN_A_TURN) {
            task::yield_now().await;
        }
        let wants_input = shared.broker.borrow().wants_input(peer.id);
        if wants_input && tail.has_remaining() && shared.feed(&peer, &mut tail) > 0 {
            continue;
        }
        select! {
            ready = peer.stream.readable(), if wants_input => {
                if ready.is_err() || shared.read(&peer, &mut tail).is_err() {
                    break;
                }
            }
            _ = peer.stream.writable(), if peer.blocked.get() => shared.write_blocked(&peer),
            () = peer.wake.notified() => {}
        }
    }
    if !peer.broken.get() {
        let _ = time::timeout(LINGER, linger(&shared, &peer)).await;
    }
    shared.remove(&peer);
}

/// Writes what is left and waits for the peer to close, so that what was written is not lost to a
/// reset.
async fn linger(shared: &Shared, peer: &Peer) {
    while peer.blocked.get() && !peer.broken.get() {
        if peer.stream.writable().await.is_err() {
            return;
        }
        shared.write_blocked(peer);
    }
    if peer.broken.get() || SockRef::from(&peer.stream).shutdown(Shutdown::Write).is_err() {
        return;
    }
    let _ = time::timeout(shared.close_wait.get(), read_to_end(shared, peer)).await;
}

async fn read_to_end(shared: &Shared, peer: &Peer) {
    while peer.stream.readable().await.is_ok() {
        let read = peer.stream.try_read(&mut shared.scratch.borrow_mut());
        match read {
            Ok(0) => return,
            Ok(_) => task::yield_now().await,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

impl Shared {
    fn now(&self) -> Instant {
        let micros = self.epoch.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// `None` if there are too many; the connection is closed then.
    fn add(&self, stream: TcpStream) -> Option<Rc<Peer>> {
        let id = self.broker.borrow_mut().handle_accepted(self.now())?;
        let peer = Rc::new(Peer {
            id,
            stream,
            blocked: Cell::new(false),
            closing: Cell::new(false),
            broken: Cell::new(false),
            wake: Notify::new(),
            closed: Notify::new(),
        });
        let mut peers = self.peers.borrow_mut();
        if peers.len() <= id.index() {
            peers.resize(id.index() + 1, None);
        }
        peers[id.index()] = Some(Rc::clone(&peer));
        drop(peers);
        self.arm();
        Some(peer)
    }

    fn remove(&self, peer: &Peer) {
        let now = self.now();
        self.peers.borrow_mut()[peer.id.index()] = None;
        self.broker.borrow_mut().handle_closed(now, peer.id);
        peer.closed.notify_one();
        self.drain();
    }

    /// Reads once and hands it on; what is no complete packet stays in `tail`.
    fn read(&self, peer: &Peer, tail: &mut BytesMut) -> io::Result<()> {
        let mut scratch = self.scratch.borrow_mut();
        let read = match peer.stream.try_read(&mut scratch) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
            Err(error) => return Err(error),
        };
        let bytes = &scratch[..read];
        if tail.is_empty() {
            let used = self.broker.borrow_mut().handle_input(self.now(), peer.id, bytes);
            tail.extend_from_slice(&bytes[used..]);
            drop(scratch);
            self.drain();
        } else {
            tail.extend_from_slice(bytes);
            drop(scratch);
            self.feed(peer, tail);
        }
        Ok(())
    }

    /// Hands on what waits in `tail`; returns how much was used.
    fn feed(&self, peer: &Peer, tail: &mut BytesMut) -> usize {
        let used = self.broker.borrow_mut().handle_input(self.now(), peer.id, tail);
        tail.advance(used);
        if tail.is_empty() {
            *tail = BytesMut::new();
        }
        self.drain();
        used
    }

    /// Does what the broker asks for.
    fn drain(&self) {
        loop {
            let action = self.broker.borrow_mut().poll_action();
            let Some(action) = action else {
                break;
            };
            match action {
                BrokerAction::Flush(id) => {
                    if let Some(peer) = self.peer(id) {
                        self.write(&peer);
                    }
                }
                BrokerAction::Close(id, _) => {
                    if let Some(peer) = self.peer(id) {
                        peer.closing.set(true);
                        peer.wake.notify_one();
                    }
                }
            }
        }
        self.arm();
    }

    fn arm(&self) {
        let next = self.broker.borrow().poll_timeout();
        if next.is_some_and(|next| self.armed.get().is_none_or(|armed| next < armed)) {
            self.timer.notify_one();
        }
    }

    fn peer(&self, id: ConnectionId) -> Option<Rc<Peer>> {
        let peers = self.peers.borrow();
        peers.get(id.index())?.as_ref().filter(|peer| peer.id == id).map(Rc::clone)
    }

    /// The socket of a connection that was blocked takes bytes again.
    fn write_blocked(&self, peer: &Peer) {
        peer.blocked.set(false);
        self.write(peer);
        self.drain();
    }

    /// Writes as much as the socket takes.
    fn write(&self, peer: &Peer) {
        let mut broker = self.broker.borrow_mut();
        let mut writes = 0;
        while !peer.blocked.get() && !peer.broken.get() {
            let Some(transmit) = broker.transmit(peer.id) else {
                return;
            };
            if !transmit.has_remaining() {
                return;
            }
            // Retained messages come for as long as they are taken; its own task goes on with them.
            if writes == WRITES_IN_A_TURN {
                peer.blocked.set(true);
                peer.wake.notify_one();
                return;
            }
            writes += 1;
            match peer.stream.try_write(transmit.chunk()) {
                Ok(written) => {
                    let was_stalled = !broker.wants_input(peer.id);
                    if let Some(transmit) = broker.transmit(peer.id) {
                        transmit.advance(written);
                    }
                    broker.handle_flushed(self.now(), peer.id);
                    if was_stalled && broker.wants_input(peer.id) {
                        peer.wake.notify_one();
                    }
                }
                Err(error) => {
                    if error.kind() == io::ErrorKind::WouldBlock {
                        peer.blocked.set(true);
                    } else {
                        peer.broken.set(true);
                    }
                    peer.wake.notify_one();
                }
            }
        }
    }
}

/// A listener, and where clients can connect to: the address, or the first one that works of those
/// a name stands for.
///
/// # Errors
/// The last error, if none of the addresses can be listened on.
pub async fn bind(address: &str) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// A number that differs from run to run and that peers cannot guess.
#[expect(clippy::disallowed_types, reason = "the one place where the server asks for randomness")]
fn random_seed() -> u64 {
    std::hash::RandomState::new().build_hasher().finish()
}
