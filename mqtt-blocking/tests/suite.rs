//! The tests that both clients pass, on this one.

use std::time::Duration;

use bytes::Bytes;
use common::{Adapter, Made, Outgoing};
use mqtt_blocking::{
    Acknowledgement, Client, ClientOptions, CloseReason, ConnectionState, Messages, Properties,
    Publish, PublishBuilder, QoS, ReasonCode,
};

mod common;

struct Blocking;

fn builder(client: &Client, message: &Outgoing<'_>) -> PublishBuilder {
    client
        .publish(message.topic, &message.payload)
        .qos(message.qos)
        .retain(message.retain)
        .properties(message.properties.clone())
}

impl Adapter for Blocking {
    type Client = Client;
    type Messages = Messages;
    type Acknowledgement = Acknowledgement;

    fn connect(url: &str, options: ClientOptions) -> Made<(Client, Messages)> {
        Ok(Client::connect(url, options)?)
    }

    fn start(client: &Client, message: &Outgoing<'_>) -> Made<Acknowledgement> {
        Ok(builder(client, message).start()?)
    }

    fn wait(acknowledgement: Acknowledgement) -> Made<ReasonCode> {
        Ok(acknowledgement.wait()?)
    }

    fn send(client: &Client, message: &Outgoing<'_>) -> Made<ReasonCode> {
        Ok(builder(client, message).send()?)
    }

    fn subscribe(client: &Client, filter: &str, qos: QoS) -> Made<QoS> {
        Ok(client.subscribe(filter, qos)?)
    }

    fn subscribe_with(client: &Client, filters: &[(&str, QoS)]) -> Made<Vec<ReasonCode>> {
        Ok(client.subscribe_with(filters.iter().copied(), Properties::EMPTY)?)
    }

    fn unsubscribe(client: &Client, filter: &str) -> Made<ReasonCode> {
        Ok(client.unsubscribe(filter)?)
    }

    fn disconnect(client: &Client) -> Made<()> {
        Ok(client.disconnect()?)
    }

    fn state(client: &Client) -> ConnectionState {
        client.state()
    }

    fn state_changed(client: &Client, seen: &ConnectionState) -> ConnectionState {
        client.state_changed_timeout(seen, common::peer::LIMIT).expect("another state")
    }

    fn closed(client: &Client) -> CloseReason {
        client.closed()
    }

    fn recv(messages: &mut Messages, timeout: Duration) -> Made<Option<Publish<Bytes>>> {
        Ok(messages.recv_timeout(timeout)?)
    }
}

client_tests! { Blocking }
