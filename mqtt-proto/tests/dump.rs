//! The example `dump`: what it prints, where it points, and how it ends.

#[path = "../examples/dump/dump.rs"]
mod dump;

mod common;

use common::rows;
use dump::{Command, Ending, Format, Options, USAGE, decode_input, parse_args};
use mqtt_proto::{ProtocolVersion, Role};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

fn args(line: &str) -> Result<Command, String> {
    parse_args(line.split_whitespace().map(String::from))
}

fn dumped(bytes: &[u8], options: &Options) -> (Ending, String) {
    let mut out = Vec::new();
    let ending = dump::dump(bytes, options, &mut out).unwrap();
    (ending, String::from_utf8(out).unwrap())
}

fn unhex(text: &str) -> Vec<u8> {
    decode_input(text.as_bytes(), Format::Hex).unwrap().into()
}

fn version(level: &str) -> ProtocolVersion {
    ProtocolVersion::from_level(level.parse().unwrap()).unwrap()
}

#[test]
fn a_stream_is_printed_line_by_line_up_to_the_byte_that_is_wrong() {
    fn check(line: &str, ending: Ending, expected: &str) {
        let Command::Dump(options) = args(line).unwrap() else { panic!("{line}") };
        let text = options.text.clone().unwrap();
        let (ended, printed) = dumped(&unhex(&text), &options);
        assert_eq!(printed, expected, "{line}");
        assert_eq!(ended, ending, "{line}");
    }
    const CONNECT: &str = "100f00044d5154540502003c0000026331";
    check(
        &format!("{CONNECT} c000"),
        Ending::Whole,
        "\
from the client, MQTT 5.0
  offset   bytes  packet
       0      17  CONNECT version=5.0 client_id=\"c1\" clean_start=true keep_alive=60
      17       2  PINGREQ
",
    );
    check(
        &format!("{CONNECT} 3206000161000078 c000"),
        Ending::Malformed,
        "\
from the client, MQTT 5.0
  offset   bytes  packet
       0      17  CONNECT version=5.0 client_id=\"c1\" clean_start=true keep_alive=60
      17       8  PUBLISH is malformed at byte 5, 22 of all

      17  32 06 00 01 61 00 00 78
                         ^^

  rule         the packet identifier is 0
  statement    MQTT-2.2.1-3
  reason code  0x81 Malformed Packet
  answer       DISCONNECT 0x81 Malformed Packet, then close the connection
",
    );
    check(
        "--from server --mqtt 4 20020000 3024 0022 616161616161616161616161616161616161616161616161616161616161616161 61",
        Ending::Whole,
        "\
from the server, MQTT 3.1.1
  offset   bytes  packet
       0       4  CONNACK session_present=false reason=0x00 (Success)
       4      38  PUBLISH topic=\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\" qos=0 payload=\"\"
",
    );
    check(
        "20020000 3224 0022 616161616161616161616161616161616161616161616161616161616161616161 61",
        Ending::Malformed,
        "\
from the server, MQTT 3.1.1
  offset   bytes  packet
       0       4  CONNACK session_present=false reason=0x00 (Success)
       4      38  PUBLISH is malformed at byte 38, 42 of all

      20  61 61 61 61 61 61 61 61 61 61 61 61 61 61 61 61
      36  61 61 61 61 61 61
                            ^^ here the packet ends

  rule         a field runs past the end of the packet
  statement    section 4.13.1
  reason code  0x81 Malformed Packet
  answer       none, close the connection
",
    );
    check(
        "30060001",
        Ending::CutOff,
        "\
from the client (assumed), MQTT 5.0 (assumed)
  offset   bytes  packet
       0       4  PUBLISH is cut off: 4 of 8 bytes are here, 4 more are missing
",
    );
    check(
        "d000 3080",
        Ending::CutOff,
        "\
from the server, MQTT 5.0 (assumed)
  offset   bytes  packet
       0       2  PINGRESP
       2       2  PUBLISH is cut off: its fixed header is not all here
",
    );
    check(
        "00",
        Ending::Malformed,
        "\
from the client (assumed), MQTT 5.0 (assumed)
  offset   bytes  packet
       0       1  packet type 0 is malformed at byte 0, 0 of all

       0  00
          ^^

  rule         packet type 0 is reserved
  statement    section 2.1.2
  reason code  0x81 Malformed Packet
  answer       DISCONNECT 0x81 Malformed Packet, then close the connection
",
    );
}

