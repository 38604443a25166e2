//! What a stream of packets says, and the byte where it goes wrong.

use std::{
    borrow::Cow,
    io::{self, Write},
};

use mqtt_proto::{
    DecodeError, DecodeErrorKind, Decoder, FrameHeader, MAX_PACKET_SIZE, PacketType,
    ProtocolVersion, ReasonCode, Role, Status,
};

pub(crate) const USAGE: &str = "\
usage: dump [--from client|server] [--mqtt 3.1.1|5.0] [--hex|--raw] [HEX...]

Prints the packets of one side of one MQTT connection, one line each, behind the offset and the
size of each in bytes. Of a malformed packet it shows the byte where it goes wrong.

HEX is hexadecimal text; without it the standard input is read: as hexadecimal text if there is
nothing in it but hexadecimal digits and white space, as the bytes themselves if not.

  --from client|server  who sent the bytes; without it the first packet that only one of them may
                        send decides, and if there is none it was the client
  --mqtt 3.1.1|5.0      the version, also as its level, 4 or 5; without it CONNECT or the size of
                        CONNACK decides, and if neither is first it is 5.0
  --hex                 the input is hexadecimal text, and nothing else
  --raw                 the input is the bytes themselves
  -h, --help            this text

exit code: 0 all packets are whole, 1 one is malformed, 2 wrong arguments or input,
           3 the last packet is cut off
";

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Format {
    #[default]
    Guess,
    Hex,
    Raw,
}

#[derive(Debug, Default, PartialEq)]
pub(crate) struct Options {
    pub(crate) sender: Option<Role>,
    pub(crate) version: Option<ProtocolVersion>,
    pub(crate) format: Format,
    /// Hexadecimal text among the arguments.
    pub(crate) text: Option<String>,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Command {
    Dump(Options),
    Help,
}

/// How a stream ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Ending {
    Whole,
    Malformed,
    CutOff,
}

pub(crate) fn parse_args(args: impl IntoIterator<Item = String>) -> Result<Command, String> {
    let mut options = Options::default();
    let mut args = args.into_iter();
    while let Some(arg) = args.next() {
        match arg.as_str() {
            "-h" | "--help" => return Ok(Command::Help),
            "--hex" => options.format = Format::Hex,
            "--raw" => options.format = Format::Raw,
            "--from" => options.sender = Some(parse_sender(args.next())?),
            "--mqtt" => options.version = Some(parse_version(args.next())?),
            option if option.starts_with('-') => {
                return Err(format!(
                    "{option} is no option; there are --from, --mqtt, --hex, --raw and --help"
                ));
            }
            text => options.text.get_or_insert_default().push_str(text),
        }
    }
    match (&options.text, options.format) {
        (Some(_), Format::Raw) => {
            Err("--raw is for the standard input; an argument is hexadecimal text".into())
        }
        (Some(_), _) => Ok(Command::Dump(Options { format: Format::Hex, ..options })),
        (None, _) => Ok(Command::Dump(options)),
    }
}

fn parse_sender(value: Option<String>) -> Result<Role, String> {
    match value.as_deref() {
        Some("client") => Ok(Role::Client),
        Some("server") => Ok(Role::Server),
        other => Err(format!("--from takes client or server, not {}", or_nothing(other))),
    }
}

fn parse_version(value: Option<String>) -> Result<ProtocolVersion, String> {
    match value.as_deref() {
        Some("3.1.1" | "4") => Ok(ProtocolVersion::V311),
        Some("5.0" | "5") => Ok(ProtocolVersion::V5),
        other => Err(format!("--mqtt takes 3.1.1 (or 4) or 5.0 (or 5), not {}", or_nothing(other))),
    }
}

fn or_nothing(value: Option<&str>) -> String {
    value.map_or_else(|| "nothing".into(), |value| format!("{value:?}"))
}

/// The bytes that the input stands for.
pub(crate) fn decode_input(input: &[u8], format: Format) -> Result<Cow<'_, [u8]>, String> {
    let is_hex = |byte: &u8| byte.is_ascii_hexdigit() || byte.is_ascii_whitespace();
    let is_text = |byte: &u8| (b' '..=b'~').contains(byte) || byte.is_ascii_whitespace();
    if input.is_empty() {
        return Err("there is no input".into());
    }
    match (format, input.iter().position(|byte| !is_hex(byte))) {
        (Format::Raw, _) => Ok(input.into()),
        (Format::Guess | Format::Hex, None) => unhex(input).map(Cow::from),
        // In packets there are bytes that are not text, in lengths if nowhere else.
        (Format::Guess, Some(_)) if !input.iter().all(is_text) => Ok(input.into()),
        (_, Some(at)) => Err(format!(
            "byte {at} of the input is '{}', which is no hexadecimal digit; there may be 0 to 9, a \
             to f, A to F and white space (--raw takes any bytes as they are)",
            input[at].escape_ascii()
        )),
    }
}

