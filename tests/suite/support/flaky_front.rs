//! What stands before a service and loses some of its answers: now and then it says 503, now and then it hangs up.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::response::Response;

use super::random::Random;
use super::stock_source::broken_off;

/// Listens on a free port of 127.0.0.1 and passes requests on to another one.
pub struct FlakyFront {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    to: u16,
    /// Of a hundred requests so many meet each of the two faults.
    percent: usize,
    random: Mutex<Random>,
    faults: Mutex<(u64, u64)>,
    http: reqwest::Client,
}

impl FlakyFront {
    pub async fn start(to: u16, percent: usize, seed: u64) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (random, faults) = (Mutex::new(Random::new(seed)), Mutex::default());
        let shared = Arc::new(Shared { to, percent, random, faults, http: reqwest::Client::new() });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, shared }
    }

    /// How many requests were answered 503, and for how many the connection was cut.
    pub fn faults(&self) -> (u64, u64) {
        *self.shared.faults.lock().unwrap()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let chance = shared.random.lock().unwrap().below(100);
    if chance < shared.percent {
        shared.faults.lock().unwrap().0 += 1;
        return Response::builder().status(503).header("Retry-After", "0").body(Body::from("busy")).unwrap();
    }
    if chance < 2 * shared.percent {
        shared.faults.lock().unwrap().1 += 1;
    }
    let (parts, body) = request.into_parts();
    let url = format!("http://127.0.0.1:{}{}", shared.to, parts.uri);
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let forwarded = shared.http.request(parts.method, url).headers(parts.headers).body(body).send().await.unwrap();
    let mut response = Response::builder().status(forwarded.status());
    response.headers_mut().unwrap().extend(forwarded.headers().clone());
    if chance >= 2 * shared.percent {
        return response.body(Body::from_stream(forwarded.bytes_stream())).unwrap();
    }
    let bytes = forwarded.bytes().await.unwrap();
    response.body(broken_off(&bytes, chance.is_multiple_of(2))).unwrap()
}
