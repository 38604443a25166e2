//! Prints the packets of one side of one connection, with where each begins, and shows the byte
//! where a malformed one goes wrong:
//!
//! ```text
//! echo 100f00044d5154540502003c0000026331 | cargo run -q -p mqtt-proto --example dump
//! cargo run -q -p mqtt-proto --example dump -- --from server --mqtt 3.1.1 < capture
//! ```
//!
//! The arguments and exit codes are explained by `--help`.

mod dump;

use std::{
    env,
    io::{self, BufWriter, ErrorKind, Read, Write},
    process::ExitCode,
};

use dump::{Command, Ending, Options, USAGE, decode_input, dump, parse_args};

fn main() -> ExitCode {
    match run() {
        Ok(Ending::Whole) => ExitCode::SUCCESS,
        Ok(Ending::Malformed) => ExitCode::from(1),
        Ok(Ending::CutOff) => ExitCode::from(3),
        Err(message) => {
            eprintln!("{message}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<Ending, String> {
    let options = match parse_args(env::args().skip(1))? {
        Command::Dump(options) => options,
        Command::Help => {
            print!("{USAGE}");
            return Ok(Ending::Whole);
        }
    };
    let input = read_input(&options)?;
    let bytes = decode_input(&input, options.format)?;
    let mut out = BufWriter::new(io::stdout().lock());
    match dump(&bytes, &options, &mut out).and_then(|ending| out.flush().map(|()| ending)) {
        // Whoever reads this, `head` perhaps, has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(Ending::Whole),
        result => result.map_err(|error| format!("cannot write to the standard output: {error}")),
    }
}

fn read_input(options: &Options) -> Result<Vec<u8>, String> {
    if let Some(text) = &options.text {
        return Ok(text.clone().into_bytes());
    }
    let mut input = Vec::new();
    io::stdin()
        .read_to_end(&mut input)
        .map_err(|error| format!("cannot read the standard input: {error}"))?;
    Ok(input)
}
