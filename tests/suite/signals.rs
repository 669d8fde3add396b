//! Signals to commands: they end in order, say so by their exit code, and leave nothing behind.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use rustix::process::Signal;

use crate::support::process::{Process, hang_ups_arrive, twintree};
use crate::support::program::text;
use crate::support::trees::endless_file;

/// Those that ask a command to end.
fn signals() -> Vec<Signal> {
    let all = [Signal::INT, Signal::TERM, Signal::HUP].into_iter();
    let hang_ups = hang_ups_arrive();
    all.filter(|signal| hang_ups || *signal != Signal::HUP).collect()
}

/// A program with this place for temporary files.
fn start(temporary: &Path, arguments: &[&str]) -> Process {
    let mut command = twintree();
    command.args(arguments).env("TMPDIR", temporary);
    Process::start(command)
}

fn names(directory: &Path) -> Vec<std::ffi::OsString> {
    let mut names: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    names
}

#[test]
fn a_scan_that_is_to_end_exits_4_and_leaves_nothing_behind() {
    let tmp = tempfile::tempdir().unwrap();
    let (tree, out, temporary) = (tmp.path().join("tree"), tmp.path().join("out"), tmp.path().join("temporary"));
    endless_file(&tree.join("ks/t-1/nb-1-big-Data.db"));
    fs::create_dir(&out).unwrap();
    fs::create_dir(&temporary).unwrap();
    fs::write(out.join("m"), "what stood there").unwrap();
    let (manifest, other) = (out.join("m"), tmp.path().join("other"));
    endless_file(&other.join("ks/t-1/nb-1-big-Data.db"));
    for signal in signals() {
        for arguments in [&["manifest", text(&tree), "-o", text(&manifest)][..], &["diff", text(&tree), text(&other)]] {
            let mut process = start(&temporary, arguments);
            process.wait_until_it_listens_to_signals();
            process.signal(signal);
            assert_eq!(process.wait().code(), Some(4), "{signal:?} {arguments:?}");
            assert_eq!(process.errors(), "twintree: cancelled\n");
            assert_eq!(names(&out), ["m"], "{signal:?} {arguments:?}");
            assert_eq!(names(&temporary).len(), 0, "{signal:?} {arguments:?}");
        }
    }
    assert_eq!(fs::read_to_string(manifest).unwrap(), "what stood there");
}

/// As soon as it has a place, while it verifies, and in the end.
#[test]
fn a_demo_that_is_to_end_leaves_nothing_behind() {
    for (signal, at) in signals().into_iter().zip(["", "The destination verifies its copy", "Computed once more"]) {
        let temporary = tempfile::tempdir().unwrap();
        let mut process = start(temporary.path(), &["demo"]);
        while names(temporary.path()).is_empty() {
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        process.wait_for_output(at);
        process.signal(signal);
        let code = process.wait().code();
        // On a busy machine it may be done before the signal comes.
        assert!(code == Some(4) || (code == Some(0) && !at.is_empty()), "{signal:?}: {code:?} {}", process.errors());
        assert_eq!(names(temporary.path()).len(), 0, "{signal:?} at {at:?}");
    }
}

/// They leave nothing behind whenever they end.
#[test]
fn commands_that_only_read_or_ask_end_at_once() {
    let tmp = tempfile::tempdir().unwrap();
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    for signal in signals() {
        for arguments in [&["tasks", "--destination", &url][..], &["verify", "--destination", &url]] {
            let mut process = start(tmp.path(), arguments);
            process.wait_until_it_listens_to_signals();
            process.signal(signal);
            assert_eq!(process.wait().code(), Some(4), "{signal:?} {arguments:?}");
            assert_eq!(names(tmp.path()).len(), 0);
        }
    }
}

/// A program that was started by `nohup` outlives the terminal.
#[test]
fn a_hang_up_that_is_ignored_stays_ignored() {
    let tmp = tempfile::tempdir().unwrap();
    let tree = tmp.path().join("tree");
    endless_file(&tree.join("file"));
    let mut command = std::process::Command::new("sh");
    command.args(["-c", "trap '' HUP; exec \"$0\" \"$@\"", env!("CARGO_BIN_EXE_twintree")]);
    command.args(["manifest", text(&tree), "-o", text(&tmp.path().join("m"))]);
    let mut process = Process::start(command);
    process.wait_until_it_listens_to_signals();
    process.signal(Signal::HUP);
    // Were it listened to, it would be the first signal, and this one the second, which says nothing.
    process.signal(Signal::TERM);
    assert_eq!(process.wait().code(), Some(4));
    assert_eq!(process.errors(), "twintree: cancelled\n");
}
