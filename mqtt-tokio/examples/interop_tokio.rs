//! Publishes numbered messages to itself through a server, and prints what comes back: for the
//! interop check.
//!
//! ```text
//! interop_tokio URL --version 311|5 --qos N --count N --topic T [--client-id-prefix P]
//! [--reconnect]
//! ```

use std::{collections::HashSet, error::Error, time::Duration};

use mqtt_tokio::{
    Backoff, Bytes, Client, ClientOptions, Messages, Properties, Property, ProtocolVersion,
    Publish, QoS,
};
use tokio::time::timeout;

/// How long to wait for another message while some are missing, and for one too many when all
/// have come.
const PATIENCE: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_secs(1);

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let args = Args::parse(std::env::args().skip(1))?;
    let (subscriber, messages) = Client::connect(&args.url, args.options("sub")).await?;
    let granted = subscriber.subscribe(&args.topic, args.qos).await?;
    if granted != args.qos {
        return Err(format!("granted QoS {granted}").into());
    }
    let (publisher, _) = Client::connect(&args.url, args.options("pub")).await?;
    tokio::try_join!(publish(&publisher, &args), receive(messages, &args))?;
    // What was received last is acknowledged before this program ends.
    subscriber.disconnect().await?;
    publisher.disconnect().await?;
    println!("done");
    Ok(())
}

async fn publish(client: &Client, args: &Args) -> Result<()> {
    let mut acknowledgements = Vec::new();
    for seq in 0..args.count {
        let publish = client.publish(&args.topic, seq.to_string()).qos(args.qos);
        let publish = publish.properties(args.properties(seq)?);
        acknowledgements.push(publish.start().await?);
    }
    for acknowledgement in acknowledgements {
        match acknowledgement.await {
            // QoS 0 is not kept for a connection that comes later.
            Err(error) if args.qos != QoS::AtMostOnce => return Err(error.into()),
            _ => {}
        }
    }
    Ok(())
}

async fn receive(mut messages: Messages, args: &Args) -> Result<()> {
    let mut seen = HashSet::new();
    loop {
        let patience = if seen.len() < args.count { PATIENCE } else { QUIET };
        match timeout(patience, messages.recv()).await {
            Ok(Ok(Some(publish))) => {
                print(&publish);
                seen.insert(publish.message.payload);
            }
            Ok(Ok(None)) | Err(_) => return Ok(()),
            Ok(Err(error)) => return Err(error.into()),
        }
    }
}

fn print(publish: &Publish<Bytes>) {
    let Publish { delivery, retain, message } = publish;
    let user_property = message.properties.user_properties().find(|(name, _)| *name == "n");
    println!(
        "{} {} {} {} {}",
        String::from_utf8_lossy(&message.payload),
        delivery.qos(),
        u8::from(*retain),
        u8::from(delivery.dup()),
        user_property.map_or("-", |(_, value)| value),
    );
}

struct Args {
    url: String,
    version: ProtocolVersion,
    qos: QoS,
    count: usize,
    topic: String,
    prefix: String,
    reconnect: bool,
}

impl Args {
    fn parse(mut words: impl Iterator<Item = String>) -> Result<Self> {
        let mut args = Self {
            url: words.next().ok_or("which server?")?,
            version: ProtocolVersion::V5,
            qos: QoS::AtMostOnce,
            count: 1,
            topic: "interop".to_owned(),
            prefix: "interop".to_owned(),
            reconnect: false,
        };
        while let Some(word) = words.next() {
            if word == "--reconnect" {
                args.reconnect = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{word} needs a value"))?;
            match word.as_str() {
                "--version" if value == "311" => args.version = ProtocolVersion::V311,
                "--version" if value == "5" => args.version = ProtocolVersion::V5,
                "--qos" => args.qos = value.parse::<u8>()?.try_into()?,
                "--count" => args.count = value.parse()?,
                "--topic" => args.topic = value,
                "--client-id-prefix" => args.prefix = value,
                _ => return Err(format!("{word} {value}?").into()),
            }
        }
        Ok(args)
    }

    /// A session that outlives its connections.
    fn options(&self, role: &str) -> ClientOptions {
        let id = format!("{}-{role}-{}", self.prefix, std::process::id());
        let backoff = Backoff::new(Duration::from_millis(50), Duration::from_secs(1));
        let options = ClientOptions::new(id)
            .version(self.version)
            .reconnect(self.reconnect.then_some(backoff));
        match self.version {
            ProtocolVersion::V311 => options.clean_start(false),
            ProtocolVersion::V5 => options.session_expiry(3600),
        }
    }

    fn properties(&self, seq: usize) -> Result<Properties<Bytes>> {
        if self.version == ProtocolVersion::V311 {
            return Ok(Properties::EMPTY);
        }
        let seq = seq.to_string();
        let user_property = Property::UserProperty(("n", &seq));
        Ok(Properties::new([Property::ContentType("text/plain"), user_property])?)
    }
}
