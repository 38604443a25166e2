//! Prints the packets in hexadecimal text, with where each begins:
//!
//! ```text
//! cargo run -p mqtt-proto --example dump -- client 5 100f00044d5154540502003c0000026331 c000
//! xxd -p capture | cargo run -p mqtt-proto --example dump -- server 4
//! ```

use std::{env, io::Read, process::ExitCode};

use mqtt_proto::{Decoder, ProtocolVersion, Role, Status};

fn main() -> ExitCode {
    match dump() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("{message}");
            ExitCode::FAILURE
        }
    }
}

fn dump() -> Result<(), String> {
    let usage = "usage: dump client|server 4|5 [HEX...]; without HEX it is read from the input";
    let mut args = env::args().skip(1);
    let sender = match args.next().as_deref() {
        Some("client") => Role::Client,
        Some("server") => Role::Server,
        _ => return Err(usage.into()),
    };
    let level = args.next().and_then(|level| level.parse().ok());
    let version = level.and_then(ProtocolVersion::from_level).ok_or(usage)?;
    let mut text: String = args.collect();
    if text.is_empty() {
        std::io::stdin().read_to_string(&mut text).map_err(|error| error.to_string())?;
    }

    let bytes = unhex(&text)?;
    let (mut decoder, mut at) = (Decoder::new(sender, version), 0);
    while at < bytes.len() {
        match decoder.decode(&bytes[at..]) {
            Ok(Status::Ready((packet, len))) => {
                println!("{at:6} {packet:?}");
                at += len;
            }
            Ok(Status::NeedMore(missing)) => {
                return Err(format!("{at:6} the packet goes on for {missing} more bytes at least"));
            }
            Err(error) => return Err(format!("{at:6} {error}")),
        }
    }
    Ok(())
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digits: Vec<_> = text.chars().filter(|letter| !letter.is_whitespace()).collect();
    if !digits.len().is_multiple_of(2) {
        return Err("an odd number of digits".into());
    }
    let byte = |pair: &[char]| {
        let pair = String::from_iter(pair);
        u8::from_str_radix(&pair, 16).map_err(|_| format!("{pair:?} is not hexadecimal"))
    };
    digits.chunks(2).map(byte).collect()
}