#[test]
fn the_answer_is_the_one_that_the_version_and_the_moment_allow() {
    fn check(line: &str, answer: &str) {
        let Command::Dump(options) = args(line).unwrap() else { panic!("{line}") };
        let (ended, printed) = dumped(&unhex(options.text.as_deref().unwrap()), &options);
        assert_eq!(ended, Ending::Malformed, "{line}");
        let last = printed.lines().last().unwrap();
        assert_eq!(last, format!("  answer       {answer}"), "{line}");
    }
    let close = ", then close the connection";
    // CONNECT: in 5.0 with the reason, in 3.1.1 not at all, an unknown level in a form it knows.
    let malformed = format!("CONNACK 0x81 Malformed Packet{close}");
    check("100f00044d5154540503003c0000026331", &malformed);
    check("100e00044d5154540403003c00026331", "none, close the connection");
    let too_old = format!("CONNACK with return code 0x01 of 3.1.1{close}");
    check("101000064d51497364700302003c00026331", &too_old);
    let too_new = format!("CONNACK 0x84 Unsupported Protocol Version{close}");
    check("100f00044d5154540602003c0000026331", &too_new);
    check("100f00044d5154580502003c0000026331", "none, close the connection");
    // Later: a client has fewer codes than a server.
    check(
        "--from server 30080001610323000001",
        &format!("DISCONNECT 0x94 Topic Alias invalid{close}"),
    );
    check("--from server 30050001230078", &format!("DISCONNECT 0x90 Topic Name invalid{close}"));
    check("82090001000003612b6200", &format!("DISCONNECT 0x8f Topic Filter invalid{close}"));
    check("--from server c000", &format!("DISCONNECT 0x82 Protocol Error{close}"));
    check("--mqtt 4 30040001230078", "none, close the connection");
}

#[test]
fn every_malformed_vector_is_pointed_at_and_explained() {
    let mut count = 0;
    for [id, level, hex, _, _, from, _, offset, reason] in rows(include_str!("data/malformed.tsv"))
    {
        let (version, bytes) = (version(level), unhex(hex));
        let before = if version == ProtocolVersion::V5 { &[0x40, 2, 0, 9][..] } else { &[] };
        for sender in ROLES {
            if from != "both" && from != format!("{sender:?}").to_lowercase() {
                continue;
            }
            let options =
                Options { sender: Some(sender), version: Some(version), ..Options::default() };
            let input = [before, &bytes].concat();
            let (ending, printed) = dumped(&input, &options);
            assert_eq!(ending, Ending::Malformed, "{id}\n{printed}");
            let offset: usize = offset.parse().unwrap();
            assert_eq!(pointed_at(&printed), before.len() + offset, "{id}\n{printed}");
            let at = format!("at byte {offset}, {} of all", before.len() + offset);
            assert!(printed.contains(&at), "{id}\n{printed}");
            if version == ProtocolVersion::V5 {
                let code = format!("reason code  {}", reason.to_lowercase());
                assert!(printed.contains(&code), "{id}\n{printed}");
            }
            for heading in ["rule   ", "statement   ", "answer   "] {
                assert!(printed.contains(heading), "{id}\n{printed}");
            }
        }
        count += 1;
    }
    assert_eq!(count, 215);
}

/// Which byte of the input the mark is under, by the columns of the line above it.
fn pointed_at(printed: &str) -> usize {
    let lines: Vec<_> = printed.lines().collect();
    let mark = lines.iter().position(|line| line.trim_start().starts_with("^^")).unwrap();
    let column = lines[mark].find("^^").unwrap();
    let line = lines[mark - 1];
    let start: usize = line[..8].trim().parse().unwrap();
    let before = line.get(10..column.min(line.len())).unwrap_or_default();
    let on_line = before.split_whitespace().count();
    // The mark is two wide, as a byte is.
    assert!(line.get(column..column + 2).is_none_or(|byte| !byte.contains(' ')), "{printed}");
    start + on_line
}

