//! A client on plain threads and `std::net`: one thread reads, this one does everything else.
//!
//! ```text
//! cargo run -p mqtt-session --example threads -- 127.0.0.1:1883
//! ```

#![allow(unreachable_pub, reason = "a test runs this file as a module")]

use std::{
    env,
    io::{ErrorKind, Read, Write},
    net::{Shutdown, TcpStream},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    thread,
};

use bytes::{Buf, BytesMut};
use mqtt_session::{Client, ClientAction, CloseReason};

mod echo;

use echo::{AnyError, Clock, Echo};

#[allow(dead_code, reason = "a test calls `run`")]
fn main() -> Result<(), AnyError> {
    let address = env::args().nth(1).unwrap_or_else(|| "127.0.0.1:1883".to_owned());
    run(&address).map(|_| ())
}

/// Connects, sends itself a message of each QoS, and disconnects; what came back.
pub fn run(address: &str) -> Result<Vec<String>, AnyError> {
    let clock = Clock::start();
    let (mut echo, mut client) = Echo::new("threads")?;
    let mut socket = TcpStream::connect(address)?;
    // One chunk at most waits: a client that is busy writing leaves the rest to TCP.
    let (sender, inbox) = sync_channel(1);
    let mut reading = socket.try_clone()?;
    let reader = thread::spawn(move || read(&mut reading, &sender));

    client.handle_connected(clock.now());
    let end = drive(&mut client, &clock, &mut socket, &inbox, &mut echo);
    // Wakes the reader, wherever it waits.
    let _ = socket.shutdown(Shutdown::Both);
    drop(inbox);
    client.handle_closed(clock.now());
    reader.join().expect("the reader does not panic");
    echo.end(end?)
}

/// Gives what comes to the other thread, until either of them ends.
fn read(socket: &mut TcpStream, sender: &SyncSender<Vec<u8>>) {
    let mut chunk = [0; 4096];
    while let Ok(count @ 1..) = socket.read(&mut chunk) {
        if sender.send(chunk[..count].to_vec()).is_err() {
            return;
        }
    }
}

fn drive(
    client: &mut Client,
    clock: &Clock,
    socket: &mut TcpStream,
    inbox: &Receiver<Vec<u8>>,
    echo: &mut Echo,
) -> Result<CloseReason, AnyError> {
    let mut src = BytesMut::new();
    loop {
        let mut close = None;
        // Every action; what there is to write; and again, for writing makes room for more.
        loop {
            while let Some(action) = client.poll_action() {
                match action {
                    ClientAction::Close(reason) => close = Some(reason),
                    action => echo.react(client, clock.now(), action)?,
                }
            }
            if client.transmit().is_empty() {
                break;
            }
            match socket.write(client.transmit().chunk()) {
                Ok(0) => return Ok(CloseReason::Lost),
                Ok(count) => client.transmit().advance(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(reason) = close {
            return Ok(reason);
        }
        // Nothing is left to write, so the client wants input.
        match inbox.recv_timeout(clock.until(client.poll_timeout())) {
            Ok(chunk) => {
                src.extend_from_slice(&chunk);
                client.handle_input(clock.now(), &mut src);
            }
            Err(RecvTimeoutError::Timeout) => client.handle_timeout(clock.now()),
            Err(RecvTimeoutError::Disconnected) => return Ok(CloseReason::Lost),
        }
    }
}
