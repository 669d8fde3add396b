//! A source and a destination as real services on loopback, and a plain HTTP client for them.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use twintree::config::Config;
use twintree::protocol::{FrameDecoder, ManifestFrame};
use twintree::server::{App, Listener, Running};

/// A source and its destination.
pub struct Pair {
    pub source: Running,
    pub destination: Running,
    pub source_port: u16,
    pub destination_port: u16,
    /// The port under which the destination knows the source.
    pub called_port: u16,
    destination_config: Config,
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
    /// More top-level YAML for the source alone.
    pub source_extra: &'a str,
    /// More top-level YAML for the destination alone.
    pub destination_extra: &'a str,
    /// How long a source may be silent.
    pub idle_timeout: &'a str,
    /// How often a destination repeats a failed request.
    pub max_retries: u32,
    /// What the destination takes for the source's port, such as that of a proxy; the source's own where `None`.
    pub source_port: Option<u16>,
}

/// Instances whose `storage_dir`s are these.
pub fn storage_dirs<'a>(source: &'a mut String, destination: &'a mut String) -> Setup<'a> {
    *source = format!("storage_dir: {source:?}");
    *destination = format!("storage_dir: {destination:?}");
    Setup {
        source_roots: source,
        destination_roots: destination,
        live_migration: "",
        extra: "",
        source_extra: "",
        destination_extra: "",
        idle_timeout: "5s",
        max_retries: 2,
        source_port: None,
    }
}

impl Pair {
    /// Starts both services over these storage directories; the destination calls `port` instead of the source's.
    pub async fn calling(port: u16, source: &Path, destination: &Path) -> Self {
        let (mut s, mut d) = (source.display().to_string(), destination.display().to_string());
        Self::start(Setup { source_port: Some(port), ..storage_dirs(&mut s, &mut d) }).await
    }

    /// Starts both services on free ports of 127.0.0.1.
    pub async fn start(setup: Setup<'_>) -> Self {
        let source = Listener::bind("127.0.0.1", 0).await.unwrap();
        let destination = Listener::bind("127.0.0.1", 0).await.unwrap();
        let (source_port, destination_port) = (source.address().port(), destination.address().port());
        let called = setup.source_port.unwrap_or(source_port);
        let serve = |listener: Listener, port: u16, called: u16, roots: &str, extra: &str| {
            let yaml = format!(
                "cassandra_instances:\n  - id: 1\n    host: 127.0.0.1\n    {}\n\
                 sidecar: {{host: 127.0.0.1, port: {port}}}\n\
                 live_migration:\n  migration_map: {{'127.0.0.1:{called}': '127.0.0.1:{destination_port}'}}\n  {}\n{}\n{}\n{extra}",
                roots.replace('\n', "\n    "),
                setup.live_migration.replace('\n', "\n  "),
                retry_quickly(setup.idle_timeout, setup.max_retries),
                setup.extra,
            );
            let config =
                Config::parse(&yaml, Path::new("sidecar.yaml"), None).unwrap_or_else(|e| panic!("{e}\n{yaml}"));
            (listener.serve(App::new(config.clone()).unwrap()), config)
        };
        let (source, _) = serve(source, source_port, called, setup.source_roots, setup.source_extra);
        let (destination, destination_config) =
            serve(destination, destination_port, called, setup.destination_roots, setup.destination_extra);
        Self {
            source,
            destination,
            source_port,
            destination_port,
            called_port: called,
            destination_config,
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

    /// Stops the destination and starts it again on its port, with its configuration.
    pub async fn restart_destination(self) -> Self {
        self.destination.stop().await;
        let listener = Listener::bind("127.0.0.1", self.destination_port).await.unwrap();
        // The task of a connection may hold the stopped service, and with it the history, a moment longer.
        for _ in 0..300 {
            if let Ok(app) = App::new(self.destination_config.clone()) {
                // Connections to the stopped service may still stand in the old client.
                return Self { destination: listener.serve(app), http: reqwest::Client::new(), ..self };
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the history stays locked");
    }

    /// What the source really answers to a manifest request, as frames, whoever stands in for it.
    pub async fn true_frames(&self) -> Vec<ManifestFrame> {
        let response = self.begin_manifest().await;
        let mut decoder = FrameDecoder::default();
        decoder.push(&response.bytes().await.unwrap());
        std::iter::from_fn(|| decoder.decode().unwrap()).collect()
    }

    /// A manifest request to the source, answered with 200 and not read yet.
    pub async fn begin_manifest(&self) -> reqwest::Response {
        let url = format!("http://127.0.0.1:{}/api/v1/live-migration/manifests", self.source_port);
        let request = self.http.post(url).header("Host", format!("127.0.0.1:{}", self.called_port));
        let body = json!({ "lowestVersion": 3, "highestVersion": 3, "maxConcurrency": 4 });
        request.json(&body).send().await.unwrap().error_for_status().unwrap()
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
        let id = self.begin(request).await;
        self.wait(&id).await;
        self.get(&format!("/files-verification-tasks/{id}/report")).await.1
    }

    /// Submits a task and returns its id.
    pub async fn begin(&self, request: &Value) -> String {
        let (code, created) = self.submit(request).await;
        assert_eq!(code, 202, "{created}");
        created["taskId"].as_str().unwrap().to_owned()
    }

    /// Looks at a task until `seen` is true of its status, and returns that.
    pub async fn wait_until(&self, id: &str, seen: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..3000 {
            let (code, status) = self.get(&format!("/files-verification-tasks/{id}")).await;
            assert_eq!(code, 200, "{status}");
            if seen(&status) {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("the task {id} never comes to that");
    }

    /// Waits for a task to end and returns its status.
    pub async fn wait(&self, id: &str) -> Value {
        self.wait_until(id, |status| !matches!(status["state"].as_str(), Some("NOT_STARTED" | "IN_PROGRESS"))).await
    }
}

/// Tests do not wait for a source that will not come back.
fn retry_quickly(idle_timeout: &str, max_retries: u32) -> String {
    format!(
        "sidecar_client: {{max_retries: {max_retries}, retry_delay: 20ms, max_retry_delay: 50ms, \
         request_idle_timeout: {idle_timeout}}}"
    )
}

/// The request most tests send.
pub fn md5_request() -> Value {
    json!({ "maxConcurrency": 4, "digestAlgorithm": "MD5" })
}