#[test]
fn every_cut_of_a_wellformed_vector_says_how_much_is_missing() {
    for [id, level, hex, ..] in rows::<5>(include_str!("data/wellformed.tsv")) {
        let (version, bytes) = (version(level), unhex(hex));
        let header_len = 2 + bytes[1..].iter().take_while(|&&byte| byte >= 0x80).count();
        let options =
            |sender| Options { sender: Some(sender), version: Some(version), ..Options::default() };
        let sender =
            ROLES.into_iter().find(|&role| dumped(&bytes, &options(role)).0 == Ending::Whole);
        let options = options(sender.unwrap_or_else(|| panic!("{id}")));
        for len in (1..bytes.len()).take(100) {
            let (ending, printed) = dumped(&bytes[..len], &options);
            assert_eq!(ending, Ending::CutOff, "{id}");
            let missing = if len < header_len {
                "its fixed header is not all here\n".into()
            } else {
                let all = bytes.len();
                format!("{len} of {all} bytes are here, {} more are missing\n", all - len)
            };
            assert!(printed.ends_with(&missing), "{id}\n{printed}");
        }
    }
}

#[test]
fn the_input_is_hexadecimal_text_or_the_bytes_themselves() {
    let (guess, hex, raw) = (Format::Guess, Format::Hex, Format::Raw);
    let ping: &[u8] = &[0xc0, 0];
    type Case = (&'static [u8], Format, Result<&'static [u8], &'static str>);
    let cases: [Case; 12] = [
        (b"c000", guess, Ok(ping)),
        (b" C0\t0\n0\r\n", guess, Ok(ping)),
        (b"c000", hex, Ok(ping)),
        (b"c000", raw, Ok(b"c000")),
        (ping, guess, Ok(ping)),
        (ping, raw, Ok(ping)),
        (ping, hex, Err(r"byte 0 of the input is '\xc0'")),
        (b"c0 0", guess, Err("there are 3 hexadecimal digits")),
        // Text that is no hexadecimal text is a mistake, not a capture.
        (b"c0:00", guess, Err("byte 2 of the input is ':'")),
        (b"c0:00", raw, Ok(b"c0:00")),
        (b"", guess, Err("there is no input")),
        (b"\n", guess, Ok(&[])),
    ];
    for (input, format, expected) in cases {
        match (decode_input(input, format), expected) {
            (Ok(bytes), Ok(expected)) => assert_eq!(&bytes[..], expected),
            (Err(message), Err(expected)) => assert!(message.starts_with(expected), "{message}"),
            other => panic!("{input:?} {format:?}: {other:?}"),
        }
    }
}

#[test]
fn an_argument_that_is_wrong_is_named_with_what_may_be_there() {
    let dump = |options| Ok(Command::Dump(options));
    let cases = [
        ("", dump(Options::default())),
        ("--raw", dump(Options { format: Format::Raw, ..Options::default() })),
        (
            "--from server --mqtt 3.1.1 c0 00",
            dump(Options {
                sender: Some(Role::Server),
                version: Some(ProtocolVersion::V311),
                format: Format::Hex,
                text: Some("c000".into()),
            }),
        ),
        ("c0 --help", Ok(Command::Help)),
        ("--from", Err("--from takes client or server, not nothing")),
        ("--from broker", Err("--from takes client or server, not \"broker\"")),
        ("--mqtt 3", Err("--mqtt takes 3.1.1 (or 4) or 5.0 (or 5), not \"3\"")),
        ("-x", Err("-x is no option; there are --from, --mqtt, --hex, --raw and --help")),
        ("--raw c000", Err("--raw is for the standard input; an argument is hexadecimal text")),
    ];
    for option in ["--from client|server", "--mqtt 3.1.1|5.0", "--hex", "--raw", "-h, --help"] {
        assert!(USAGE.contains(option), "{option}");
    }
    for (line, expected) in cases {
        assert_eq!(args(line), expected.map_err(String::from), "{line}");
    }
}
