//! A source of the per-file protocol, written from the API's contract alone: nothing of it comes from the product, so that
//! the two can disagree. It can be made unreliable, and counts what it is asked.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::UNIX_EPOCH;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_TYPE, ETAG, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue};
use axum::response::Response;
use base64::Engine as _;
use md5::Digest as _;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::random::Random;

const FILES: &str = "/api/v1/live-migration/files";

/// What a source does besides answering.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unreliable {
    /// Of a hundred requests so many are answered 503.
    pub busy: usize,
    /// Of a hundred requests for so many the connection is cut, before the answer or in the middle of it.
    pub cut: usize,
}

/// A running source. Clones are the same one.
#[derive(Clone)]
pub struct StockSource {
    pub port: u16,
    shared: Arc<Shared>,
}

struct Shared {
    roots: BTreeMap<String, PathBuf>,
    unreliable: Unreliable,
    random: Mutex<Random>,
    counts: Counts,
    /// Answers 200 with this body instead of a listing.
    listing: Mutex<Option<Vec<u8>>>,
    /// Answers 200 with this body instead of a digest.
    digest: Mutex<Option<String>>,
    /// Digests wait until this is false.
    holding: watch::Sender<bool>,
    /// Digests break off after this time, as where a service has a time-out.
    patience: Mutex<Option<std::time::Duration>>,
    /// So many more bodies of files break off in the middle.
    broken_bodies: AtomicU64,
    /// The next body of this file breaks off in the middle.
    broken_body: Mutex<Option<String>>,
    /// The ranges that were asked for, each with its condition.
    ranges: Mutex<Vec<(String, Option<String>)>>,
    /// What is done before a listing or a range is answered, by how many of them came before.
    before_listing: Mutex<BTreeMap<u64, Action>>,
    before_range: Mutex<Option<Action>>,
    /// What is done before each range of this file is answered.
    before_each_range: Mutex<Option<(String, RepeatedAction)>>,
    /// Files have validators, and conditions are understood.
    tags: AtomicBool,
    /// Names are written in ASCII, with `?` for every other byte.
    ascii: AtomicBool,
    /// Nothing at all is answered until this is false.
    silent: watch::Sender<bool>,
}

type Action = Box<dyn FnOnce() + Send>;
type RepeatedAction = Box<dyn FnMut() + Send>;

#[derive(Default)]
struct Counts {
    requests: AtomicU64,
    listings: AtomicU64,
    digests: AtomicU64,
    health: AtomicU64,
    busy: AtomicU64,
    cut: AtomicU64,
    connections: AtomicU64,
    under_way: AtomicU64,
    most_under_way: AtomicU64,
}

/// A request under way, also where its client hangs up.
struct UnderWay<'a>(&'a Counts);

impl<'a> UnderWay<'a> {
    fn begin(counts: &'a Counts) -> Self {
        let under_way = counts.under_way.fetch_add(1, SeqCst) + 1;
        counts.most_under_way.fetch_max(under_way, SeqCst);
        Self(counts)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.under_way.fetch_sub(1, SeqCst);
    }
}

