//! `diff` with sides on other hosts: over a real sshd, and over a plain shell.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::material::missing;
use crate::support::program::Ended;
use crate::support::sshd::{Sshd, script};
use crate::support::trees::{copy_tree, flip_byte};

/// Runs the script in a shell of this host, as if there were another one.
const SHELL: &str = "env HOST={host} sh -c";

/// This program, as the other host has it.
const PROGRAM: &str = env!("CARGO_BIN_EXE_twintree");

fn diff(rsh: &str, program: impl AsRef<Path>, sides: [&Path; 2], more: &[&str]) -> Ended {
    let mut command = Command::new(PROGRAM);
    command.args(["diff", "--rsh", rsh, "--remote-program"]).arg(program.as_ref()).args(sides).args(more);
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// A tree with a name that shells stumble over, and its copy with one other byte.
fn two_trees() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let tmp = tempfile::tempdir().unwrap();
    let odd = OsString::from_vec(b"it's a \"dir\"\n$(touch x) `y` \\ \xff;".to_vec());
    let (source, destination) = (tmp.path().join(&odd).join("source"), tmp.path().join(&odd).join("destination"));
    fs::create_dir_all(source.join("ks/t-1")).unwrap();
    for number in 0..40 {
        fs::write(source.join(format!("ks/t-1/nb-{number}-big-Data.db")), vec![number; 3000]).unwrap();
    }
    copy_tree(&source, &destination);
    (tmp, source, destination)
}

fn elsewhere(path: &Path) -> PathBuf {
    let mut url = OsString::from("ssh://other");
    url.push(path);
    url.into()
}

/// Everything of a result but names, times, and what was read where.
fn verdict(ended: &Ended) -> Value {
    let mut result: Value = serde_json::from_str(&ended.1).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    let sides = ["source", "startedAt", "endedAt", "timings", "read", "bytesHashed", "sourceBytesHashed"];
    sides.iter().for_each(|key| drop(result.as_object_mut().unwrap().remove(*key)));
    result
}

#[test]
fn a_side_behind_a_real_sshd_gives_the_same_result_as_one_here() {
    let Some(sshd) = Sshd::start() else { return };
    let (_tmp, source, destination) = two_trees();
    flip_byte(&destination.join("ks/t-1/nb-7-big-Data.db"), 100);
    let (there, other) = (sshd.url(&source), sshd.url(&destination));
    let rsh = sshd.rsh();
    let here = diff(&rsh, PROGRAM, [&source, &destination], &["--json"]);
    assert_eq!(here.0, 1);
    for sides in [[there.as_path(), &destination], [&source, &other], [&there, &other]] {
        let ended = diff(&rsh, PROGRAM, sides, &["--json"]);
        assert_eq!((ended.0, ended.2.as_str()), (1, ""), "{ended:?}");
        assert_eq!(verdict(&ended), verdict(&here));
    }
    let (code, out, _) = diff(&rsh, PROGRAM, [&there, &source], &[]);
    assert!(code == 0 && out.starts_with("COMPLETED: equal; 40 files proven"), "{out}");
}

/// The rules that the other host scans by hold for the list, too.
#[test]
fn rules_hold_for_a_list_beside_a_side_elsewhere() {
    let (tmp, source, _) = two_trees();
    fs::create_dir_all(source.join("other/t-1/tmp")).unwrap();
    fs::write(source.join("other/t-1/f"), "f").unwrap();
    fs::write(source.join("ks/t-1/left"), "left").unwrap();
    let list = tmp.path().join("list.b3");
    let made = Command::new(PROGRAM).args(["manifest", "--format", "b3sum", "-o"]).args([&list, &source]).output();
    assert!(made.unwrap().status.success());
    for rule in [["--keyspace", "ks"], ["--exclude-dir", "glob:**/other"], ["--exclude-file", "glob:**/left"]] {
        let (code, out, err) = diff(SHELL, PROGRAM, [&list, &elsewhere(&source)], &rule);
        assert_eq!(code, 0, "{rule:?}: {out}{err}");
        assert_eq!(diff(SHELL, PROGRAM, [&elsewhere(&source), &list], &rule).0, 0, "{rule:?}");
    }
    fs::write(source.join("ks/t-1/nb-3-big-Data.db"), vec![9; 3000]).unwrap();
    assert_eq!(diff(SHELL, PROGRAM, [&list, &elsewhere(&source)], &["--keyspace", "ks"]).0, 1);
}

