//! The tests that both clients pass, on this one.

use std::{future::Future, sync::OnceLock, time::Duration};

use bytes::Bytes;
use common::{Adapter, Failure, Made, Outgoing, peer::LIMIT};
use mqtt_tokio::{
    Acknowledgement, Client, ClientOptions, CloseReason, ConnectionState, Messages, Properties,
    Publish, PublishBuilder, QoS, ReasonCode,
};
use tokio::{
    runtime::{Builder, Runtime},
    time::timeout,
};

#[path = "../../mqtt-blocking/tests/common/mod.rs"]
mod common;

struct Tokio;

/// Every test runs on a thread of its own, and all drivers on one more.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    let build = || Builder::new_multi_thread().worker_threads(1).enable_all().build();
    RUNTIME
        .get_or_init(|| build().expect("a runtime"))
        .block_on(async { timeout(2 * LIMIT, future).await.expect("an end") })
}

fn builder(client: &Client, message: &Outgoing<'_>) -> PublishBuilder {
    client
        .publish(message.topic, &message.payload)
        .qos(message.qos)
        .retain(message.retain)
        .properties(message.properties.clone())
}

impl Adapter for Tokio {
    type Client = Client;
    type Messages = Messages;
    type Acknowledgement = Acknowledgement;

    fn connect(url: &str, options: ClientOptions) -> Made<(Client, Messages)> {
        Ok(block_on(Client::connect(url, options))?)
    }

    fn start(client: &Client, message: &Outgoing<'_>) -> Made<Acknowledgement> {
        Ok(block_on(builder(client, message).start())?)
    }

    fn wait(acknowledgement: Acknowledgement) -> Made<ReasonCode> {
        Ok(block_on(acknowledgement)?)
    }

    fn send(client: &Client, message: &Outgoing<'_>) -> Made<ReasonCode> {
        Ok(block_on(builder(client, message).into_future())?)
    }

    fn subscribe(client: &Client, filter: &str, qos: QoS) -> Made<QoS> {
        Ok(block_on(client.subscribe(filter, qos))?)
    }

    fn subscribe_with(client: &Client, filters: &[(&str, QoS)]) -> Made<Vec<ReasonCode>> {
        Ok(block_on(client.subscribe_with(filters.iter().copied(), Properties::EMPTY))?)
    }

    fn unsubscribe(client: &Client, filter: &str) -> Made<ReasonCode> {
        Ok(block_on(client.unsubscribe(filter))?)
    }

    fn disconnect(client: &Client) -> Made<()> {
        Ok(block_on(client.disconnect())?)
    }

    fn state(client: &Client) -> ConnectionState {
        client.state()
    }

    fn state_changed(client: &Client, seen: &ConnectionState) -> ConnectionState {
        block_on(client.state_changed(seen))
    }

    fn closed(client: &Client) -> CloseReason {
        block_on(client.closed())
    }

    fn recv(messages: &mut Messages, limit: Duration) -> Made<Option<Publish<Bytes>>> {
        let timed_out = || Failure { debug: "TimedOut".to_owned(), display: String::new() };
        Ok(block_on(async { timeout(limit, messages.recv()).await }).map_err(|_| timed_out())??)
    }
}

client_tests! { Tokio }
