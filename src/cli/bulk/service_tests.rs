//! What is remembered of a task that may have begun.

use super::*;
use crate::bulk::Plan;
use std::io::{Read as _, Write as _};
use std::path::Path;

/// A service that has no task to list, and what is known of a comparison at it that may have begun.
fn not_listed() -> Service {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let answer =
                "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\nconnection: close\r\n\r\n[]";
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    let plan = Plan::parse(&format!("comparisons: [{{service: '{address}'}}]"), Path::new("p")).unwrap();
    let comparison = &plan.comparisons[0];
    let crate::bulk::What::Service(endpoint) = &comparison.what else { panic!() };
    let client = TaskClient::new(endpoint.clone()).unwrap();
    let begun = Begun { fingerprint: comparison.fingerprint(), before: None, task: None };
    Service::new(comparison, client, Some(begun), (None, None, Stop::never()))
}

#[tokio::test]
async fn a_task_that_may_still_begin_is_not_forgotten() {
    let service = not_listed();
    service.cancel().await.unwrap();
    assert!(service.has_begun());
}

#[test]
fn only_the_service_itself_refuses() {
    let refuses = |status| {
        let endpoint = Endpoint::http("h", 1);
        is_refusal(&CallError::Status { endpoint, status, message: String::new(), retry_after: None })
    };
    assert!([400, 404, 409, 429].into_iter().all(refuses));
    assert!(![408, 499, 500, 502, 503, 504].into_iter().any(refuses));
}
