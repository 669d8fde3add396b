//! The program as a process: signals, exit codes, and what it says when it cannot start.

use std::path::{Path, PathBuf};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::material::missing;
use crate::support::process::{Process, free_port, hang_ups_arrive, twintree};
use crate::support::trees::endless_file;

/// One process that is both sides of an endless verification.
struct Both {
    directory: tempfile::TempDir,
    config: PathBuf,
    port: u16,
}

impl Both {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = free_port();
        let storage = |name: &str| directory.path().join(name);
        for side in ["source", "destination"] {
            endless_file(&storage(side).join("data/ks/table/nb-1-big-Data.db"));
        }
        // Both names mean the same address; the Host header tells them apart.
        let yaml = format!(
            "cassandra_instances:\n\
             - {{id: 1, host: 127.0.0.1, storage_dir: {:?}}}\n\
             - {{id: 2, host: localhost, storage_dir: {:?}}}\n\
             sidecar: {{host: 127.0.0.1, port: {port}}}\n\
             live_migration: {{migration_map: {{127.0.0.1: localhost}}}}\n\
             twintree: {{state_dir: {:?}}}\n",
            storage("source"),
            storage("destination"),
            storage("state"),
        );
        let config = directory.path().join("sidecar.yaml");
        std::fs::write(&config, yaml).unwrap();
        Self { directory, config, port }
    }

    fn verify(&self) -> Process {
        let mut command = twintree();
        command.args(["verify", "--json", "--destination"]).arg(format!("http://localhost:{}", self.port));
        Process::start(command)
    }

    fn status(&self) -> Option<Value> {
        let (address, host) = (format!("127.0.0.1:{}", self.port), format!("localhost:{}", self.port));
        let path = "/api/v1/live-migration/files-verification-tasks";
        crate::support::raw_http::exchange(&address, &host, "GET", path, None).json().get(0).cloned()
    }

    /// Waits until both sides have read something, and so are in the middle of it.
    fn wait_until_both_hash(&self) {
        let read = |status: &Value, side: &str| status[side].as_u64() > Some(0);
        for _ in 0..3000 {
            if self.status().is_some_and(|s| read(&s, "bytesHashed") && read(&s, "sourceBytesHashed")) {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("the two sides do not hash");
    }
}

/// The threads of a process that scan; `None` where the system does not tell.
fn scanning_threads(process: u32) -> Option<usize> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).ok()?;
    let name = |thread: std::fs::DirEntry| std::fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
    Some(threads.flatten().map(name).filter(|name| name.starts_with("scan-")).count())
}

#[test]
fn sigterm_ends_a_service_in_the_middle_of_its_work_with_exit_code_0() {
    let both = Both::new();
    let mut service = Process::serve(&both.config, both.port);
    let _verify = both.verify();
    both.wait_until_both_hash();
    service.signal(Signal::TERM);
    let code = service.wait().code();
    assert_eq!(code, Some(0), "{}", service.errors());
    // The task is not over: the next service takes it up again by itself.
    let _again = Process::serve(&both.config, both.port);
    both.wait_until_both_hash();
}

/// A terminal that closes ends what was started in it, and nothing that runs elsewhere.
#[test]
fn sighup_ends_verify_and_neither_the_task_nor_the_service() {
    if !hang_ups_arrive() {
        return;
    }
    let both = Both::new();
    let mut service = Process::serve(&both.config, both.port);
    let mut verify = both.verify();
    both.wait_until_both_hash();
    verify.signal(Signal::HUP);
    assert_eq!(verify.wait().code(), Some(4));
    let errors = verify.errors();
    assert!(errors.contains(" goes on; only this command has ended\n"), "{errors}");
    service.signal(Signal::HUP);
    service.wait_for_errors("SIGHUP reloads nothing yet");
    // The service answers still, and its task runs.
    assert_eq!(both.status().unwrap()["state"], "IN_PROGRESS");
    service.signal(Signal::TERM);
    assert_eq!(service.wait().code(), Some(0));
}

#[test]
fn ctrl_c_on_verify_cancels_the_task_and_stops_the_reading_on_both_sides() {
    for signal in [Signal::INT, Signal::TERM] {
        verify_cancels_its_task(signal);
    }
}

