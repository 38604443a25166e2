//! The program: what it prints, how it ends.
#![cfg(feature = "server")]

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Child, Command, Output, Stdio},
    sync::mpsc,
    thread,
    time::Duration,
};

const PATIENCE: Duration = Duration::from_secs(20);

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mqtt-broker-lite"))
}

fn run(arguments: &[&str]) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } =
        program().args(arguments).output().expect("the program");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status.code(), text(stdout), text(stderr))
}

/// A broker that is ended with the test.
struct Running {
    child: Child,
    addresses: Vec<SocketAddr>,
}

impl Running {
    fn start(arguments: &[&str], listeners: usize) -> Self {
        let mut child =
            program().args(arguments).stdout(Stdio::piped()).spawn().expect("the program");
        let stdout = child.stdout.take().expect("a pipe");
        let mut running = Self { child, addresses: Vec::new() };
        // The pipe stays open, so these lines come because they were flushed.
        let mut lines = BufReader::new(stdout).lines();
        for _ in 0..listeners {
            let line = lines.next().expect("a line").expect("text");
            let address = line.strip_prefix("listening on ").expect("where it listens");
            running.addresses.push(address.parse().expect("an address"));
        }
        running
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn connect(address: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("a listener");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    stream.write_all(b"\x10\x0d\x00\x04MQTT\x05\x02\x00\x00\x00\x00\x00").expect("a connection");
    let mut head = [0; 2];
    stream.read_exact(&mut head).expect("CONNACK");
    assert_eq!(head[0], 0x20);
    stream.read_exact(&mut vec![0; head[1].into()]).expect("all of it");
    stream
}

#[test]
fn it_says_where_it_listens() {
    let arguments = ["--listen", "127.0.0.1:0", "--listen", "127.0.0.1:0"];
    let running = Running::start(&arguments, 2);
    assert_ne!(running.addresses[0], running.addresses[1]);
    for &address in &running.addresses {
        connect(address);
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let (code, stdout, stderr) = run(&["--listen", &address]);
    assert_eq!((code, &stdout[..]), (Some(1), ""));
    assert!(stderr.contains(&address) && stderr.contains("--listen"), "{stderr}");
}

#[test]
fn an_address_that_is_none_is_named() {
    for address in ["127.0.0.1", "nonsense", "127.0.0.1:99999"] {
        let (code, _, stderr) = run(&["--listen", address]);
        assert_eq!(code, Some(1), "{address}: {stderr}");
        assert!(stderr.contains(address), "{stderr}");
    }
}

#[test]
fn bad_flags_are_refused_with_the_usage() {
    for arguments in [
        &["--frobnicate"][..],
        &["--max-in-flight", "0"],
        &["--max-queued", "65536"],
        &["--receive-maximum", "0"],
        &["--max-packet-size", "1"],
        &["--connect-timeout", "0"],
        &["stray"],
    ] {
        let (code, stdout, stderr) = run(arguments);
        assert_eq!((code, &stdout[..]), (Some(2), ""), "{arguments:?}");
        assert!(stderr.contains("--help"), "{arguments:?}: {stderr}");
    }
}

#[test]
fn the_help_names_every_flag_and_says_that_nothing_is_kept() {
    let (code, stdout, _) = run(&["--help"]);
    assert_eq!(code, Some(0));
    for flag in [
        "--listen",
        "--connect-timeout",
        "--max-packet-size",
        "--receive-maximum",
        "--topic-alias-maximum",
        "--max-in-flight",
        "--max-queued",
        "--max-connections",
        "--max-sessions",
        "--max-session-expiry",
        "--max-subscriptions",
        "--max-filter-levels",
        "--max-retained",
    ] {
        assert!(stdout.contains(flag), "{flag}");
    }
    assert!(stdout.contains("in memory"), "{stdout}");
    assert_eq!(run(&["--version"]).0, Some(0));
}

#[test]
fn a_flag_changes_its_limit() {
    let running = Running::start(&["--listen", "127.0.0.1:0", "--max-connections", "1"], 1);
    let _first = connect(running.addresses[0]);
    let mut second = TcpStream::connect(running.addresses[0]).expect("a listener");
    second.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    assert_eq!(second.read(&mut [0]).expect("its end"), 0);
}

#[cfg(unix)]
#[test]
fn a_signal_ends_it_and_the_clients_are_told() {
    for signal in ["-TERM", "-INT"] {
        let mut running = Running::start(&["--listen", "127.0.0.1:0"], 1);
        let mut client = connect(running.addresses[0]);
        let pid = running.child.id().to_string();
        assert!(Command::new("kill").args([signal, &pid]).status().expect("kill").success());
        let mut rest = Vec::new();
        client.read_to_end(&mut rest).expect("the end in time");
        assert_eq!(rest, b"\xe0\x01\x8b", "Server shutting down");
        // The client stays, and is not waited for without end.
        let (done, wait) = mpsc::channel();
        let thread = thread::spawn(move || {
            let status = running.child.wait().expect("its status");
            // Nobody listens any more if it was too late.
            let _ = done.send(status.code());
            running
        });
        assert_eq!(wait.recv_timeout(PATIENCE).expect("it ends in time"), Some(0));
        thread.join().expect("no panic");
    }
}
