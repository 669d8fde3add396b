//! The recorded conversations of `tests/data/conversations.txt`, held again with real services, byte for byte.

use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;

use regex::Regex;
use rustix::fs::{CWD, FileType, mknodat};

use crate::support::disk::{Time, set_time};
use crate::support::raw_http::{RawAnswer, exchange_with};
use crate::support::services::{Pair, Setup, storage_dirs};
use crate::support::trees::{copy_tree, endless_file};

const API: &str = "/api/v1/live-migration";

/// One request with what must come back.
#[derive(Debug, Default)]
struct Exchange<'a> {
    request: &'a str,
    answer: Vec<&'a str>,
}

/// Requests and changes of the setting, in order.
#[derive(Debug)]
enum Step<'a> {
    Setting(&'a str),
    Exchange(Exchange<'a>),
}

fn conversations(text: &str) -> Vec<(&str, Vec<Step<'_>>)> {
    let mut conversations: Vec<(&str, Vec<Step<'_>>)> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let (mark, rest) = (&line[..1], line[1..].strip_prefix(' ').unwrap_or_default());
        if mark == "=" {
            conversations.push((rest, Vec::new()));
            continue;
        }
        let steps = &mut conversations.last_mut().unwrap().1;
        match (mark, steps.last_mut()) {
            ("@", _) => steps.push(Step::Setting(rest)),
            (">", _) => steps.push(Step::Exchange(Exchange { request: rest, answer: Vec::new() })),
            ("<", Some(Step::Exchange(exchange))) => exchange.answer.push(rest),
            _ => panic!("{line}"),
        }
    }
    conversations
}

/// The services a conversation is held with.
struct Stage {
    pair: Pair,
    trees: tempfile::TempDir,
    id: String,
    /// Connections that must stay.
    held: Vec<TcpStream>,
}

impl Stage {
    async fn set(settings: &[&str]) -> Self {
        let trees = tempfile::tempdir().unwrap();
        let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
        write(&s);
        copy_tree(&s, &d);
        [&s, &d].into_iter().for_each(|side| date_directories(&side.join("data/ks")));
        if settings.contains(&"link out") {
            let table = s.join("data/ks/tbl-1");
            std::fs::create_dir_all(table.join("snapshots/s")).unwrap();
            std::fs::write(table.join("snapshots/s/x.db"), "").unwrap();
            std::os::unix::fs::symlink("/etc/passwd", table.join("out")).unwrap();
            mknodat(CWD, table.join("pipe"), FileType::Fifo, 0o600.into(), 0).unwrap();
        }
        let permits_held = settings.contains(&"permits held");
        if permits_held || settings.contains(&"endless") {
            [&s, &d].into_iter().for_each(|side| endless_file(&side.join("commitlog/CommitLog-7-1.log")));
        }
        let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
        let setup = storage_dirs(&mut left, &mut right);
        let staging = |roots: &str, side: &str| format!("{roots}\nstaging_dir: {:?}", trees.path().join(side));
        let (s, d) = (staging(setup.source_roots, "s"), staging(setup.destination_roots, "d"));
        // Called at another port the source's own name is in no migration map.
        let source_port = settings.contains(&"unmapped").then_some(1);
        let live_migration = if permits_held { "max_concurrent_file_requests: 1" } else { "" };
        let setup = Setup { source_roots: &s, destination_roots: &d, live_migration, source_port, ..setup };
        let mut stage = Self { pair: Pair::start(setup).await, trees, id: String::new(), held: Vec::new() };
        if permits_held {
            stage.hold_a_permit().await;
        }
        stage
    }

    async fn hold_a_permit(&mut self) {
        let port = self.pair.source_port;
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let path = format!("{API}/files/commitlog/0/CommitLog-7-1.log?digestAlgorithm=MD5");
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").unwrap();
        self.held.push(stream);
        while self.pair.source.app().requests() == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    }

    async fn change(&self, setting: &str) {
        match setting {
            "wait" => drop(self.pair.wait(&self.id).await),
            "completed" => {
                std::fs::create_dir_all(self.trees.path().join("s")).unwrap();
                let record = self.trees.path().join("s/live_migration_status.json");
                std::fs::write(record, r#"{"state":"COMPLETED","endTime":1}"#).unwrap();
            }
            // These hold from the beginning.
            "link out" | "permits held" | "endless" | "unmapped" => {}
            other => panic!("no setting {other}"),
        }
    }

    async fn ask(&self, request: &str) -> RawAnswer {
        let request = request.replace("{id}", &self.id);
        let mut words = request.splitn(4, ' ');
        let mut word = || words.next().unwrap_or_default().to_owned();
        let (role, method, path, rest) = (word(), word(), word(), word());
        let (port, host) = match role.as_str() {
            "source" => (self.pair.source_port, format!("127.0.0.1:{}", self.pair.source_port)),
            "destination" => (self.pair.destination_port, format!("127.0.0.1:{}", self.pair.destination_port)),
            _ => (self.pair.source_port, "stranger".to_owned()),
        };
        let path =
            path.strip_prefix('/').filter(|path| path.starts_with('/')).map_or(format!("{API}{path}"), str::to_owned);
        let header = rest.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).map(str::to_owned);
        let body = (header.is_none() && !rest.is_empty()).then_some(rest);
        let send = move || {
            let body = body.as_deref().map(str::as_bytes);
            exchange_with(&format!("127.0.0.1:{port}"), &host, &method, &path, header.as_deref(), body)
        };
        tokio::task::spawn_blocking(send).await.unwrap()
    }

    async fn hold(&mut self, name: &str, exchange: &Exchange<'_>) {
        let answer = self.ask(exchange.request).await;
        let place = format!("{name}: {}: {answer:#?}", exchange.request);
        let ([status, headers @ ..], body) =
            (&exchange.answer[..exchange.answer.len() - 1], exchange.answer.last().unwrap())
        else {
            panic!("{name}: no answer is recorded for {}", exchange.request);
        };
        assert_eq!(answer.status_line, format!("HTTP/1.1 {status}"), "{place}");
        for header in headers {
            let (name, value) = header.split_once(": ").unwrap();
            let came = answer.headers.iter().find(|(came, _)| came == name);
            assert_eq!(came.map(|(_, value)| value.as_str()), Some(value), "{name}: {place}");
        }
        if let Some(id) = answer.body.strip_prefix("{\"taskId\":\"").and_then(|rest| rest.split('"').next()) {
            self.id = id.to_owned();
        }
        let uuid = "[0-9a-f]{8}-[0-9a-f]{4}-1[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}";
        let pattern = regex::escape(body)
            .replace(r"\{id\}", &regex::escape(&self.id))
            .replace(r"\{number\}", "[0-9]+")
            .replace(r"\{uuid\}", uuid);
        let same = Regex::new(&format!("^(?s:{pattern})$")).unwrap().is_match(&answer.body);
        assert!(same, "expected {body:?}\n{place}");
    }
}

fn write(storage: &Path) {
    let table = storage.join("data/ks/tbl-1");
    std::fs::create_dir_all(&table).unwrap();
    for (name, bytes) in [("nb-1-big-Data.db", "0123456789"), ("a b.db", "")] {
        std::fs::write(table.join(name), bytes).unwrap();
        set_time(&table.join(name), Time { seconds: 1_707_193_655, nanoseconds: 406_999_999 });
    }
}

fn date_directories(directory: &Path) {
    for directory in [directory.join("tbl-1"), directory.to_owned()] {
        set_time(&directory, Time { seconds: 1_707_193_655, nanoseconds: 0 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn recorded_conversations_are_held_again_byte_for_byte() {
    let text = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/conversations.txt")).unwrap();
    let conversations = conversations(&text);
    assert!(conversations.len() >= 15);
    for (name, steps) in conversations {
        let setting =
            |step: &Step<'_>| if let Step::Setting(setting) = step { Some(setting.to_string()) } else { None };
        let settings: Vec<String> = steps.iter().filter_map(setting).collect();
        let mut stage = Stage::set(&settings.iter().map(String::as_str).collect::<Vec<_>>()).await;
        for step in &steps {
            match step {
                Step::Setting(setting) => stage.change(setting).await,
                Step::Exchange(exchange) => stage.hold(name, exchange).await,
            }
        }
    }
}
