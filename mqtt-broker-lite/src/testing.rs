//! A broker inside a test.

use core::fmt;
use std::{
    format, io,
    net::{Ipv4Addr, SocketAddr},
    string::String,
    thread::{self, JoinHandle},
    vec,
};

use tokio::sync::oneshot;

use crate::{
    BrokerConfig,
    server::{CLOSE_WAIT_IN_TESTS, serve_with},
};

/// A broker of its own on a free port of the loopback interface, in a thread of this process. It is
/// ready when [`start`](Self::start) returns, and gone with all its state when the value is
/// dropped.
///
/// ```
/// use std::net::TcpStream;
/// use mqtt_broker_lite::TestBroker;
///
/// let broker = TestBroker::start();
/// assert!(TcpStream::connect(broker.addr()).is_ok());
/// ```
pub struct TestBroker {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl TestBroker {
    /// With the default limits.
    ///
    /// # Panics
    /// If there is no port or no thread to be had.
    #[must_use]
    pub fn start() -> Self {
        Self::with_config(BrokerConfig::default())
    }

    /// With these limits.
    ///
    /// # Panics
    /// If there is no port or no thread to be had.
    #[must_use]
    pub fn with_config(config: BrokerConfig) -> Self {
        Self::try_start(config).expect("a port on the loopback interface and a thread")
    }

    fn try_start(config: BrokerConfig) -> io::Result<Self> {
        // Bound here, so that clients can connect before the thread runs.
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("mqtt-broker".into()).spawn(move || {
            runtime.block_on(async {
                let listener = tokio::net::TcpListener::from_std(listener);
                let listener = listener.expect("a listener that does not block, on this runtime");
                let stop = async {
                    // Asked to stop, or dropped without a word.
                    let _ = stopped.await;
                };
                serve_with(vec![listener], config, stop, CLOSE_WAIT_IN_TESTS).await;
            });
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    #[must_use]
    pub const fn addr(&self) -> SocketAddr {
        self.address
    }

    /// The same as a URL, such as `mqtt://127.0.0.1:40123`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("mqtt://{}", self.address)
    }
}

impl Drop for TestBroker {
    /// Stops as the server does: clients are told, and what is queued for them is written.
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // An error says that it has stopped by itself.
            let _ = stop.send(());
        }
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !thread::panicking()
        {
            panic!("the broker panicked");
        }
    }
}

impl fmt::Debug for TestBroker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TestBroker({})", self.address)
    }
}
