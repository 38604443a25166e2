//! From an address to a network connection.

use std::{io, net::SocketAddr, time::Duration};

use mqtt_session::ServerAddress;
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use crate::ConnectError;

/// Tries every address the name stands for, in the resolver's order, each for as long as `limit`.
pub(crate) async fn connect(
    server: &ServerAddress,
    limit: Duration,
) -> Result<TcpStream, ConnectError> {
    let resolved = timeout(limit, lookup_host((server.host(), server.port()))).await;
    let addresses = match resolved {
        Ok(Ok(addresses)) => addresses.collect::<Vec<_>>(),
        Ok(Err(error)) => return Err(ConnectError::new(server.clone(), [(None, error)])),
        Err(_) => return Err(ConnectError::new(server.clone(), [(None, too_late())])),
    };
    connect_any(&addresses, limit)
        .await
        .map_err(|attempts| ConnectError::new(server.clone(), attempts))
}

async fn connect_any(
    addresses: &[SocketAddr],
    limit: Duration,
) -> Result<TcpStream, Vec<(Option<SocketAddr>, io::Error)>> {
    let mut attempts = Vec::new();
    for &address in addresses {
        let error = match timeout(limit, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => match stream.set_nodelay(true) {
                Ok(()) => return Ok(stream),
                Err(error) => error,
            },
            Ok(Err(error)) => error,
            Err(_) => too_late(),
        };
        attempts.push((Some(address), error));
    }
    Err(attempts)
}

fn too_late() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// A port nobody listens on: it was free a moment ago.
    fn closed() -> SocketAddr {
        TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a port")
    }

    #[tokio::test]
    async fn every_address_is_tried() {
        let limit = Duration::from_secs(5);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let open = listener.local_addr().expect("an address");
        let (first, second) = (closed(), closed());

        let stream = connect_any(&[first, second, open], limit).await.expect("the last one");
        assert_eq!(stream.peer_addr().expect("a peer"), open);

        let attempts = connect_any(&[first, second], limit).await.expect_err("nobody listens");
        let tried: Vec<_> = attempts.iter().map(|(address, _)| *address).collect();
        assert_eq!(tried, [Some(first), Some(second)]);
        assert!(attempts.iter().all(|(_, e)| e.kind() == io::ErrorKind::ConnectionRefused));
    }
}
