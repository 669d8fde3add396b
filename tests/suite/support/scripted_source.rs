//! A source that answers what a test tells it to, and remembers what it was asked.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use twintree::protocol::{BRANCHES_MEDIA_TYPE, BranchFrame, MANIFEST_MEDIA_TYPE, ManifestFrame, encode_frame};

/// One answer.
#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub media_type: &'static str,
    pub body: Vec<u8>,
    pub ending: Ending,
}

/// What follows the bytes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// The body is complete as HTTP sees it.
    Clean,
    /// The connection is cut.
    Cut,
    /// Nothing more comes, and the connection stays.
    Stall,
    /// Not even the head comes.
    Silence,
}

impl Answer {
    pub fn new(status: u16, media_type: &'static str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, media_type, body: body.into(), ending: Ending::Clean }
    }

    /// A manifest stream of these bytes.
    pub fn manifest(body: impl Into<Vec<u8>>, ending: Ending) -> Self {
        Self { ending, ..Self::new(200, MANIFEST_MEDIA_TYPE, body) }
    }

    /// The answer to a branch request.
    pub fn branches(frames: &[BranchFrame]) -> Self {
        let bytes: Vec<u8> = frames.iter().flat_map(encode_frame).collect();
        Self::new(200, BRANCHES_MEDIA_TYPE, bytes)
    }
}

/// The bytes of frames.
pub fn bytes_of(frames: &[ManifestFrame]) -> Vec<u8> {
    frames.iter().flat_map(encode_frame).collect()
}

type Script = Box<dyn Fn(&str) -> Answer + Send>;

pub struct ScriptedSource {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    script: Mutex<Script>,
    asked: Mutex<Vec<String>>,
}

impl ScriptedSource {
    /// Answers 503 until it has a script.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let script: Script = Box::new(|_| Answer::new(503, "text/plain", "no script"));
        let shared = Arc::new(Shared { script: Mutex::new(script), asked: Mutex::default() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, shared }
    }

    /// From now on each request, told as `POST /path`, gets this answer.
    pub fn script(&self, script: impl Fn(&str) -> Answer + Send + 'static) {
        *self.shared.script.lock().unwrap() = Box::new(script);
    }

    /// What was asked so far, as `POST /path`.
    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().unwrap().clone()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let asked = format!("{} {}", request.method(), request.uri().path());
    let answer = (shared.script.lock().unwrap())(&asked);
    shared.asked.lock().unwrap().push(asked);
    // A destination that is still sending must not find the connection closed.
    let _ = axum::body::to_bytes(request.into_body(), usize::MAX).await;
    let ending = answer.ending;
    if ending == Ending::Silence {
        std::future::pending::<()>().await;
    }
    let bytes = Bytes::from(answer.body);
    let body = match ending {
        Ending::Clean => Body::from_stream(futures_util::stream::iter([Ok::<_, Infallible>(bytes)])),
        Ending::Cut | Ending::Stall | Ending::Silence => Body::from_stream(async_stream::stream! {
            yield Ok(bytes);
            // The bytes must be on the wire before the connection goes.
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
            if ending == Ending::Stall {
                std::future::pending::<()>().await;
            }
            yield Err(std::io::Error::other("cut"));
        }),
    };
    let status = StatusCode::from_u16(answer.status).unwrap();
    Response::builder().status(status).header(CONTENT_TYPE, answer.media_type).body(body).unwrap()
}
