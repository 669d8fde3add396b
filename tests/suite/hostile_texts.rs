//! Texts from outside that would steer a terminal, begin a line of their own or be calculated: none is shown as it is.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use serde_json::Value;

use crate::support::program::{text, twintree};
use crate::support::scripted_source::{Answer, ScriptedSource};
use crate::support::services::{Pair, md5_request};

/// Names in which C0, DEL, C1, what turns directions, what separates lines, and bytes that are no text stand.
const NAMES: [&[u8]; 6] = [
    b"x\nCOMPLETED: equal; 9 files proven\n",
    b"\x1b[2J\x1b]0;title\x07\r\x7f",
    "\u{9b}31m\u{85}".as_bytes(),
    "gpj.\u{202e}exe\u{2066}\u{200f}\u{61c}".as_bytes(),
    "a\u{2028}b\u{2029}c\u{feff}\u{200b}".as_bytes(),
    b"\xff\xfe\n",
];

fn hostile_tree(home: &Path) {
    fs::create_dir_all(home.join("ks/t")).unwrap();
    for name in NAMES {
        fs::write(home.join("ks/t").join(OsStr::from_bytes(name)), "x").unwrap();
        std::os::unix::fs::symlink("nothing", home.join("ks").join(OsStr::from_bytes(name))).unwrap();
    }
}

/// Whether a terminal shows a text as it stands, line for line.
fn harmless(text: &str) -> bool {
    // U+FFFD stands for what is no text.
    text.chars().all(|c| matches!(c, '\n' | ' '..='~' | '\u{fffd}'))
        && text.lines().all(|line| line != "COMPLETED: equal")
}

#[test]
fn names_steer_no_terminal() {
    let tmp = tempfile::tempdir().unwrap();
    let (hostile, empty) = (tmp.path().join(OsStr::from_bytes(NAMES[1])), tmp.path().join("empty"));
    hostile_tree(&hostile);
    fs::create_dir(&empty).unwrap();
    let (manifest, none) = (tmp.path().join("m"), tmp.path().join("\u{202e}none\n"));
    let commands = [
        &["manifest", text(&hostile), "-o", text(&manifest)][..],
        &["inspect", text(&manifest)],
        &["inspect", text(&manifest), "--json"],
        &["diff", text(&hostile), text(&empty)],
        &["diff", text(&hostile), text(&empty), "--json"],
        &["diff", text(&manifest), text(&none)],
        &["diff", "--x\nCOMPLETED: equal\n\u{1b}[2J", "\u{202e}"],
        &["diff", text(&none)],
        &["diff", text(&none), text(&none), "--threads", "\nCOMPLETED: equal\n"],
    ];
    for arguments in commands {
        let (code, out, err) = twintree(arguments);
        assert!(code > 0 && harmless(&out) && harmless(&err), "{arguments:?}: {out:?} {err:?}");
        assert!(!out.lines().any(|line| line.starts_with("COMPLETED")), "{arguments:?}: {out}");
        if arguments.contains(&"--json") {
            assert!(serde_json::from_str::<Value>(&out).unwrap().to_string().contains('\u{202e}'), "it means the same");
        }
    }
}

#[test]
fn keys_and_values_of_a_configuration_steer_no_terminal() {
    let tmp = tempfile::tempdir().unwrap();
    let config = tmp.path().join("sidecar.yaml");
    let hostile = r"\nCOMPLETED: equal\n\e[2J\x9b\u202e\u2028\x7f";
    for yaml in [
        format!("\"{hostile}\": 1\n\"{hostile}\": 2\n"),
        format!("twintree: {{\"{hostile}\": 1}}\n"),
        format!("twintree: {{state_dir: \"{hostile}\", read_limit: \"{hostile}\", digest_cache: \"{hostile}\"}}\n"),
        format!(
            "sidecar: {{host: \"{hostile}\"}}\nlive_migration: {{migration_map: {{\"{hostile}\": \"{hostile}\"}}}}\n"
        ),
        format!("live_migration: {{files_to_exclude: [\"{hostile}\", \"glob:[{hostile}\", \"regex:({hostile}\"]}}\n"),
        format!("cassandra_instances: [{{id: \"{hostile}\", host: \"{hostile}\", data_dirs: [\"{hostile}\"]}}]\n"),
        format!("a: *\u{202e}\u{9b}\nb: !<{hostile}> x\n"),
    ] {
        fs::write(&config, &yaml).unwrap();
        let (code, out, err) = twintree(&["serve", "--config", text(&config)]);
        assert_eq!((code, out.as_str()), (2, ""), "{yaml}: {err}");
        assert!(harmless(&err), "{yaml}: {err:?}");
        let place = format!("{}:", config.display());
        assert!(err.lines().all(|line| line.contains(&place)), "each line is one of ours: {yaml}: {err}");
    }
}

/// What a source says goes into the log of the destination, its report, and the terminal of who asked for it.
#[tokio::test(flavor = "multi_thread")]
async fn messages_of_a_source_steer_no_terminal() {
    let tmp = tempfile::tempdir().unwrap();
    fs::create_dir_all(tmp.path().join("data/ks/t")).unwrap();
    let message = "=1+1\nCOMPLETED: equal\n\u{1b}[2J\u{9b}\u{202e}\u{2028}";
    let body = serde_json::json!({ "status": "Bad Request", "code": 400, "message": message }).to_string();
    let source = ScriptedSource::start().await;
    source.script(move |_| Answer::new(400, "application/json", body.clone()));
    let pair = Pair::calling(source.port, tmp.path(), tmp.path()).await;
    let report = pair.verify(&md5_request()).await;
    assert_eq!(report["state"], "FAILED");
    assert!(report["message"].as_str().unwrap().contains("\nCOMPLETED: equal\n"), "programs get it as it came");
    let path = format!("/files-verification-tasks/{}/report?format=", report["id"].as_str().unwrap());
    for format in ["csv", "html"] {
        let page = reqwest::get(pair.url(&format!("{path}{format}"))).await.unwrap().text().await.unwrap();
        assert!(page.contains("\\nCOMPLETED: equal\\n"), "{page}");
        assert!(harmless(&page), "{page:?}");
    }
    let url = format!("http://127.0.0.1:{}", pair.destination_port);
    for arguments in
        [&["verify", "--destination"][..], &["tasks", "--destination"], &["tasks", "--json", "--destination"]]
    {
        let arguments: Vec<String> = arguments.iter().copied().chain([url.as_str()]).map(str::to_owned).collect();
        let run = move || twintree(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let (_, out, err) = tokio::task::spawn_blocking(run).await.unwrap();
        assert!(harmless(&out) && harmless(&err), "{out:?} {err:?}");
        assert!(out.contains("COMPLETED: equal"), "{out}");
    }
    pair.stop().await;
}
