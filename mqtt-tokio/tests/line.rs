//! What was put in line goes out before DISCONNECT, although nobody gave the driver a turn.

use std::time::Duration;

use mqtt_broker_lite::TestBroker;
use mqtt_tokio::{Client, ClientOptions, Error, QoS};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);
const COUNT: usize = 50;
/// The driver picks among what is ready by chance.
const ROUNDS: usize = 10;

#[tokio::test]
async fn line_before_disconnect() -> Result<(), Error> {
    let broker = TestBroker::start();
    let (subscriber, mut messages) =
        Client::connect(broker.addr(), ClientOptions::new("sub")).await?;
    subscriber.subscribe("a", QoS::AtMostOnce).await?;
    for _ in 0..ROUNDS {
        let (client, _) = Client::connect(broker.addr(), ClientOptions::new("pub")).await?;
        for n in 0..COUNT {
            drop(client.publish("a", n.to_string()).start().await?);
        }
        client.disconnect().await?;
        for n in 0..COUNT {
            let publish = timeout(LIMIT, messages.recv()).await.expect("in time")?;
            let publish = publish.expect("a message");
            assert_eq!(publish.message.payload, n.to_string());
        }
    }
    subscriber.disconnect().await
}