fn unhex(text: &[u8]) -> Result<Vec<u8>, String> {
    let digit = |&byte: &u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    let digits: Vec<u8> = text.iter().filter_map(digit).collect();
    let (pairs, half) = digits.as_chunks::<2>();
    if !half.is_empty() {
        return Err(format!(
            "there are {} hexadecimal digits, but each byte takes two: the last is half a byte",
            digits.len()
        ));
    }
    Ok(pairs.iter().map(|[high, low]| high << 4 | low).collect())
}

/// Writes a line for each packet, and what is wrong with the last.
pub(crate) fn dump(bytes: &[u8], options: &Options, out: &mut impl Write) -> io::Result<Ending> {
    let told = options.sender.or_else(|| guess_sender(bytes));
    let sender = told.unwrap_or(Role::Client);
    write!(out, "from the {}{}, MQTT ", name(sender), assumed(told.is_none()))?;

    let told = options.version.or_else(|| guess_version(bytes));
    let version = told.unwrap_or(ProtocolVersion::V5);
    writeln!(out, "{version}{}", assumed(told.is_none()))?;

    let opening = sender == Role::Client && first_type(bytes) == Some(PacketType::Connect);
    let mut decoder = match options.version {
        None if opening => Decoder::awaiting_connect(),
        _ => Decoder::new(sender, version),
    };
    writeln!(out, "  offset   bytes  packet")?;

    let mut at = 0;
    while at < bytes.len() {
        match decoder.decode(&bytes[at..]) {
            Ok(Status::Ready((packet, len))) => {
                writeln!(out, "{at:8} {len:7}  {packet}")?;
                at += len;
            }
            Ok(Status::NeedMore(_)) => {
                cut_off(&bytes[at..], at, out)?;
                return Ok(Ending::CutOff);
            }
            Err(error) => {
                malformed(error, bytes, at, (sender, decoder.version()), out)?;
                return Ok(Ending::Malformed);
            }
        }
    }
    Ok(Ending::Whole)
}

const fn assumed(assumed: bool) -> &'static str {
    if assumed { " (assumed)" } else { "" }
}

const fn name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

fn first_type(bytes: &[u8]) -> Option<PacketType> {
    bytes.first().and_then(|first| PacketType::new(first >> 4))
}

/// Whose the first packet is that only one of them may send.
fn guess_sender(mut bytes: &[u8]) -> Option<Role> {
    while let Some(packet) = first_type(bytes) {
        match (packet.may_be_sent_by(Role::Client), packet.may_be_sent_by(Role::Server)) {
            (true, false) => return Some(Role::Client),
            (false, true) => return Some(Role::Server),
            _ => {}
        }
        let Ok(Status::Ready(header)) = FrameHeader::parse(bytes, MAX_PACKET_SIZE) else { break };
        bytes = bytes.get(header.packet_len() as usize..).unwrap_or_default();
    }
    None
}

/// What the first packet shows. A CONNACK of 3.1.1 has four bytes; that of 5.0 has a property
/// length as well.
fn guess_version(bytes: &[u8]) -> Option<ProtocolVersion> {
    let Ok(Status::Ready(header)) = FrameHeader::parse(bytes, MAX_PACKET_SIZE) else {
        return connect_version(bytes);
    };
    match (header.packet_type(), header.packet_len()) {
        (PacketType::ConnAck, 4) => Some(ProtocolVersion::V311),
        (PacketType::ConnAck, _) => Some(ProtocolVersion::V5),
        _ => connect_version(bytes),
    }
}

fn cut_off(rest: &[u8], at: usize, out: &mut impl Write) -> io::Result<()> {
    let what = packet_name(rest);
    let here = rest.len();
    write!(out, "{at:8} {here:7}  {what} is cut off: ")?;
    match FrameHeader::parse(rest, MAX_PACKET_SIZE) {
        Ok(Status::Ready(header)) => {
            let len = header.packet_len() as usize;
            writeln!(out, "{here} of {len} bytes are here, {} more are missing", len - here)
        }
        _ => writeln!(out, "its fixed header is not all here"),
    }
}

