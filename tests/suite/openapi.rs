//! The OpenAPI document says what is served: every route with every method, and no answer that it does not describe.

use std::process::Command;

use serde_json::Value;
use twintree::protocol::routes;

use crate::support::has_program;
use crate::support::raw_http::exchange;
use crate::support::services::{Pair, storage_dirs};
use crate::support::trees::{copy_tree, plant};

/// A pair that can keep everything it may be asked to.
struct Served {
    pair: Pair,
    _trees: tempfile::TempDir,
}

impl Served {
    async fn start() -> Self {
        let trees = tempfile::tempdir().unwrap();
        let (s, d) = (trees.path().join("source"), trees.path().join("destination"));
        plant(&s, 2, 3, 50);
        copy_tree(&s, &d);
        let (mut left, mut right) = (s.display().to_string(), d.display().to_string());
        let mut setup = storage_dirs(&mut left, &mut right);
        let staging = |roots: &str, side| format!("{roots}\nstaging_dir: {:?}", trees.path().join(side));
        let (s, d) = (staging(setup.source_roots, "s-staging"), staging(setup.destination_roots, "d-staging"));
        let state = format!("twintree: {{state_dir: {:?}}}", trees.path().join("state"));
        (setup.source_roots, setup.destination_roots, setup.destination_extra) = (&s, &d, &state);
        Self { pair: Pair::start(setup).await, _trees: trees }
    }

    async fn document(&self) -> Value {
        let url = format!("http://127.0.0.1:{}{}", self.pair.source_port, routes::OPENAPI);
        reqwest::get(url).await.unwrap().json().await.unwrap()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_is_described_with_exactly_its_methods() {
    let served = Served::start().await;
    let document = served.document().await;
    let described = document["paths"].as_object().unwrap();
    let file = routes::FILE.replace("{*path}", "{dirType}/{dirIndex}/{path}");
    let all = [
        routes::HEALTH,
        routes::OPENAPI,
        routes::METRICS,
        routes::TASKS,
        routes::TASK,
        routes::TASK_REPORT,
        routes::TASK_EVENTS,
        routes::FILES,
        &file,
        routes::STATUS,
        routes::DATA_COPIES,
        routes::DATA_COPY,
        routes::MANIFESTS,
        routes::MANIFEST,
        routes::BRANCHES,
    ];
    for route in all {
        let methods = described.get(route).unwrap_or_else(|| panic!("{route} is not described"));
        let path = route.replace("{dirType}/{dirIndex}/{path}", "data/0/x").replace(['{', '}'], "");
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            let (address, path) = (format!("127.0.0.1:{}", served.pair.source_port), path.clone());
            let answer = tokio::task::spawn_blocking(move || exchange(&address, &address, method, &path, None));
            let known = methods.get(method.to_ascii_lowercase()).is_some();
            assert_eq!(answer.await.unwrap().code() != 405, known, "{method} {route}");
        }
    }
    assert_eq!(described.len(), all.len(), "{described:#?}");
}

/// Both roles, and last what ends all other work. Needs the program `schemathesis`, which `.ci/run` installs.
#[tokio::test(flavor = "multi_thread")]
async fn schemathesis_finds_no_answer_outside_of_the_document_and_no_failure() {
    if !has_program("schemathesis", "schemathesis") {
        return;
    }
    let served = Served::start().await;
    let status = ["--include-path", routes::STATUS];
    let rest = ["--exclude-path", routes::STATUS];
    for only in [rest, status] {
        for port in [served.pair.source_port, served.pair.destination_port] {
            let run = move || {
                let directory = tempfile::tempdir().unwrap();
                let mut command = Command::new("schemathesis");
                command.current_dir(directory.path());
                command.args(["--no-color", "run", &format!("http://127.0.0.1:{port}{}", routes::OPENAPI)]);
                let checks = "not_a_server_error,status_code_conformance,content_type_conformance,\
                              response_headers_conformance,response_schema_conformance";
                command.args(["--checks", checks, "--seed", "1", "--max-examples", "40", "--continue-on-failure"]);
                command.args(["--warnings", "off", "--suppress-health-check", "all"]).args(only);
                command.output().unwrap()
            };
            let output = tokio::task::spawn_blocking(run).await.unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{only:?} {said}\n{}", String::from_utf8_lossy(&output.stderr));
            assert!(said.contains("passed"), "nothing was tried: {said}");
        }
    }
}
