//! The threads that move bytes and time between a socket and the session.
//!
//! One thread lives as long as the client. It opens network connections and reads from them, and
//! while it has one a second thread writes and keeps the time. To end a connection, whoever finds
//! out says so in `closing`; the writer writes what is left, tells the session, and closes the
//! socket, which wakes the reader.

use std::{
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::Arc,
    thread,
    time::Duration,
};

use bytes::{Buf, BytesMut};
use mqtt_session::{ConnectionState, Instant, ServerAddress};

use crate::{connect, shared::Shared};

/// How much is read at a time.
const READ: usize = 16 * 1024;
/// How much is written at a time.
const WRITE: usize = 64 * 1024;
/// How long a write may hold up the keeping of time.
const STALL: Duration = Duration::from_secs(1);
/// How long a server may take to close after a DISCONNECT, before the connection is closed under
/// it.
const LINGER: Duration = Duration::from_secs(1);

/// Until the connection has ended for good.
pub(crate) fn run(shared: &Arc<Shared>, server: &ServerAddress, first: TcpStream) {
    let mut next = Some(first);
    while let Some(stream) = next {
        connected(shared, &stream);
        next = reconnect(shared, server);
    }
}

/// One network connection, from CONNECT until it is closed.
fn connected(shared: &Shared, stream: &TcpStream) {
    let mut core = shared.lock();
    (core.closing, core.gone, core.read_all) = (None, false, false);
    core.driver.handle_connected(shared.clock.now());
    shared.act(&mut core);
    drop(core);
    thread::scope(|scope| {
        let writer = thread::Builder::new().name("mqtt writer".to_owned());
        if writer.spawn_scoped(scope, || write(shared, stream)).is_ok() {
            read(shared, stream);
        }
    });
    // Unless there was no writer to do it.
    closed(shared);
}

/// Waits for the next network connection; `None` when there will be none.
fn reconnect(shared: &Arc<Shared>, server: &ServerAddress) -> Option<TcpStream> {
    let mut core = shared.lock();
    loop {
        let now = shared.clock.now();
        if core.driver.poll_timeout().is_some_and(|at| at <= now) {
            core.driver.handle_timeout(now);
        }
        match core.connected.take() {
            Some(Some(stream)) => return Some(stream),
            Some(None) => core.driver.handle_connect_failed(now),
            None => {}
        }
        shared.act(&mut core);
        if matches!(core.driver.state(), ConnectionState::Closed(_)) {
            return None;
        }
        if std::mem::take(&mut core.connect)
            && !spawn_connect(shared, server, core.driver.connect_timeout())
        {
            core.connected = Some(None);
            continue;
        }
        core.wakes = core.driver.poll_timeout();
        let limit = shared.clock.until(core.wakes);
        core = shared.wait(&shared.work, core, limit);
    }
}

/// Opens a network connection on a thread of its own, so that a server that does not answer holds
/// up nothing.
fn spawn_connect(shared: &Arc<Shared>, server: &ServerAddress, limit: Duration) -> bool {
    let (shared, server) = (shared.clone(), server.clone());
    let connect = move || {
        let stream = connect::connect(&server, limit).ok();
        shared.lock().connected = Some(stream);
        shared.work.notify_all();
    };
    thread::Builder::new().name("mqtt connect".to_owned()).spawn(connect).is_ok()
}

/// Reads until the network connection ends. Once it is to be closed, only so that the server need
/// not wait.
fn read(shared: &Shared, mut stream: &TcpStream) {
    let mut input = BytesMut::new();
    let mut buffer = vec![0; READ];
    loop {
        let mut core = shared.lock();
        while core.closing.is_none() && !core.gone && !core.driver.wants_input() {
            core = shared.wait(&shared.resume, core, shared.clock.until(None));
        }
        drop(core);
        let count = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let mut core = shared.lock();
        if core.closing.is_none() && !core.gone {
            input.extend_from_slice(&buffer[..count]);
            core.driver.handle_input(shared.clock.now(), &mut input);
            shared.act(&mut core);
        }
    }
    let mut core = shared.lock();
    core.read_all = true;
    shared.close(&mut core, None);
    drop(core);
    // Should the writer be waiting for the server to read, it need not.
    let _ = stream.shutdown(Shutdown::Both);
}

/// Writes and keeps the time until the network connection is to be closed, and closes it.
fn write(shared: &Shared, mut stream: &TcpStream) {
    let mut output = Output { shared, bytes: BytesMut::new(), until: None, broken: false };
    while let Some(limit) = output.next() {
        // The standard library takes no time-out of zero.
        let _ = stream.set_write_timeout(Some(limit.max(Duration::from_millis(1))));
        match stream.write(&output.bytes) {
            Ok(count) => output.bytes.advance(count),
            Err(error) => match error.kind() {
                ErrorKind::Interrupted | ErrorKind::WouldBlock | ErrorKind::TimedOut => {}
                _ => output.give_up(),
            },
        }
    }
    closed(shared);
    let _ = stream.shutdown(Shutdown::Write);
    // Closing with bytes unread would reset the connection, and the server might lose the
    // DISCONNECT that is on its way.
    let until = shared.clock.now() + LINGER;
    let mut core = shared.lock();
    while !core.read_all && shared.clock.now() < until {
        let limit = shared.clock.until(Some(until));
        core = shared.wait(&shared.work, core, limit);
    }
    drop(core);
    let _ = stream.shutdown(Shutdown::Both);
}

/// What is being written.
struct Output<'a> {
    shared: &'a Shared,
    bytes: BytesMut,
    /// When to stop, if that was said.
    until: Option<Instant>,
    /// Nothing can be written any more.
    broken: bool,
}

impl Output<'_> {
    /// Waits until there is something to write, and says how long that may take; `None` when the
    /// connection is to be closed.
    fn next(&mut self) -> Option<Duration> {
        let Shared { clock, work, .. } = self.shared;
        let mut core = self.shared.lock();
        loop {
            let now = clock.now();
            if core.driver.poll_timeout().is_some_and(|at| at <= now) {
                core.driver.handle_timeout(now);
                self.shared.act(&mut core);
            }
            let closing = core.closing;
            if let Some(flush) = closing {
                self.until.get_or_insert(now + flush?);
            }
            if self.until.is_some_and(|until| until <= now) {
                return None;
            }
            if self.bytes.is_empty() && !self.broken && !core.driver.transmit().is_empty() {
                let transmit = core.driver.transmit();
                let count = transmit.chunk().len().min(WRITE);
                self.bytes.extend_from_slice(&transmit.chunk()[..count]);
                transmit.advance(count);
                // There is room for what waited.
                self.shared.act(&mut core);
            }
            core.wakes = core.driver.poll_timeout().into_iter().chain(self.until).min();
            let limit = clock.until(core.wakes);
            if !self.bytes.is_empty() {
                return Some(limit.min(STALL));
            }
            if closing.is_some() {
                return None;
            }
            core = self.shared.wait(work, core, limit);
        }
    }

    /// The network connection is broken. The server may have said why: the reader has a moment to
    /// find out.
    fn give_up(&mut self) {
        self.broken = true;
        self.bytes.clear();
        self.until = Some(self.shared.clock.now() + LINGER);
    }
}

/// Tells the session that the network connection is gone, once.
fn closed(shared: &Shared) {
    let mut core = shared.lock();
    if !core.gone {
        core.gone = true;
        core.driver.handle_closed(shared.clock.now());
        shared.act(&mut core);
        shared.resume.notify_all();
    }
}
