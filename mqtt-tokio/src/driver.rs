//! The task that moves bytes, requests and time between a socket, the application and the session.

use std::{future, io, ops::ControlFlow, time::Duration};

use bytes::{Buf, BytesMut};
use mqtt_session::{
    ClientDriver, ConnectionState, DriverAction, Request, ServerAddress, proto::ReasonCode,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, oneshot, watch},
    time::{sleep_until, timeout},
};

use crate::{client::Waiter, clock::Clock, connect, messages::Queue};

/// How much is read at a time; the buffer grows only for a packet that is larger.
const READ: usize = 16 * 1024;
/// How many requests are taken before what they wrote is sent.
const BATCH: usize = 64;
/// How long a server may take to close after a DISCONNECT, before the connection is closed under
/// it.
const LINGER: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Driver {
    pub(crate) driver: ClientDriver<Waiter>,
    pub(crate) clock: Clock,
    pub(crate) server: ServerAddress,
    pub(crate) requests: mpsc::Receiver<(Request, Waiter)>,
    pub(crate) disconnect: mpsc::Receiver<ReasonCode>,
    /// Told when a server accepts for the first time, however long that holds.
    pub(crate) accepted: Option<oneshot::Sender<()>>,
    pub(crate) state: watch::Sender<ConnectionState>,
    pub(crate) messages: Queue,
}

/// What ends the work on one network connection, or the wait for the next.
enum Turn {
    Close { flush: Option<Duration> },
    Connect,
}

/// What a select brought.
enum Event {
    Read(io::Result<usize>),
    Written(io::Result<usize>),
    Request(Option<(Request, Waiter)>),
    Disconnect(Option<ReasonCode>),
    Timeout,
    Resume,
}

impl Driver {
    /// Until the connection has ended for good. Requests that are still in line then find out by
    /// the end of their channel.
    pub(crate) async fn run(mut self, first: TcpStream) {
        let mut next = Some(first);
        while !matches!(self.driver.state(), ConnectionState::Closed(_)) {
            match next.take() {
                Some(stream) => {
                    self.driver.handle_connected(self.clock.now());
                    self.connected(stream).await;
                }
                None => next = self.reconnect().await,
            }
        }
        // The last actions: whoever waits hears of the end.
        let _ = self.act();
    }

    /// One network connection, from CONNECT until it is closed.
    async fn connected(&mut self, mut stream: TcpStream) {
        let mut input = BytesMut::new();
        let flush = loop {
            if let ControlFlow::Break(Turn::Close { flush }) = self.act() {
                break flush;
            }
            let reads = self.reads();
            if input.capacity() - input.len() < READ {
                input.reserve(READ);
            }
            let writes = !self.driver.transmit().is_empty();
            let requests = self.driver.wants_requests();
            let timer = sleep(self.clock, self.driver.poll_timeout());
            let (mut reader, mut writer) = stream.split();
            let event = tokio::select! {
                read = reader.read_buf(&mut input), if reads => Event::Read(read),
                written = writer.write_buf(self.driver.transmit()), if writes => {
                    Event::Written(written)
                }
                request = self.requests.recv(), if requests => Event::Request(request),
                reason = self.disconnect.recv() => Event::Disconnect(reason),
                () = timer => Event::Timeout,
                () = self.messages.resume(), if !reads => Event::Resume,
            };
            let now = self.clock.now();
            match event {
                Event::Read(Ok(1..)) => self.driver.handle_input(now, &mut input),
                Event::Read(_) => break None,
                Event::Written(Err(_)) => {
                    // The server may have said why it closed.
                    while matches!(stream.try_read_buf(&mut input), Ok(1..)) {
                        self.driver.handle_input(now, &mut input);
                        input.reserve(READ);
                    }
                    break None;
                }
                Event::Written(Ok(_)) | Event::Resume => {}
                event => self.handle(event),
            }
        };
        if let Some(limit) = flush {
            let _ = timeout(limit, stream.write_all_buf(self.driver.transmit())).await;
        }
        self.driver.handle_closed(self.clock.now());
        if flush.is_some() && stream.shutdown().await.is_ok() {
            tokio::spawn(linger(stream));
        }
    }

