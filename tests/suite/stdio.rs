//! Standard input and output in the place of a manifest.

use std::fs::{self, File};
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::program::{shell, text, twintree};
use crate::support::trees::{copy_tree, flip_byte, plant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_twintree");

fn two_trees() -> tempfile::TempDir {
    let tmp = tempfile::tempdir().unwrap();
    plant(&tmp.path().join("source"), 3, 40, 3000);
    copy_tree(&tmp.path().join("source"), &tmp.path().join("destination"));
    tmp
}

#[test]
fn a_manifest_goes_through_a_pipe_as_it_goes_into_a_file() {
    let tmp = two_trees();
    let (code, out, err) = shell(tmp.path(), "$T manifest source -o - > piped");
    assert_eq!((code, out.as_str()), (0, ""), "{err}");
    assert!(err.starts_with("-: 120 files, 5 directories, 360000 bytes, content hash "), "{err}");
    assert_eq!(shell(tmp.path(), "$T manifest source -o - --quiet > again").2, "", "nothing but the manifest");
    let (_, listed, _) = shell(tmp.path(), "$T inspect piped");
    let (code, piped, err) = shell(tmp.path(), "$T inspect - < piped");
    assert_eq!((code, err.as_str()), (0, ""));
    assert_eq!(piped, listed);
    for line in [
        "$T manifest source -qo - | $T diff - destination",
        "$T manifest destination -qo - | $T diff source -",
        "$T manifest destination -qo - | $T diff piped -",
    ] {
        let (code, out, err) = shell(tmp.path(), line);
        assert_eq!((code, err.as_str()), (0, ""), "{line}");
        assert!(out.starts_with("COMPLETED: equal; 120 files proven, 125 entries in all\n"), "{line}: {out}");
    }
    flip_byte(&tmp.path().join("destination/data/ks/table-0001/nb-7-big-Data.db"), 77);
    let (code, out, _) = shell(tmp.path(), "$T manifest source -qo - | $T diff - destination");
    assert_eq!(code, 1);
    assert!(out.contains("data/0/data/ks/table-0001/nb-7-big-Data.db"), "{out}");
}

#[test]
fn what_comes_is_checked_as_a_file_is() {
    let tmp = two_trees();
    let file = tmp.path().join("m");
    assert_eq!(twintree(&["manifest", text(&tmp.path().join("source")), "-o", text(&file)]).0, 0);
    let whole = fs::read(&file).unwrap();
    for cut in [1, 7, 8, 12, 100, whole.len() / 2, whole.len() - 1] {
        fs::write(tmp.path().join("cut"), &whole[..cut]).unwrap();
        for line in ["$T inspect - < cut", "cat cut | $T diff - destination"] {
            let (code, out, err) = shell(tmp.path(), line);
            assert_eq!((code, out.as_str()), (3, ""), "{cut}: {err}");
            assert!(err.starts_with("twintree: standard input: "), "{cut}: {err}");
        }
    }
    for (line, what) in [
        ("$T inspect - < /dev/null", "standard input: nothing came"),
        ("yes | $T inspect -", "standard input: not a manifest"),
        ("$T inspect - < source/data/ks/table-0001/nb-7-big-Data.db", "standard input: not a manifest"),
    ] {
        let (code, _, err) = shell(tmp.path(), line);
        assert_eq!(code, 3, "{line}: {err}");
        assert!(err.contains(what), "{line}: {err}");
    }
    let mut damaged = whole.clone();
    let at = damaged.len() / 2;
    damaged[at] ^= 1;
    fs::write(tmp.path().join("damaged"), damaged).unwrap();
    assert_eq!(shell(tmp.path(), "$T inspect - < damaged").0, 3);
}

#[test]
fn standard_input_is_one_side_only() {
    let (code, out, err) = twintree(&["diff", "-", "-"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("only one of the two sides and --files-from can be -"), "{err}");
}

/// A file of that name is not meant, and stands where it stood.
#[test]
fn a_file_that_is_called_so_is_named_with_its_directory() {
    let tmp = two_trees();
    let (code, _, err) = shell(tmp.path(), "$T manifest source -o ./- && $T diff ./- destination && $T inspect ./-");
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(tmp.path().join("-").is_file());
}

/// Whoever reads no more has half a manifest, and a script must learn of that.
#[test]
fn a_reader_that_goes_away_makes_it_a_failure() {
    let tmp = tempfile::tempdir().unwrap();
    plant(&tmp.path().join("source"), 40, 100, 1);
    let line = "{ $T manifest source -qo -; echo $? > code; } | head -c 100 > part";
    let (_, _, err) = shell(tmp.path(), line);
    assert!(err.starts_with("twintree: standard output: "), "{err}");
    assert_eq!(fs::read_to_string(tmp.path().join("code")).unwrap(), "3\n");
}

/// Neither the wait for what comes nor that for whoever takes it keeps a signal waiting.
#[test]
fn a_signal_ends_both_waits() {
    let tmp = tempfile::tempdir().unwrap();
    plant(&tmp.path().join("source"), 40, 100, 1);
    let source = tmp.path().join("source");
    for args in [&["diff", text(&source), "-"][..], &["inspect", "-"], &["manifest", text(&source), "-qo", "-"]] {
        let mut child = Command::new(PROGRAM)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        let mut stdout = child.stdout.take().unwrap();
        match args[0] {
            "manifest" => stdout.read_exact(&mut [0]).unwrap(),
            _ => stdin.write_all(b"TWINTREE").unwrap(),
        }
        std::thread::sleep(Duration::from_millis(300));
        let began = Instant::now();
        let id = rustix::process::Pid::from_child(&child);
        rustix::process::kill_process(id, rustix::process::Signal::TERM).unwrap();
        assert_eq!(child.wait().unwrap().code(), Some(4), "{args:?}");
        assert!(began.elapsed() < Duration::from_secs(5), "{args:?}");
        drop((stdin, stdout));
    }
}

/// What is read as a manifest must not be an answer to a question on a screen.
#[test]
fn neither_end_is_a_terminal() {
    let (controller, terminal) = terminal();
    let tmp = two_trees();
    let source = tmp.path().join("source");
    for args in [&["inspect", "-"][..], &["diff", text(&source), "-"], &["manifest", text(&source), "-o", "-"]] {
        let output = Command::new(PROGRAM)
            .args(args)
            .stdin(terminal.try_clone().unwrap())
            .stdout(terminal.try_clone().unwrap())
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("is a terminal"), "{args:?}");
    }
    drop(controller);
}

fn terminal() -> (File, File) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&controller).unwrap();
    unlockpt(&controller).unwrap();
    let name = ptsname(&controller, Vec::new()).unwrap();
    let terminal = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (controller.into(), terminal)
}
