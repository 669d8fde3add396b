//! The task routes as bytes on the wire: codes, headers and bodies of the contract, for a client that knows only it.

use serde_json::{Value, json};
use twintree::config::Config;
use twintree::server::{App, Listener};

use crate::support::material::missing;
use crate::support::raw_http::{RawAnswer, exchange};
use crate::support::services::Pair;
use crate::support::trees::{copy_tree, endless_file, plant};

const TASKS: &str = "/api/v1/live-migration/files-verification-tasks";
const MANIFESTS: &str = "/api/v1/live-migration/manifests";

/// A pair with small equal trees, and raw requests to both of its services.
struct Wire {
    pair: Pair,
    _trees: tempfile::TempDir,
}

impl Wire {
    async fn start() -> Self {
        let trees = tempfile::tempdir().unwrap();
        let (source, destination) = (trees.path().join("source"), trees.path().join("destination"));
        plant(&source, 2, 2, 10);
        copy_tree(&source, &destination);
        // A port of its own for the source, since nothing but the map tells the two apart here.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let called = listener.local_addr().unwrap().port();
        drop(listener);
        Self { pair: Pair::calling(called, &source, &destination).await, _trees: trees }
    }

    async fn destination(&self, method: &'static str, path: &str, body: Option<&str>) -> RawAnswer {
        raw(self.pair.destination_port, self.pair.destination_port, method, path, body).await
    }