#[test]
fn what_ssh_says_is_passed_on() {
    let Some(sshd) = Sshd::start() else { return };
    let (_tmp, source, _) = two_trees();
    let (rsh, there) = (sshd.rsh(), sshd.url(&source));
    let port = sshd.port;
    let _files = sshd.stop();
    let (code, out, err) = diff(&rsh, PROGRAM, [&there, &source], &[]);
    assert_eq!((code, out.as_str()), (3, ""));
    let refused = format!("ssh: connect to host 127.0.0.1 port {port}: Connection refused");
    assert!(err.contains(&format!("127.0.0.1: the connection failed or broke: {refused}")), "{err}");
}

#[test]
fn a_connection_that_breaks_is_no_result() {
    let Some(sshd) = Sshd::start() else { return };
    let (tmp, source, _) = two_trees();
    // The session's own server process is the parent of what it runs.
    let breaks = format!("[ \"$1\" = --version ] && exec {PROGRAM} --version\nprintf TWINTREE\nkill -9 $PPID\nsleep 5");
    let program = script(&tmp.path().join("breaks"), &breaks);
    let (code, out, err) = diff(&sshd.rsh(), program, [&sshd.url(&source), &source], &[]);
    assert_eq!((code, out.as_str()), (3, ""));
    assert!(err.contains("127.0.0.1: the connection failed or broke"), "{err}");
}

#[test]
fn a_plain_shell_will_do_and_options_go_along() {
    let (_tmp, source, destination) = two_trees();
    fs::write(destination.join("ks/t-1/extra"), b"x").unwrap();
    let there = elsewhere(&source);
    let (code, _, _) = diff(SHELL, PROGRAM, [&there, &destination], &[]);
    assert_eq!(code, 1);
    let pattern = "--exclude-file=regex:(?s).*/ex.*a";
    let ended = diff(SHELL, PROGRAM, [&there, &destination], &[pattern, "--keyspace", "ks", "--threads=2"]);
    assert_eq!(ended.0, 0, "{ended:?}");
    let ended = diff(SHELL, PROGRAM, [&there, &elsewhere(&destination)], &[pattern]);
    assert_eq!(ended.0, 0, "{ended:?}");
}

/// Each of what can stand in the way there has its own words, and none is a result.
#[test]
fn what_is_wrong_there_is_said_by_name() {
    let (tmp, source, _) = two_trees();
    let there = elsewhere(&source);
    let program = |name: &str, lines: &str| script(&tmp.path().join(name), lines);
    let version = format!("[ \"$1\" = --version ] && exec {PROGRAM} --version\n");
    let whole = format!("exec {PROGRAM} \"$@\"");
    let cases = [
        (tmp.path().join("none"), "there is no "),
        (
            program("old", "[ \"$1\" = --version ] && echo twintree 0.0.9 && exit 0\necho unexpected >&2; exit 2"),
            "version 0.0.9, this is ",
        ),
        (program("noise", &format!("{version}echo Welcome; {whole}")), "not a manifest"),
        (program("short", &format!("{version}{PROGRAM} \"$@\" | head -c 500")), "cut off"),
        (program("nothing", &format!("{version}exit 0")), "other: the manifest from other: "),
        (program("killed", &format!("{version}kill -9 $$")), "a signal ended the remote command"),
        (program("other", "exit 0"), "other: "),
        (program("fails", &format!("{version}echo disk on fire >&2; exit 3")), "disk on fire"),
    ];
    for (program, expected) in cases {
        let (code, out, err) = diff(SHELL, &program, [&there, &source], &[]);
        assert_eq!((code, out.as_str()), (3, ""), "{}: {err}", program.display());
        assert!(err.contains(expected) && err.contains("other: "), "{}: {err}", program.display());
    }
    let ended = diff(SHELL, PROGRAM, [&elsewhere(&tmp.path().join("absent")), &source], &[]);
    assert!(ended.0 == 3 && ended.2.contains("absent"), "{ended:?}");
    let ended = diff("no-such-remote-shell", PROGRAM, [&there, &source], &[]);
    assert!(ended.0 == 3 && ended.2.contains("no-such-remote-shell"), "{ended:?}");
    for odd in ["ssh://-oProxyCommand=x/d", "ssh://host", "ssh:///d"] {
        let (code, _, err) = diff(SHELL, PROGRAM, [Path::new(odd), &source], &[]);
        assert!(code == 2 && err.contains("expected ssh://"), "{err}");
    }
}

