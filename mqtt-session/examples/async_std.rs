//! A client on async-std: one task, which reads, writes and waits by turns.
//!
//! ```text
//! cargo run -p mqtt-session --example async_std -- 127.0.0.1:1883
//! ```

#![allow(unreachable_pub, reason = "a test runs this file as a module")]

use std::{env, io::ErrorKind};

use async_std::{future::timeout, io::prelude::*, net::TcpStream, task};
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
    task::block_on(async {
        let clock = Clock::start();
        let (mut echo, mut client) = Echo::new("async-std")?;
        let mut socket = TcpStream::connect(address).await?;
        client.handle_connected(clock.now());
        let end = drive(&mut client, &clock, &mut socket, &mut echo).await;
        client.handle_closed(clock.now());
        echo.end(end?)
    })
}

async fn drive(
    client: &mut Client,
    clock: &Clock,
    socket: &mut TcpStream,
    echo: &mut Echo,
) -> Result<CloseReason, AnyError> {
    let mut src = BytesMut::new();
    let mut chunk = [0; 4096];
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
            match socket.write(client.transmit().chunk()).await {
                Ok(0) => return Ok(CloseReason::Lost),
                Ok(count) => client.transmit().advance(count),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        if let Some(reason) = close {
            return Ok(reason);
        }
        // Nothing is left to write, so the client wants input. A read that timed out took nothing.
        match timeout(clock.until(client.poll_timeout()), socket.read(&mut chunk)).await {
            Ok(Ok(0)) => return Ok(CloseReason::Lost),
            Ok(Ok(count)) => {
                src.extend_from_slice(&chunk[..count]);
                client.handle_input(clock.now(), &mut src);
            }
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => client.handle_timeout(clock.now()),
        }
    }
}
