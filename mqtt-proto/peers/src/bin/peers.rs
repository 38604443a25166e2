//! Measures the codecs, and the sessions, against each other. `peers` alone says what it can do.

use std::process::ExitCode;

use codec_peers::command::{
    Options, Result, Suite, allocations, bars, check, instructions, report, silence_panics, sizes,
    vectors, wall,
};

const USAGE: &str = "\
peers [sessions] COMMAND [OPTION...]

of codecs, or of sessions:
  wall          nanoseconds per packet or message, in turns
  instructions  instructions, with valgrind
  allocations   allocations
  bars          measures, and fails if a bar is not met
  judge         the same with what was measured before
of codecs only:
  check         whether every peer takes all packets, and writes the same bytes
  sizes         packets in memory
  vectors       who accepts which malformed and well-formed packets
of both:
  report FILE   puts the tables of what was measured into a document

Each prints Markdown, and keeps what it found in results/*.tsv of this package.

  --case NAME   only the cases with this in their name; may be repeated
  --peer NAME   only the peers with this in their name; may be repeated
  --rounds N    how often the peers of a case take turns [200]
  --passes N    how often that is done, with new buffers [3]
";

fn main() -> ExitCode {
    let (suite, mut args) = Suite::of(std::env::args().skip(1));
    let command = args.next().unwrap_or_default();
    let done = match &*command {
        "report" => args.next().ok_or_else(|| USAGE.into()).and_then(|path| report::run(&path)),
        _ => Options::parse(suite, args).and_then(|options| run(&command, &options)),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &str, options: &Options) -> Result {
    let codecs = options.suite == Suite::Codecs;
    if codecs {
        silence_panics();
    }
    match command {
        "check" if codecs => check::run(options),
        "wall" => wall::run(options),
        "instructions" => instructions::run(options),
        // Under valgrind, started by `instructions`.
        "under-valgrind" => instructions::run_under_valgrind(options),
        "allocations" => allocations::run(options),
        "sizes" if codecs => sizes::run(options),
        "vectors" if codecs => vectors::run(options),
        "bars" => bars::run(options),
        "judge" => bars::run_on_results(options),
        _ => Err(USAGE.into()),
    }
}