impl StockSource {
    /// Serves these roots, such as `data/0`, on a free port of 127.0.0.1.
    pub async fn start(roots: BTreeMap<String, PathBuf>, unreliable: Unreliable, seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            roots,
            unreliable,
            random: Mutex::new(Random::new(seed)),
            counts: Counts::default(),
            listing: Mutex::default(),
            digest: Mutex::default(),
            holding: watch::Sender::new(false),
            patience: Mutex::default(),
            broken_bodies: AtomicU64::new(0),
            broken_body: Mutex::default(),
            ranges: Mutex::default(),
            before_listing: Mutex::default(),
            before_range: Mutex::default(),
            before_each_range: Mutex::default(),
            tags: AtomicBool::new(false),
            ascii: AtomicBool::new(false),
            silent: watch::Sender::new(false),
        });
        let router = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let listener = CountingListener { listener, shared: Arc::clone(&shared) };
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, shared }
    }

    /// Requests of any kind.
    pub fn requests(&self) -> u64 {
        self.shared.counts.requests.load(SeqCst)
    }

    /// Requests for a digest.
    pub fn digests(&self) -> u64 {
        self.shared.counts.digests.load(SeqCst)
    }

    /// Requests for the health of the service.
    pub fn health(&self) -> u64 {
        self.shared.counts.health.load(SeqCst)
    }

    /// How many requests were answered 503, and for how many the connection was cut.
    pub fn faults(&self) -> (u64, u64) {
        (self.shared.counts.busy.load(SeqCst), self.shared.counts.cut.load(SeqCst))
    }

    /// Whether digests wait, as those of large files do.
    pub fn hold_digests(&self, hold: bool) {
        self.shared.holding.send_replace(hold);
    }

    /// Whether nothing at all is answered, as by a host that has died.
    pub fn fall_silent(&self, silent: bool) {
        self.shared.silent.send_replace(silent);
    }

    /// From now on no digest is ready within this time, and its request is broken off then.
    pub fn give_up_digests_after(&self, patience: std::time::Duration) {
        *self.shared.patience.lock().unwrap() = Some(patience);
    }

    /// So many bodies of files will break off in the middle.
    pub fn break_bodies(&self, count: u64) {
        self.shared.broken_bodies.store(count, SeqCst);
    }

    /// The next body of the file of this name will break off in the middle.
    pub fn break_the_body_of(&self, name: &str) {
        *self.shared.broken_body.lock().unwrap() = Some(name.to_owned());
    }

    /// Does this before the listing is answered for the `number`th time, from 1.
    pub fn before_listing(&self, number: u64, action: impl FnOnce() + Send + 'static) {
        self.shared.before_listing.lock().unwrap().insert(number - 1, Box::new(action));
    }

    /// Does this before the first range of a file is answered.
    pub fn before_the_first_range(&self, action: impl FnOnce() + Send + 'static) {
        *self.shared.before_range.lock().unwrap() = Some(Box::new(action));
    }

    /// Does this before each range of the file of this name is answered.
    pub fn before_each_range_of(&self, name: &str, action: impl FnMut() + Send + 'static) {
        *self.shared.before_each_range.lock().unwrap() = Some((name.to_owned(), Box::new(action)));
    }

    /// From now on files have strong validators, and conditions are understood.
    pub fn name_validators(&self) {
        self.shared.tags.store(true, SeqCst);
    }

    /// From now on names are written in ASCII.
    pub fn write_ascii(&self) {
        self.shared.ascii.store(true, SeqCst);
    }

    /// The ranges that were asked for so far, each with its condition.
    pub fn ranges(&self) -> Vec<(String, Option<String>)> {
        self.shared.ranges.lock().unwrap().clone()
    }

    /// Requests for a digest that are under way now.
    pub fn under_way(&self) -> u64 {
        self.shared.counts.under_way.load(SeqCst)
    }

    /// Connections made.
    pub fn connections(&self) -> u64 {
        self.shared.counts.connections.load(SeqCst)
    }

    /// The most requests for a digest that were under way at a time.
    pub fn most_under_way(&self) -> u64 {
        self.shared.counts.most_under_way.load(SeqCst)
    }

    /// From now on the listing is this.
    pub fn lie_about_the_listing(&self, body: impl Into<Vec<u8>>) {
        *self.shared.listing.lock().unwrap() = Some(body.into());
    }

    /// From now on every digest is answered with this body.
    pub fn lie_about_digests(&self, body: &str) {
        *self.shared.digest.lock().unwrap() = Some(body.to_owned());
    }

    /// What the listing truly is.
    pub fn listing(&self) -> Value {
        self.shared.list()
    }
}

struct CountingListener {
    listener: TcpListener,
    shared: Arc<Shared>,
}

impl axum::serve::Listener for CountingListener {
    type Io = tokio::net::TcpStream;
    type Addr = std::net::SocketAddr;

    async fn accept(&mut self) -> (Self::Io, Self::Addr) {
        let accepted = self.listener.accept().await.unwrap();
        self.shared.counts.connections.fetch_add(1, SeqCst);
        accepted
    }