fn verify_cancels_its_task(signal: Signal) {
    let both = Both::new();
    let service = Process::serve(&both.config, both.port);
    let mut verify = both.verify();
    both.wait_until_both_hash();
    verify.signal(signal);
    let code = verify.wait().code();
    let report: Value = serde_json::from_str(&verify.output()).unwrap();
    assert_eq!((code, &report["state"]), (Some(4), &"CANCELLED".into()), "{report:#}");
    assert_eq!(both.status().unwrap()["state"], "CANCELLED");
    let Some(mut left) = scanning_threads(service.id()) else {
        missing("threads", "the system does not list a process's threads");
        return;
    };
    for _ in 0..3000 {
        if left == 0 {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
        left = scanning_threads(service.id()).unwrap();
    }
    panic!("{left} threads still read");
}

fn fails(arguments: &[&std::ffi::OsStr]) -> (Option<i32>, String) {
    let mut command = twintree();
    command.args(arguments);
    let mut process = Process::start(command);
    (process.wait().code(), process.errors())
}

fn serve(config: &Path) -> (Option<i32>, String) {
    fails(&["serve".as_ref(), "--config".as_ref(), config.as_os_str()])
}

#[test]
fn every_mistake_of_a_configuration_is_told_at_once_with_its_line() {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("sidecar.yaml");
    std::fs::write(
        &config,
        "cassandra_instances:\n  - id: 1\n    host: a\n    storage_dir: relative\n\
         sidecar: {port: 70000}\ntwintree:\n  state: /x\n\
         live_migration:\n  files_to_exclude:\n  - 'glob:fine'\n  - 'regex:a*+'\n",
    )
    .unwrap();
    let (code, errors) = serve(&config);
    assert_eq!(code, Some(2), "{errors}");
    for (line, key) in [(4, "storage_dir"), (5, "sidecar.port"), (7, "twintree.state"), (11, "possessive")] {
        let place = format!("{}:{line}:", config.display());
        assert!(errors.lines().any(|told| told.contains(&place) && told.contains(key)), "{key}: {errors}");
    }
    let absent = directory.path().join("absent.yaml");
    let (code, errors) = serve(&absent);
    assert_eq!(code, Some(2));
    assert!(errors.contains(&absent.display().to_string()), "{errors}");
}

#[test]
fn a_port_in_use_is_told_with_its_address() {
    let both = Both::new();
    let _taken = std::net::TcpListener::bind(("127.0.0.1", both.port)).unwrap();
    let (code, errors) = serve(&both.config);
    assert_eq!(code, Some(2), "{errors}");
    let expected = format!("cannot listen on 127.0.0.1:{}: Address already in use", both.port);
    assert!(errors.contains(&expected), "{errors}");
    assert!(both.directory.path().exists());
}

#[test]
fn verify_names_a_service_that_is_not_there_and_exits_with_3() {
    let address = format!("127.0.0.1:{}", free_port());
    let url = format!("http://{address}/");
    let (code, errors) = fails(&["verify".as_ref(), "--destination".as_ref(), url.as_ref()]);
    assert_eq!(code, Some(3), "{errors}");
    assert!(errors.contains(&format!("{address} cannot be reached: connection refused")), "{errors}");
}

/// Both roles are in one process here, so its log has the lines of both.
#[test]
fn every_line_about_a_task_carries_its_id_as_json_and_as_text() {
    for format in ["json", "text"] {
        let both = Both::new();
        for side in ["source", "destination"] {
            let file = both.directory.path().join(side).join("data/ks/table/nb-1-big-Data.db");
            std::fs::File::options().write(true).open(file).unwrap().set_len(10).unwrap();
        }
        let mut command = twintree();
        command.args(["--log-format", format, "serve", "--config"]).arg(&both.config);
        let mut service = Process::start(command);
        while std::net::TcpStream::connect(("127.0.0.1", both.port)).is_err() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let mut verify = both.verify();
        verify.wait();
        let report: Value = serde_json::from_str(&verify.output()).unwrap();
        let id = report["id"].as_str().unwrap();
        service.signal(Signal::TERM);
        service.wait();
        let log = service.errors();
        for message in ["a verification begins", "a verification ended", "a manifest is streamed"] {
            let line = log.lines().find(|line| line.contains(message)).unwrap_or_else(|| panic!("{message}: {log}"));
            if format == "text" {
                assert!(line.contains(id), "{line}");
                continue;
            }
            let line: Value = serde_json::from_str(line).unwrap();
            let task = [&line["fields"]["task"], &line["span"]["task"]];
            assert!(task.contains(&&Value::from(id)), "{line:#}");
        }
        assert!(format == "text" || log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
    }
}

#[test]
fn the_systemd_unit_is_one_and_starts_the_program_as_it_is_called() {
    let unit = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/twintree.service")).unwrap();
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=/usr/local/bin/twintree ")).unwrap();
    // The program understands the arguments, and refuses only the file, which is not there.
    let arguments: Vec<&std::ffi::OsStr> = start.split(' ').map(std::ffi::OsStr::new).collect();
    let (code, errors) = fails(&arguments);
    assert!(code == Some(2) && errors.contains("sidecar.yaml: could not be read"), "{code:?}: {errors}");
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("twintree.service");
    std::fs::write(&file, unit.replace("/usr/local/bin/twintree", env!("CARGO_BIN_EXE_twintree"))).unwrap();
    match std::process::Command::new("systemd-analyze").arg("verify").arg(&file).output() {
        Err(error) => missing("systemd", &format!("systemd-analyze cannot be started: {error}")),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(!said.contains("twintree.service:"), "{said}");
        }
    }
}