/// Something unreadable there is in the manifest, and so in the verdict.
#[test]
fn what_could_not_be_read_there_is_unverified_here() {
    let (_tmp, source, destination) = two_trees();
    for tree in [&source, &destination] {
        std::os::unix::fs::symlink("nowhere", tree.join("ks/t-1/broken")).unwrap();
    }
    let here = diff(SHELL, PROGRAM, [&source, &destination], &["--json"]);
    let ended = diff(SHELL, PROGRAM, [&elsewhere(&source), &destination], &["--json"]);
    assert_eq!((here.0, ended.0), (3, 3), "{ended:?}");
    assert_eq!(verdict(&ended), verdict(&here));
}

/// Nothing is left behind on either host, and nobody waits for a host that hangs.
#[test]
fn a_signal_ends_both_sides() {
    let (tmp, source, _) = two_trees();
    let mark = tmp.path().join("hangs-there");
    let hangs = format!("[ \"$1\" = --version ] && exec {PROGRAM} --version\necho $$ > \"$0.pid\"\nexec sleep 600");
    let program = script(&mark, &hangs);
    let mut command = Command::new(PROGRAM);
    command.args(["diff", "--rsh", SHELL, "--remote-program"]).arg(&program).args([elsewhere(&source), source]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let pid_file = tmp.path().join("hangs-there.pid");
    let begun = Instant::now();
    let there = loop {
        let pid = fs::read_to_string(&pid_file).unwrap_or_default().trim().parse::<i32>();
        if let Ok(pid) = pid {
            break pid;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it was not started");
        std::thread::sleep(Duration::from_millis(10));
    };
    let pid = |id: i32| rustix::process::Pid::from_raw(id).unwrap();
    rustix::process::kill_process(pid(child.id().cast_signed()), rustix::process::Signal::INT).unwrap();
    let begun = Instant::now();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    assert!(begun.elapsed() < Duration::from_secs(10));
    if !cfg!(target_os = "linux") {
        return missing("threads", "no /proc to see processes in");
    }
    let gone = || !Path::new(&format!("/proc/{there}")).exists();
    while !gone() {
        assert!(begun.elapsed() < Duration::from_secs(20), "the command goes on there");
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Over a real connection nothing but its end tells the other host that nobody waits any more.
#[test]
fn a_signal_ends_what_runs_behind_a_real_sshd() {
    let Some(sshd) = Sshd::start() else { return };
    let tmp = tempfile::tempdir().unwrap();
    for side in ["source", "destination"] {
        fs::create_dir(tmp.path().join(side)).unwrap();
    }
    let source = tmp.path().join("source");
    fs::write(source.join("large"), vec![7; 60 << 20]).unwrap();
    let pid_file = tmp.path().join("program.pid");
    let program =
        format!("[ \"$1\" = --version ] && exec {PROGRAM} --version\necho $$ > \"$0.pid\"\nexec {PROGRAM} \"$@\"");
    let program = script(&tmp.path().join("program"), &program);
    let mut command = Command::new(PROGRAM);
    command.args(["diff", "--read-limit=1MiB/s", "--rsh", &sshd.rsh(), "--remote-program"]).arg(program);
    command.arg(sshd.url(&source)).arg(tmp.path().join("destination"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let there = loop {
        if let Ok(pid) = fs::read_to_string(&pid_file).unwrap_or_default().trim().parse::<i32>() {
            break pid;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "it was not started");
        std::thread::sleep(Duration::from_millis(10));
    };
    std::thread::sleep(Duration::from_millis(500));
    let pid = rustix::process::Pid::from_raw(child.id().cast_signed()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4));
    let begun = Instant::now();
    // A process that has ended and that nobody has waited for yet reads nothing.
    let runs = || fs::read_to_string(format!("/proc/{there}/stat")).is_ok_and(|stat| !stat.contains(") Z "));
    while runs() {
        assert!(begun.elapsed() < Duration::from_secs(15), "it reads on behind the connection");
        std::thread::sleep(Duration::from_millis(20));
    }
}