    fn local_addr(&self) -> std::io::Result<Self::Addr> {
        self.listener.local_addr()
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    shared.counts.requests.fetch_add(1, SeqCst);
    let _ = shared.silent.subscribe().wait_for(|silent| !silent).await;
    let (method, path) = (request.method().as_str().to_owned(), request.uri().path().to_owned());
    let query = request.uri().query().unwrap_or_default().to_owned();
    let chance = shared.random.lock().unwrap().below(100);
    if chance < shared.unreliable.busy {
        shared.counts.busy.fetch_add(1, SeqCst);
        let text = "Server is busy processing live migration file requests, please try again later";
        let mut busy = full_error(503, "Service Unavailable", text);
        if chance == 0 {
            busy.headers_mut().insert(RETRY_AFTER, "0".parse().unwrap());
        }
        return busy;
    }
    let cut = (shared.unreliable.busy..shared.unreliable.busy + shared.unreliable.cut).contains(&chance);
    if cut {
        shared.counts.cut.fetch_add(1, SeqCst);
    }
    match (method.as_str(), path.as_str()) {
        ("GET", "/api/v1/__health") => {
            shared.counts.health.fetch_add(1, SeqCst);
            body("application/json", json!({ "status": "OK" }).to_string().into(), cut)
        }
        ("GET", FILES) => {
            let before = shared.counts.listings.fetch_add(1, SeqCst);
            let action = shared.before_listing.lock().unwrap().remove(&before);
            action.into_iter().for_each(|action| action());
            let lie = shared.listing.lock().unwrap().clone();
            let listing = lie.unwrap_or_else(|| shared.list().to_string().into_bytes());
            body("application/json", listing, cut)
        }
        ("GET", path) if path.starts_with(&format!("{FILES}/")) => {
            let _under_way = UnderWay::begin(&shared.counts);
            // Lets others come in, so that the most of them under way is seen.
            tokio::task::yield_now().await;
            let _ = shared.holding.subscribe().wait_for(|hold| !hold).await;
            let patience = *shared.patience.lock().unwrap();
            if let Some(patience) = patience.filter(|_| !query.is_empty()) {
                tokio::time::sleep(patience).await;
                return body("application/json", b"{}".to_vec(), true);
            }
            shared.file(&path[FILES.len() + 1..], &query, cut, request.headers())
        }
        _ => response(404, "application/json", json!({ "status": "Not Found" }).to_string()),
    }
}

impl Shared {
    fn list(&self) -> Value {
        let mut files = Vec::new();
        for (root, home) in &self.roots {
            if home.exists() {
                // A configured directory that ends in a slash or holds two in a row gives the root an entry of its own.
                let configured = home.as_os_str().as_bytes();
                if configured.ends_with(b"/") || configured.windows(2).any(|two| two == b"//") {
                    let ms = modified_ms(&fs::metadata(home).unwrap());
                    let url = format!("{FILES}/{root}/");
                    files.push(json!({ "fileUrl": url, "size": -1, "fileType": "DIRECTORY", "lastModifiedTime": ms }));
                }
                let write = if self.ascii.load(SeqCst) { in_ascii } else { in_utf8 };
                list_directory(home, &format!("{FILES}/{root}"), write, &mut files);
            }
        }
        let total: i64 = files.iter().filter(|f| f["fileType"] == "FILE").map(|f| f["size"].as_i64().unwrap()).sum();
        json!({ "files": files, "totalSize": total })
    }

    fn file(&self, rest: &str, query: &str, cut: bool, asked: &HeaderMap) -> Response {
        if query.is_empty() && asked.contains_key("range") {
            self.before_range.lock().unwrap().take().into_iter().for_each(|action| action());
            let mut each = self.before_each_range.lock().unwrap();
            each.iter_mut().filter(|(name, _)| rest.ends_with(name.as_str())).for_each(|(_, action)| action());
        }
        let rest = unreserved_decoded(rest);
        let mut parts = rest.splitn(3, |byte| *byte == b'/');
        let mut part = || parts.next().unwrap_or_default();
        let root = [part(), part()].map(|part| String::from_utf8(part.to_vec()).unwrap()).join("/");
        let path = std::ffi::OsString::from_vec(part().to_vec());
        let Some(home) = self.roots.get(&root) else { return full_error(400, "Bad Request", "Invalid directory") };
        let path = home.join(path);
        if !path.exists() {
            return full_error(404, "Not Found", "File not found");
        }
        if !fs::metadata(&path).unwrap().is_file() {
            return full_error(500, "Internal Server Error", "not a file");
        }
        let Ok(bytes) = fs::read(&path) else { return full_error(500, "Internal Server Error", "not readable") };
        match query.strip_prefix("digestAlgorithm=") {
            None => {
                let mut broken = self.broken_body.lock().unwrap();
                let breaks = broken.take_if(|name| path.ends_with(name)).is_some();
                self.bytes(bytes, tag(&fs::metadata(&path).unwrap()), cut || breaks, asked)
            }
            Some(algorithm) => {
                self.counts.digests.fetch_add(1, SeqCst);
                let lie = self.digest.lock().unwrap().clone();
                let digest = json!({ "digest": digest(algorithm, &bytes), "digestAlgorithm": algorithm });
                body("application/json", lie.unwrap_or_else(|| digest.to_string()).into_bytes(), cut)
            }
        }
    }
}

impl Shared {
    /// A file's bytes, all of them or from some position on. Without validators there are no conditions either.
    fn bytes(&self, bytes: Vec<u8>, tag: String, cut: bool, asked: &HeaderMap) -> Response {
        let tag = self.tags.load(SeqCst).then_some(tag);
        let header = |name| asked.get(name).map(|value: &HeaderValue| value.to_str().unwrap().to_owned());
        let is_same = |condition: Option<String>| tag.is_some() && condition == tag;
        if is_same(header("if-none-match")) {
            return response(304, "application/octet-stream", Body::empty());
        }
        let mut from = 0;
        if let Some(range) = header("range").filter(|range| range.ends_with('-')) {
            self.ranges.lock().unwrap().push((range.clone(), header("if-range")));
            if tag.is_none() || header("if-range").is_none() || is_same(header("if-range")) {
                from = range.strip_prefix("bytes=").unwrap().trim_end_matches('-').parse().unwrap();
            }
        }
        let breaks = self.broken_bodies.fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1)).is_ok();
        let total = bytes.len();
        let sent = &bytes[from..];
        let body = if breaks || cut { broken_off(sent, false) } else { Body::from(sent.to_vec()) };
        let mut response = response(if from > 0 { 206 } else { 200 }, "application/octet-stream", body);
        if from > 0 {
            let range = format!("bytes {from}-{}/{total}", total - 1);
            response.headers_mut().insert("content-range", range.parse().unwrap());
        }
        response.headers_mut().extend(tag.map(|tag| (ETAG, tag.parse().unwrap())));
        response
    }
}

