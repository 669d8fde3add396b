//! What the program writes to standard error: nothing but errors where it is to be quiet, and no colours where they are
//! not wanted.

use std::fs;
use std::io::Read as _;
use std::process::Command;

use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::support::program::{Ended, text, twintree};
use crate::support::services::Pair;

/// The program with everything logged that can be.
fn logging(args: &[&str]) -> Ended {
    let output = Command::new(env!("CARGO_BIN_EXE_twintree")).args(args).env("RUST_LOG", "trace").output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn quiet_commands_write_results_and_no_remarks() {
    let tmp = tempfile::tempdir().unwrap();
    let (empty, file) = (tmp.path().join("empty"), tmp.path().join("m"));
    fs::create_dir(&empty).unwrap();
    let manifest = ["manifest", text(&empty), "-o", text(&file)];
    let diff = ["diff", text(&empty), text(&empty)];
    assert!(twintree(&manifest).2.contains("not a single file"), "there is something to be quiet of");
    for (command, code) in [(&manifest[..], 3), (&diff[..], 3), (&["demo"][..], 0)] {
        let (ended, out, err) = logging(&[command, &["--quiet"]].concat());
        assert_eq!((ended, err.as_str()), (code, ""), "{command:?}");
        assert!(!out.is_empty(), "{command:?}");
    }
    let (code, _, err) = twintree(&["diff", "/nowhere", text(&empty), "--quiet"]);
    assert_eq!(code, 2);
    assert!(err.contains("/nowhere"), "errors are written all the same: {err}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quiet_verification_says_neither_its_task_nor_its_trouble() {
    let tmp = tempfile::tempdir().unwrap();
    for side in ["s", "d"] {
        fs::create_dir_all(tmp.path().join(side).join("data/ks/t")).unwrap();
        fs::write(tmp.path().join(side).join("data/ks/t/x.db"), "x").unwrap();
    }
    // Nothing listens there, so the source is in trouble until the task gives up.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let pair = Pair::calling(nobody, &tmp.path().join("s"), &tmp.path().join("d")).await;
    let url = format!("http://127.0.0.1:{}", pair.destination_port);
    let verify = move |more: &'static [&'static str]| {
        let url = url.clone();
        tokio::task::spawn_blocking(move || logging(&[&["verify", "--destination", &url], more].concat()))
    };
    let (_, _, loud) = verify(&[]).await.unwrap();
    assert!(loud.contains("task "), "{loud}");
    let (code, out, err) = verify(&["--quiet"]).await.unwrap();
    assert_eq!((code, err.as_str()), (3, ""));
    assert!(out.starts_with("FAILED"), "{out}");
}

/// What a service that starts writes to its standard error, a terminal, until it listens.
fn log_on_a_terminal(no_color: &str) -> String {
    let tmp = tempfile::tempdir().unwrap();
    let config = tmp.path().join("sidecar.yaml");
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (storage, state) = (tmp.path().join("storage"), tmp.path().join("state"));
    let yaml = format!(
        "cassandra_instances: [{{id: 1, host: h, storage_dir: {storage:?}}}]\n\
         sidecar: {{host: 127.0.0.1, port: {port}}}\ntwintree: {{state_dir: {state:?}}}\n"
    );
    fs::write(&config, yaml).unwrap();
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let terminal = ptsname(&ours, Vec::new()).unwrap().into_string().unwrap();
    let terminal = fs::File::options().read(true).write(true).open(terminal).unwrap();
    let mut child = Command::new(env!("CARGO_BIN_EXE_twintree"))
        .args(["serve", "--config", text(&config)])
        .env("NO_COLOR", no_color)
        .stderr(terminal)
        .spawn()
        .unwrap();
    let mut ours = fs::File::from(ours);
    let (mut said, mut buffer) = (String::new(), [0; 4096]);
    while !said.contains("twintree listens") {
        // Fails once the program has ended, as nobody else holds the terminal.
        let Ok(count @ 1..) = ours.read(&mut buffer) else { break };
        said.push_str(&String::from_utf8_lossy(&buffer[..count]));
    }
    let _ = child.kill();
    child.wait().unwrap();
    assert!(said.contains("twintree listens"), "{said:?}");
    said
}

#[test]
fn no_color_counts_for_logs() {
    let (plain, coloured) = (log_on_a_terminal("1"), log_on_a_terminal(""));
    assert!(coloured.contains('\u{1b}'), "an empty value does not count: {coloured:?}");
    assert!(!plain.contains('\u{1b}'), "{plain:?}");
}