    async fn refused(&self, method: &'static str, path: &str, body: Option<&str>, code: u16, status: &str, text: &str) {
        let answer = self.destination(method, path, body).await;
        assert_eq!(answer.status_line, format!("HTTP/1.1 {code} {status}"), "{body:?}");
        assert_eq!(answer.header("content-type"), Some("application/json"));
        let expected = format!(r#"{{"status":"{status}","code":{code},"message":"{text}"}}"#);
        assert_eq!(answer.body, expected, "{body:?}");
    }
}

/// A request to the service at `port` for the host 127.0.0.1:`named`.
async fn raw(port: u16, named: u16, method: &'static str, path: &str, body: Option<&str>) -> RawAnswer {
    let (path, body) = (path.to_owned(), body.map(str::to_owned));
    let send = move || {
        let (address, host) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{named}"));
        exchange(&address, &host, method, &path, body.as_ref().map(String::as_bytes))
    };
    tokio::task::spawn_blocking(send).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_task_is_accepted_listed_shown_and_cancelled_as_the_contract_says() {
    let wire = Wire::start().await;
    let empty = wire.destination("GET", TASKS, None).await;
    assert_eq!((empty.code(), empty.body.as_str()), (200, "[]"));

    let body = r#"{"maxConcurrency":20,"digestAlgorithm":"xxhash32","seed":"7","other":[1]}"#;
    let created = wire.destination("POST", TASKS, Some(body)).await;
    assert_eq!(created.status_line, "HTTP/1.1 202 Accepted");
    assert_eq!(created.header("content-type"), Some("application/json"));
    assert_eq!(created.header("content-length"), Some(created.body.len().to_string().as_str()));
    let id = created.json()["taskId"].as_str().unwrap().to_owned();
    assert_eq!(uuid::Uuid::parse_str(&id).unwrap().get_version_num(), 1);
    assert_eq!(created.body, format!(r#"{{"taskId":"{id}","statusUrl":"{TASKS}/{id}"}}"#));

    let ended = wire.pair.wait(&id).await;
    // The source of this pair is called at a port where nobody listens; the status has every field all the same.
    let shown = wire.destination("GET", &format!("{TASKS}/{id}"), None).await;
    assert_eq!((shown.code(), shown.json()), (200, ended.clone()));
    assert!(
        shown.body.starts_with(&format!(r#"{{"id":"{id}","digestAlgorithm":"xxhash32","state":"FAILED","source":"#))
    );
    assert_eq!((&ended["source"], &ended["port"]), (&json!("127.0.0.1"), &json!(wire.pair.called_port)));
    let numbers = [
        "filesNotFoundAtSource",
        "filesNotFoundAtDestination",
        "metadataMatched",
        "metadataMismatches",
        "digestMismatches",
        "digestVerificationFailures",
        "filesMatched",
        "sourceRequests",
        "filesTotal",
        "filesHashed",
        "bytesTotal",
        "bytesHashed",
        "sourceFilesHashed",
        "sourceBytesHashed",
        "startedAt",
        "endedAt",
    ];
    assert!(numbers.iter().all(|field| ended[field].is_u64()), "{ended:#}");
    assert_eq!(ended["protocol"], "manifest");

    let listed = wire.destination("GET", TASKS, None).await;
    assert_eq!(listed.json(), json!([ended]));
    let patched = wire.destination("PATCH", &format!("{TASKS}/{id}"), None).await;
    assert_eq!((patched.code(), patched.json()), (200, ended), "a task that has ended stays as it is");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_task_requests_are_refused_with_the_contracts_texts() {
    let wire = Wire::start().await;
    let generic = "Failed to parse request body, please ensure that the request is valid.";
    for (body, text) in [
        ("", generic),
        ("{", generic),
        ("[]", generic),
        ("null", generic),
        (r#"{"digestAlgorithm":"MD5"}"#, generic),
        (r#"{"maxConcurrency":0,"digestAlgorithm":"MD5"}"#, generic),
        (r#"{"maxConcurrency":-1,"digestAlgorithm":"MD5"}"#, generic),
        (r#"{"maxConcurrency":"four","digestAlgorithm":"MD5"}"#, generic),
        (r#"{"maxConcurrency":4}"#, generic),
        (r#"{"maxConcurrency":4,"digestAlgorithm":null}"#, generic),
        (r#"{"maxConcurrency":4,"digestAlgorithm":""}"#, generic),
        (r#"{"maxConcurrency":4,"digestAlgorithm":"  "}"#, generic),
        (r#"{"maxConcurrency":21,"digestAlgorithm":"MD5"}"#, "max concurrency can not be more than 20"),
        (r#"{"maxConcurrency":2147483647,"digestAlgorithm":"MD5"}"#, "max concurrency can not be more than 20"),
        (r#"{"maxConcurrency":1,"digestAlgorithm":"SHA1"}"#, "Unsupported digest algorithm SHA1"),
    ] {
        wire.refused("POST", TASKS, Some(body), 400, "Bad Request", text).await;
    }
    wire.refused("POST", TASKS, None, 400, "Bad Request", generic).await;
    let text = "the request body is larger than 65536 bytes";
    wire.refused("POST", TASKS, Some(&" ".repeat(65537)), 413, "Payload Too Large", text).await;
    assert_eq!(wire.destination("GET", TASKS, None).await.body, "[]", "none of them made a task");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_algorithm_is_taken_in_any_case_and_told_as_it_was_spelled() {
    let wire = Wire::start().await;
    for spelled in ["MD5", "md5", "Md5", "XXHash32", "XXHASH32"] {
        let body = json!({ "maxConcurrency": 1, "digestAlgorithm": spelled }).to_string();
        let created = wire.destination("POST", TASKS, Some(&body)).await;
        assert_eq!(created.code(), 202, "{created:?}");
        let id = created.json()["taskId"].as_str().unwrap().to_owned();
        assert_eq!(wire.pair.wait(&id).await["digestAlgorithm"], spelled);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_tasks_routes_and_methods_are_refused_in_the_error_form() {
    let wire = Wire::start().await;
    let id = "2a7e0d4e-c7f0-11f0-8de9-0242ac120002";
    let unknown = [(id.to_owned(), id.to_owned()), ("x".to_owned(), "x".to_owned()), ("%ff".into(), "\u{fffd}".into())];
    for (sent, told) in unknown {
        let (path, found) = (format!("{TASKS}/{sent}"), format!("No task found with given id {told}"));
        wire.refused("GET", &path, None, 404, "Not Found", &found).await;
        wire.refused("GET", &format!("{path}/report"), None, 404, "Not Found", &found).await;
        let to_cancel = format!("No live migration task found with id {told}");
        wire.refused("PATCH", &path, None, 404, "Not Found", &to_cancel).await;
    }
    wire.refused("GET", "/api/v1/nothing", None, 404, "Not Found", "no such route").await;
    wire.refused("DELETE", TASKS, None, 405, "Method Not Allowed", "the route has no such method").await;
    let health = wire.destination("GET", "/api/v1/__health", None).await;
    assert_eq!((health.code(), health.body.as_str()), (200, r#"{"status":"OK"}"#));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_without_the_role_of_a_route_gets_the_bare_refusal() {
    let wire = Wire::start().await;
    let (source, destination) = (wire.pair.called_port, wire.pair.destination_port);
    let request = r#"{"maxConcurrency":1,"digestAlgorithm":"MD5"}"#;
    let manifest = r#"{"lowestVersion":1,"highestVersion":9,"maxConcurrency":1}"#;
    let task = format!("{TASKS}/x");
    for (named, method, path, body) in [
        (1, "POST", TASKS, Some(request)),
        (1, "GET", TASKS, None),
        (1, "POST", MANIFESTS, Some(manifest)),
        (source, "POST", TASKS, Some(request)),
        (source, "GET", TASKS, None),
        (source, "GET", &task, None),
        (source, "PATCH", &task, None),
        (destination, "POST", MANIFESTS, Some(manifest)),
    ] {
        for port in [wire.pair.source_port, destination] {
            let answer = raw(port, named, method, path, body).await;
            let told = (answer.code(), answer.body.as_str());
            assert_eq!(told, (404, r#"{"status":"Not Found"}"#), "{method} {path} as {named}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_task_is_refused_while_one_runs_and_taken_once_it_has_ended() {
    let trees = tempfile::tempdir().unwrap();
    endless_file(&trees.path().join("data/ks/table/nb-1-big-Data.db"));
    let port = crate::support::chaos_proxy::ChaosProxy::start().await;
    let pair = Pair::calling(port.port, trees.path(), trees.path()).await;
    port.set(crate::support::chaos_proxy::Mode::Forward(pair.source_port));
    let request = json!({ "maxConcurrency": 1, "digestAlgorithm": "MD5" });
    let first = pair.begin(&request).await;
    let text = "Another files digest verification is in progress for instance=1";
    let refusal = json!({ "status": "Conflict", "code": 409, "message": text });
    assert_eq!(pair.submit(&request).await, (409, refusal));
    let (_, cancelled) = pair.patch(&format!("/files-verification-tasks/{first}")).await;
    let second = pair.begin(&request).await;
    assert_eq!(pair.get(&format!("/files-verification-tasks/{first}")).await, (200, cancelled), "it still answers");
    let (_, listed) = pair.get("/files-verification-tasks").await;
    assert_eq!((listed.as_array().map(Vec::len), &listed[0]["id"]), (Some(1), &json!(second)));
    pair.patch(&format!("/files-verification-tasks/{second}")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_without_ports_are_told_apart_by_their_addresses() {
    let source = Listener::bind("127.0.0.1", 0).await.unwrap();
    let port = source.address().port();
    let Ok(destination) = Listener::bind("127.0.0.2", port).await else {
        missing("loopback", "127.0.0.2 cannot be bound");
        return;
    };
    let trees = tempfile::tempdir().unwrap();
    let mut running = Vec::new();
    plant(&trees.path().join("127.0.0.1"), 2, 2, 10);
    copy_tree(&trees.path().join("127.0.0.1"), &trees.path().join("127.0.0.2"));
    for (host, listener) in [("127.0.0.1", source), ("127.0.0.2", destination)] {
        let storage = trees.path().join(host);
        let yaml = format!(
            "cassandra_instances: [{{id: 1, host: {host}, storage_dir: {storage:?}}}]\n\
             sidecar: {{host: {host}, port: {port}}}\nlive_migration: {{migration_map: {{127.0.0.1: 127.0.0.2}}}}\n"
        );
        let config = Config::parse(&yaml, std::path::Path::new("sidecar.yaml"), None).unwrap();
        running.push(listener.serve(App::new(config).unwrap()));
    }
    let address = format!("127.0.0.2:{port}");
    let call = |host: &'static str, method: &'static str, path: String, body: Option<&'static str>| {
        let address = address.clone();
        let send = move || exchange(&address, host, method, &path, body.map(str::as_bytes));
        async move { tokio::task::spawn_blocking(send).await.unwrap() }
    };
    let request = r#"{"maxConcurrency":2,"digestAlgorithm":"MD5"}"#;
    assert_eq!(call("127.0.0.1", "POST", TASKS.to_owned(), Some(request)).await.body, r#"{"status":"Not Found"}"#);
    let created = call("127.0.0.2", "POST", TASKS.to_owned(), Some(request)).await.json();
    let task = created["statusUrl"].as_str().unwrap().to_owned();
    let id = created["taskId"].as_str().unwrap();
    running[1].app().tasks().task(1, id).unwrap().settled().await;
    let status: Value = call("127.0.0.2", "GET", task, None).await.json();
    assert_eq!((&status["state"], &status["filesMatched"]), (&json!("COMPLETED"), &json!(4)), "{status:#}");
    assert_eq!((&status["source"], &status["port"]), (&json!("127.0.0.1"), &json!(port)));
}