/// A strong validator: it changes with everything that writes to the file, or puts another one in its place.
fn tag(metadata: &fs::Metadata) -> String {
    let (ino, size) = (metadata.ino(), metadata.size());
    format!("\"{ino}-{size}-{}-{}-{}\"", metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec())
}

/// The text of a digest as the contract has it.
pub fn digest(algorithm: &str, bytes: &[u8]) -> String {
    match algorithm.to_ascii_uppercase().as_str() {
        "MD5" => base64::engine::general_purpose::STANDARD.encode(md5::Md5::digest(bytes)),
        _ => format!("{:x}", twox_hash::XxHash32::oneshot(0, bytes)),
    }
}

fn in_utf8(name: &[u8]) -> String {
    String::from_utf8_lossy(name).into_owned()
}

fn in_ascii(name: &[u8]) -> String {
    name.iter().map(|byte| if byte.is_ascii() { char::from(*byte) } else { '?' }).collect()
}

fn list_directory(directory: &Path, url: &str, write: fn(&[u8]) -> String, files: &mut Vec<Value>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let url = format!("{url}/{}", write(entry.file_name().as_bytes()));
        let target = fs::metadata(entry.path()).unwrap();
        let ms = modified_ms(&target);
        let (size, kind) = if target.is_dir() { (-1, "DIRECTORY") } else { (target.len() as i64, "FILE") };
        files.push(json!({ "fileUrl": url, "size": size, "fileType": kind, "lastModifiedTime": ms }));
        if entry.file_type().unwrap().is_dir() {
            list_directory(&entry.path(), &url, write, files);
        }
    }
}

/// Whole milliseconds, rounded down, before the epoch too.
fn modified_ms(metadata: &fs::Metadata) -> i64 {
    let time = metadata.modified().unwrap();
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_millis() as i64,
        Err(before) => -(before.duration().as_nanos().div_ceil(1_000_000) as i64),
    }
}

/// Only escapes of unreserved characters are read as those characters; everything else is taken as it stands.
fn unreserved_decoded(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut decoded = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let escape = (bytes[at] == b'%').then(|| text.get(at + 1..at + 3)).flatten();
        let byte = escape.and_then(|digits| u8::from_str_radix(digits, 16).ok());
        match byte.filter(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte)) {
            Some(byte) => {
                decoded.push(byte);
                at += 3;
            }
            None => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    decoded
}

fn full_error(code: u16, status: &str, message: &str) -> Response {
    let body = json!({ "status": status, "code": code, "message": message });
    response(code, "application/json", body.to_string())
}

fn response(code: u16, media_type: &str, body: impl Into<Body>) -> Response {
    Response::builder().status(code).header(CONTENT_TYPE, media_type).body(body.into()).unwrap()
}

/// 200; one that is cut breaks off, before its head or in the middle of its body.
fn body(media_type: &str, bytes: Vec<u8>, cut: bool) -> Response {
    if !cut {
        return response(200, media_type, bytes);
    }
    let before = bytes.len().is_multiple_of(3);
    response(200, media_type, broken_off(&bytes, before))
}

/// Half of a body, and then the end of the connection. `before`: not even the head gets out.
pub fn broken_off(bytes: &[u8], before: bool) -> Body {
    let half = Bytes::copy_from_slice(&bytes[..bytes.len() / 2]);
    Body::from_stream(async_stream::stream! {
        yield Ok::<_, std::io::Error>(half);
        if !before {
            // Without a pause the connection is closed before anything of the answer was written.
            tokio::task::yield_now().await;
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
        yield Err(std::io::Error::other("cut"));
    })
}