    /// Between two connections.
    async fn reconnect(&mut self) -> Option<TcpStream> {
        while !matches!(self.act(), ControlFlow::Break(Turn::Connect)) {
            if matches!(self.driver.state(), ConnectionState::Closed(_)) {
                return None;
            }
            let event = self.wait(future::pending::<()>()).await;
            event.map_or_else(|event| self.handle(event), |()| {});
        }
        let (server, limit) = (self.server.clone(), self.driver.connect_timeout());
        let mut connecting = Box::pin(async move { connect::connect(&server, limit).await });
        loop {
            let _ = self.act();
            if matches!(self.driver.state(), ConnectionState::Closed(_)) {
                return None;
            }
            match self.wait(&mut connecting).await {
                Ok(Ok(stream)) => return Some(stream),
                Ok(Err(_)) => {
                    self.driver.handle_connect_failed(self.clock.now());
                    return None;
                }
                Err(event) => self.handle(event),
            }
        }
    }

    /// Waits for `done` or, as the error, what else happens without a connection.
    async fn wait<F: Future>(&mut self, done: F) -> Result<F::Output, Event> {
        let requests = self.driver.wants_requests();
        let (clock, deadline) = (self.clock, self.driver.poll_timeout());
        tokio::select! {
            done = done => Ok(done),
            request = self.requests.recv(), if requests => Err(Event::Request(request)),
            reason = self.disconnect.recv() => Err(Event::Disconnect(reason)),
            () = sleep(clock, deadline) => Err(Event::Timeout),
        }
    }

    fn handle(&mut self, event: Event) {
        let now = self.clock.now();
        match event {
            Event::Request(request) => {
                if let Some((request, waiter)) = request {
                    self.request(request, waiter);
                }
                self.take_requests(BATCH);
            }
            Event::Disconnect(reason) => {
                // What was asked for before is done first. Without a reason nobody is left to ask.
                self.take_requests(usize::MAX);
                let reason = reason.unwrap_or(ReasonCode::NORMAL_DISCONNECTION);
                self.driver.disconnect(now, reason);
            }
            Event::Timeout => self.driver.handle_timeout(now),
            Event::Read(_) | Event::Written(_) | Event::Resume => {}
        }
    }

    fn take_requests(&mut self, count: usize) {
        for _ in 0..count {
            if !self.driver.wants_requests() {
                return;
            }
            match self.requests.try_recv() {
                Ok((request, waiter)) => self.request(request, waiter),
                Err(_) => return,
            }
        }
    }

    fn request(&mut self, request: Request, waiter: Waiter) {
        // What the application took before it asked makes room for the answer.
        self.driver.handle_taken(self.messages.taken());
        self.driver.request(self.clock.now(), request, waiter);
    }

    /// Does what the session asks for, up to what concerns the network connection.
    fn act(&mut self) -> ControlFlow<Turn> {
        while let Some(action) = self.driver.poll_action() {
            match action {
                DriverAction::Deliver { publish, .. } => self.messages.push(publish),
                // Whoever does not wait any longer need not know.
                DriverAction::Complete(waiter, result) => drop(waiter.send(result)),
                DriverAction::State(state) => {
                    if matches!(state, ConnectionState::Connected(_)) {
                        self.accepted.take().map(|accepted| accepted.send(()));
                    }
                    self.state.send_replace(state);
                }
                DriverAction::Close { flush } => return ControlFlow::Break(Turn::Close { flush }),
                DriverAction::Connect => return ControlFlow::Break(Turn::Connect),
                _ => {}
            }
        }
        ControlFlow::Continue(())
    }

    /// Whether to read. Looks twice, so that the application either is seen to have taken
    /// messages or wakes this task.
    fn reads(&mut self) -> bool {
        self.messages.set_paused(false);
        self.driver.handle_taken(self.messages.taken());
        if !self.driver.wants_input() {
            self.messages.set_paused(true);
            self.driver.handle_taken(self.messages.taken());
        }
        self.driver.wants_input()
    }
}

async fn sleep(clock: Clock, deadline: Option<mqtt_session::Instant>) {
    match deadline.and_then(|deadline| clock.instant(deadline)) {
        Some(deadline) => sleep_until(deadline).await,
        None => future::pending().await,
    }
}

/// Reads on until the server has closed as well. Closing with bytes unread would reset the
/// connection, and the server might lose the DISCONNECT that is on its way.
async fn linger(mut stream: TcpStream) {
    let mut nothing = BytesMut::with_capacity(READ);
    let _ = timeout(LINGER, async {
        while matches!(stream.read_buf(&mut nothing).await, Ok(1..)) {
            nothing.advance(nothing.len());
        }
    })
    .await;
}