fn packet_name(bytes: &[u8]) -> Cow<'static, str> {
    match first_type(bytes) {
        Some(packet) => packet.name().into(),
        None => format!("packet type {}", bytes[0] >> 4).into(),
    }
}

fn malformed(
    error: DecodeError,
    bytes: &[u8],
    at: usize,
    (sender, version): (Role, Option<ProtocolVersion>),
    out: &mut impl Write,
) -> io::Result<()> {
    let rest = &bytes[at..];
    let len = match FrameHeader::parse(rest, MAX_PACKET_SIZE) {
        Ok(Status::Ready(header)) => rest.len().min(header.packet_len() as usize),
        _ => rest.len(),
    };
    let offset = error.offset() as usize;
    let what = packet_name(rest);
    writeln!(out, "{at:8} {len:7}  {what} is malformed at byte {offset}, {} of all", at + offset)?;
    writeln!(out)?;
    hex_lines(&rest[..len], at, offset, out)?;
    writeln!(out)?;

    let text = error.kind().to_string();
    let (rule, source) = text.rsplit_once(" [").unwrap_or((&text, "]"));
    writeln!(out, "  rule         {rule}")?;
    writeln!(out, "  statement    {}", source.trim_end_matches(']'))?;
    writeln!(out, "  reason code  {}", error.reason_code())?;
    writeln!(out, "  answer       {}", answer(error, rest, sender, version))
}

const PER_LINE: usize = 16;

/// The line of the packet with the byte at `offset`, one before and one after it, and a mark under
/// the byte. It may be one past the last: there something is missing.
fn hex_lines(packet: &[u8], at: usize, offset: usize, out: &mut impl Write) -> io::Result<()> {
    let marked = offset / PER_LINE;
    for line in marked.saturating_sub(1)..=marked + 1 {
        let start = line * PER_LINE;
        let bytes = packet.get(start..packet.len().min(start + PER_LINE)).unwrap_or_default();
        if line == marked || !bytes.is_empty() {
            write!(out, "{:8}", at + start)?;
            for (column, byte) in bytes.iter().enumerate() {
                write!(out, "{}{byte:02x}", if column == 0 { "  " } else { " " })?;
            }
            writeln!(out)?;
        }
        if line == marked {
            let missing = if offset < packet.len() { "" } else { " here the packet ends" };
            writeln!(out, "{:8} {:width$} ^^{missing}", "", "", width = offset % PER_LINE * 3)?;
        }
    }
    Ok(())
}

/// What the other side puts on the wire before it closes the connection (5.0 section 4.13.1, 3.1.1
/// section 4.8).
fn answer(
    error: DecodeError,
    packet: &[u8],
    sender: Role,
    version: Option<ProtocolVersion>,
) -> String {
    let code = error.reason_code();
    let opening = first_type(packet) == Some(PacketType::Connect);
    match (version.or_else(|| connect_version(packet)), error.kind()) {
        // [MQTT-3.1.2-2]
        (_, DecodeErrorKind::UnsupportedProtocolLevel(level)) if level <= 5 => {
            "CONNACK with return code 0x01 of 3.1.1, then close the connection".into()
        }
        (_, DecodeErrorKind::ConnectExpected | DecodeErrorKind::ProtocolName)
        | (None | Some(ProtocolVersion::V311), _)
            if !matches!(error.kind(), DecodeErrorKind::UnsupportedProtocolLevel(_)) =>
        {
            "none, close the connection".into()
        }
        _ if opening => {
            let legal = code.is_legal_in(PacketType::ConnAck, Role::Server);
            let code = if legal { code } else { ReasonCode::MALFORMED_PACKET };
            format!("CONNACK {code}, then close the connection")
        }
        _ => {
            let answering = match sender {
                Role::Client => Role::Server,
                Role::Server => Role::Client,
            };
            let code = code.for_disconnect(answering);
            format!("DISCONNECT {code}, then close the connection")
        }
    }
}

/// What a CONNECT says it is, even one that cannot be read.
fn connect_version(packet: &[u8]) -> Option<ProtocolVersion> {
    if first_type(packet) != Some(PacketType::Connect) {
        return None;
    }
    let name = b"\0\x04MQTT";
    let start = (2..=5).find(|&at| packet.get(at..at + name.len()) == Some(name))?;
    ProtocolVersion::from_level(*packet.get(start + name.len())?)
}
