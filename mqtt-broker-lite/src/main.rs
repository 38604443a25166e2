//! `mqtt-broker-lite`: an MQTT 3.1.1 and 5.0 broker on TCP. State is in memory and ends with the
//! process.

use std::{
    io::{self, Write},
    process::ExitCode,
    time::Duration,
};

use clap::Parser;
use mqtt_broker_lite::{BrokerConfig, ServerConfig, server};

/// A small, fast MQTT 3.1.1 and 5.0 broker. Sessions, retained messages and queues are in memory
/// and end with the process.
///
/// It accepts every client, without a password and without encryption. Stop it with Ctrl-C or
/// SIGTERM: clients are told, and what is queued for them is written first.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Where to accept connections, as address:port or name:port; may be given more than once.
    /// Port 0 takes any free port. The address that was taken is printed.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:1883")]
    listen: Vec<String>,

    /// How long a new connection may take to send CONNECT.
    #[arg(
        long,
        value_name = "SECONDS",
        default_value_t = 10,
        value_parser = clap::value_parser!(u64).range(1..=3600),
    )]
    connect_timeout: u64,

    /// The largest packet that is read, in bytes, fixed header included; 5.0 clients are told. A
    /// larger one ends the connection.
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = 1024 * 1024,
        value_parser = clap::value_parser!(u32).range(128..=268_435_460),
    )]
    max_packet_size: u32,

    /// How many messages of QoS 1 and 2 a client may send before one is acknowledged; 5.0 clients
    /// are told.
    #[arg(
        long,
        value_name = "MESSAGES",
        default_value_t = 1024,
        value_parser = clap::value_parser!(u16).range(1..),
    )]
    receive_maximum: u16,

    /// How many topic aliases a 5.0 client may use.
    #[arg(long, value_name = "ALIASES", default_value_t = 16)]
    topic_alias_maximum: u16,

    /// How many messages of QoS 1 and 2 are sent to a client before it acknowledges one, if it
    /// allows as many.
    #[arg(
        long,
        value_name = "MESSAGES",
        default_value_t = 100,
        value_parser = clap::value_parser!(u16).range(1..),
    )]
    max_in_flight: u16,

    /// How many messages of QoS 1 and 2 wait for a client or are in flight to it; further ones are
    /// dropped.
    #[arg(
        long,
        value_name = "MESSAGES",
        default_value_t = 1000,
        value_parser = clap::value_parser!(u16).range(1..),
    )]
    max_queued: u16,

    /// How many connections are open at the same time; further ones are closed at once.
    #[arg(long, value_name = "CONNECTIONS", default_value_t = 10_000)]
    max_connections: usize,

    /// How many sessions there are at the same time, connected or not; further clients are
    /// refused.
    #[arg(long, value_name = "SESSIONS", default_value_t = 100_000)]
    max_sessions: usize,

    /// For how long a session is kept after its connection, at most; for ever if not given.
    #[arg(long, value_name = "SECONDS", default_value_t = u32::MAX, hide_default_value = true)]
    max_session_expiry: u32,

    /// How many subscriptions a session has; further ones are refused.
    #[arg(long, value_name = "FILTERS", default_value_t = 1000)]
    max_subscriptions: usize,

    /// How many levels a topic filter has; longer ones are refused.
    #[arg(long, value_name = "LEVELS", default_value_t = 128)]
    max_filter_levels: usize,

    /// How many messages are retained; messages for further topics are refused.
    #[arg(long, value_name = "MESSAGES", default_value_t = 100_000)]
    max_retained: usize,
}

impl Arguments {
    fn config(&self) -> BrokerConfig {
        let server = ServerConfig {
            connect_timeout: Duration::from_secs(self.connect_timeout),
            max_packet_size: self.max_packet_size,
            receive_maximum: self.receive_maximum,
            topic_alias_maximum: self.topic_alias_maximum,
            max_queued: self.max_queued,
            max_in_flight: self.max_in_flight,
            ..ServerConfig::default()
        };
        BrokerConfig {
            server,
            max_connections: self.max_connections,
            max_sessions: self.max_sessions,
            max_session_expiry: self.max_session_expiry,
            max_subscriptions: self.max_subscriptions,
            max_filter_levels: self.max_filter_levels,
            max_retained: self.max_retained,
        }
    }
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("mqtt-broker-lite: {message}");
            ExitCode::FAILURE
        }
    }
}

#[tokio::main(flavor = "current_thread")]
async fn run(arguments: &Arguments) -> Result<(), String> {
    // Before anybody is told that this runs.
    let stop = stop_signal().map_err(|error| format!("cannot listen for signals: {error}"))?;
    let mut listeners = Vec::new();
    for address in &arguments.listen {
        let (listener, address) = server::bind(address).await.map_err(|e| explain(address, &e))?;
        listeners.push(listener);
        // Whoever reads this may have closed the pipe; that is no reason not to serve.
        let _ = writeln!(io::stdout(), "listening on {address}");
        let _ = io::stdout().flush();
    }
    server::serve(listeners, arguments.config(), stop).await;
    Ok(())
}

fn explain(address: &str, error: &io::Error) -> String {
    let hint = match error.kind() {
        io::ErrorKind::AddrInUse => {
            "; another program listens there: stop it, or choose another port with --listen"
        }
        io::ErrorKind::PermissionDenied => "; ports below 1024 need privileges",
        io::ErrorKind::AddrNotAvailable => "; this machine does not have that address",
        _ => {
            "; an address and a port are wanted, \
             such as 127.0.0.1:1883, [::1]:1883 or localhost:1883"
        }
    };
    format!("cannot listen on {address}: {error}{hint}")
}

/// Completes at the first SIGINT or SIGTERM.
#[cfg(unix)]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Completes at the first Ctrl-C.
#[cfg(not(unix))]
fn stop_signal() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        let _ = tokio::signal::ctrl_c().await;
    })
}
