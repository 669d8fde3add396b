//! A source and a destination as real services on loopback, and a plain HTTP client for them.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use twintree::config::Config;
use twintree::server::{App, Listener, Running};

/// A source and its destination.
pub struct Pair {
    pub source: Running,
    pub destination: Running,
    pub source_port: u16,
    pub destination_port: u16,
    http: reqwest::Client,
}

/// What differs between the tests' services. `roots` are lines of an instance in `sidecar.yaml`, such as
/// `storage_dir: /x`; `live_migration` is more lines of that section and `extra` more top-level YAML, both for both
/// services.
pub struct Setup<'a> {
    pub source_roots: &'a str,
    pub destination_roots: &'a str,
    pub live_migration: &'a str,
    pub extra: &'a str,
    /// What the destination takes for the source's port, such as that of a proxy; the source's own where `None`.
    pub source_port: Option<u16>,
}

/// Instances whose `storage_dir`s are these.
pub fn storage_dirs<'a>(source: &'a mut String, destination: &'a mut String) -> Setup<'a> {
    *source = format!("storage_dir: {source:?}");
    *destination = format!("storage_dir: {destination:?}");
    Setup { source_roots: source, destination_roots: destination, live_migration: "", extra: "", source_port: None }
}

impl Pair {
    /// Starts both services on free ports of 127.0.0.1.
    pub async fn start(setup: Setup<'_>) -> Self {
        let source = Listener::bind("127.0.0.1", 0).await.unwrap();
        let destination = Listener::bind("127.0.0.1", 0).await.unwrap();
        let (source_port, destination_port) = (source.address().port(), destination.address().port());
        let called = setup.source_port.unwrap_or(source_port);
        let serve = |listener: Listener, port: u16, called: u16, roots: &str| {
            let yaml = format!(
                "cassandra_instances:\n  - id: 1\n    host: 127.0.0.1\n    {}\n\
                 sidecar: {{host: 127.0.0.1, port: {port}}}\n\
                 live_migration:\n  migration_map: {{'127.0.0.1:{called}': '127.0.0.1:{destination_port}'}}\n  {}\n{}\n{}",
                roots.replace('\n', "\n    "),
                setup.live_migration.replace('\n', "\n  "),
                RETRY_QUICKLY,
                setup.extra,
            );
            let config =
                Config::parse(&yaml, Path::new("sidecar.yaml"), None).unwrap_or_else(|e| panic!("{e}\n{yaml}"));
            listener.serve(App::new(config).unwrap())
        };
        Self {
            source: serve(source, source_port, called, setup.source_roots),
            destination: serve(destination, destination_port, called, setup.destination_roots),
            source_port,
            destination_port,
            http: reqwest::Client::new(),
        }
    }

    /// Stops both services. Those of a pair that is only dropped run on as long as the runtime does.
    pub async fn stop(self) {
        let Self { source, destination, http, .. } = self;
        drop(http);
        destination.stop().await;
        source.stop().await;
    }

    /// The destination's URL of a path below the live-migration prefix.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/api/v1/live-migration{path}", self.destination_port)
    }

    /// Submits a task and returns status code and body.
    pub async fn submit(&self, request: &Value) -> (u16, Value) {
        let response = self.http.post(self.url("/files-verification-tasks")).json(request).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// GETs a path of the destination.
    pub async fn get(&self, path: &str) -> (u16, Value) {
        let response = self.http.get(self.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// PATCHes a path of the destination.
    pub async fn patch(&self, path: &str) -> (u16, Value) {
        let response = self.http.patch(self.url(path)).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Runs a task to its end and returns its report.
    pub async fn verify(&self, request: &Value) -> Value {
        let (code, created) = self.submit(request).await;
        assert_eq!(code, 202, "{created}");
        let id = created["taskId"].as_str().unwrap().to_owned();
        self.wait(&id).await;
        self.get(&format!("/files-verification-tasks/{id}/report")).await.1
    }

    /// Waits for a task to end and returns its status.
    pub async fn wait(&self, id: &str) -> Value {
        for _ in 0..3000 {
            let (code, status) = self.get(&format!("/files-verification-tasks/{id}")).await;
            assert_eq!(code, 200, "{status}");
            if !matches!(status["state"].as_str(), Some("NOT_STARTED" | "IN_PROGRESS")) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the task {id} does not end");
    }
}

/// Tests do not wait for a source that will not come back.
const RETRY_QUICKLY: &str =
    "sidecar_client: {max_retries: 2, retry_delay: 20ms, max_retry_delay: 50ms, request_idle_timeout: 5s}";

/// The request most tests send.
pub fn md5_request() -> Value {
    json!({ "maxConcurrency": 4, "digestAlgorithm": "MD5" })
}
