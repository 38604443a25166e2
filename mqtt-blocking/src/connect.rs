//! From an address to a network connection.

use std::{
    io,
    net::{SocketAddr, TcpStream, ToSocketAddrs},
    time::Duration,
};

use mqtt_session::ServerAddress;

use crate::ConnectError;

/// Tries every address the name stands for, in the resolver's order, each for as long as `limit`.
/// The resolver takes the time it takes.
pub(crate) fn connect(server: &ServerAddress, limit: Duration) -> Result<TcpStream, ConnectError> {
    match (server.host(), server.port()).to_socket_addrs() {
        Ok(addresses) => connect_any(addresses, limit)
            .map_err(|attempts| ConnectError::new(server.clone(), attempts)),
        Err(error) => Err(ConnectError::new(server.clone(), [(None, error)])),
    }
}

fn connect_any(
    addresses: impl IntoIterator<Item = SocketAddr>,
    limit: Duration,
) -> Result<TcpStream, Vec<(Option<SocketAddr>, io::Error)>> {
    let mut attempts = Vec::new();
    // The standard library takes no time-out of zero.
    let limit = limit.max(Duration::from_millis(1));
    for address in addresses {
        let connected = TcpStream::connect_timeout(&address, limit)
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => attempts.push((Some(address), error)),
        }
    }
    Err(attempts)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A port nobody listens on: it was free a moment ago.
    fn closed() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port")
    }

    #[test]
    fn every_address_is_tried() {
        let limit = Duration::from_secs(5);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let open = listener.local_addr().expect("an address");
        let (first, second) = (closed(), closed());

        let stream = connect_any([first, second, open], limit).expect("the last one");
        assert_eq!(stream.peer_addr().expect("a peer"), open);

        let attempts = connect_any([first, second], limit).expect_err("nobody listens");
        let tried: Vec<_> = attempts.iter().map(|(address, _)| *address).collect();
        assert_eq!(tried, [Some(first), Some(second)]);
        assert!(attempts.iter().all(|(_, e)| e.kind() == io::ErrorKind::ConnectionRefused));
    }
}
