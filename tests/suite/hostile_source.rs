//! Sources that never end, or never get done: what a destination takes of them is bounded, in memory and in time, and the error
//! says of whom, for what, and by how much.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::response::Response;
use futures_util::StreamExt as _;
use tokio_util::io::{StreamReader, SyncIoBridge};
use twintree::manifest::{Directory, DirectoryIndex, Identity, SubtreeHash, Writer};
use twintree::model::{DigestAlgorithm, FileUrl, Name, Problem, Reason, RelPath, RootId};
use twintree::net::{Endpoint, RetryPolicy};
use twintree::peer::{Allowance, DigestFailure, Exchange, ListingError, Peer, PeerError, PeerSettings, read_listing};
use twintree::protocol::{
    Frame, FrameError, FrameReader, Hello, MANIFEST_MEDIA_TYPE, ManifestFrame, ManifestRequest, ProgressFrame,
    RootFrame, encode_frame,
};

const FILES: &str = "/api/v1/live-migration/files";
const MANIFESTS: &str = "/api/v1/live-migration/manifests";

/// Sends a head, and then for ever what `next` makes of the number of the piece; all but the health of the service.
struct Endless {
    port: u16,
    sent: Arc<AtomicU64>,
}

impl Endless {
    async fn start(
        head: Vec<u8>,
        pause: Duration,
        next: impl Fn(u64) -> Vec<u8> + Clone + Send + Sync + 'static,
    ) -> Self {
        let sent: Arc<AtomicU64> = Arc::default();
        let counted = Arc::clone(&sent);
        let answer = move |request: Request| {
            let (head, next, counted) = (head.clone(), next.clone(), Arc::clone(&counted));
            let stream = async_stream::stream! {
                yield Ok::<_, std::io::Error>(Bytes::from(head));
                for number in 0.. {
                    tokio::time::sleep(pause).await;
                    let piece = Bytes::from(next(number));
                    counted.fetch_add(piece.len() as u64, SeqCst);
                    yield Ok(piece);
                }
            };
            let media_type = if request.uri().path() == MANIFESTS { MANIFEST_MEDIA_TYPE } else { "application/json" };
            let body =
                if request.uri().path().ends_with("__health") { Body::empty() } else { Body::from_stream(stream) };
            async move { Response::builder().header(CONTENT_TYPE, media_type).body(body).unwrap() }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, axum::Router::new().fallback(answer)).await });
        Self { port, sent }
    }

    fn peer(&self, allowance: u64, patience: Duration) -> Peer {
        let settings = PeerSettings {
            policy: RetryPolicy::default(),
            connect_timeout: Duration::from_secs(5),
            idle_timeout: Duration::from_secs(5),
            patience,
            allowance: Allowance::new(allowance),
            max_idle_connections: 1,
        };
        Peer::new(Endpoint::http("127.0.0.1", self.port), settings).unwrap()
    }

    async fn exchange(&self, allowance: u64, patience: Duration) -> PeerError {
        let request = ManifestRequest {
            lowest_version: 3,
            highest_version: 3,
            roots: None,
            rules_fingerprint: None,
            keyspaces: None,
            max_concurrency: 1,
            task: None,
            resume: None,
        };
        Exchange::new(self.peer(allowance, patience), request).run().await.unwrap_err()
    }

    async fn listing(&self, allowance: u64, patience: Duration) -> PeerError {
        let peer = self.peer(allowance, patience);
        let listed = peer.listing(|chunks, held| async move {
            let reader = SyncIoBridge::new(StreamReader::new(chunks.boxed()));
            let read = tokio::task::spawn_blocking(move || read_listing(reader, held)).await;
            read.unwrap_or_else(|died| Err(ListingError::Interrupted(died.to_string())))
        });
        listed.await.map(drop).unwrap_err()
    }

    /// The error names the peer, what it was asked for, and the limit.
    #[track_caller]
    fn assert_named(&self, error: &PeerError, path: &str, cause: &str) {
        let expected = format!("127.0.0.1:{}{path}: {cause}", self.port);
        assert!(error.to_string().starts_with(&expected), "{error}");
    }
}

const LONG: Duration = Duration::from_secs(3600);
const NO_PAUSE: Duration = Duration::ZERO;
const ALLOWANCE: u64 = 4 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_without_end_is_given_up_when_it_is_too_much() {
    let entry = |path: &str, kind, size: i64| {
        format!(r#"{{"fileUrl":"{FILES}/data/0/{path}","size":{size},"fileType":"{kind}","lastModifiedTime":5}},"#)
    };
    let unverified = |number: u64| {
        let (url, detail) = (format!("{FILES}/data/0/{number:030}"), "x".repeat(20_000));
        format!(r#"{{"fileUrl":"{url}","reason":"unreadable","detail":"{detail}"}},"#)
    };
    let files = Endless::start(br#"{"files":["#.to_vec(), NO_PAUSE, move |number| {
        (0..1000).map(|of| entry(&format!("{number:020}-{of}"), "FILE", 1)).collect::<String>().into()
    });
    let directories = Endless::start(br#"{"files":["#.to_vec(), NO_PAUSE, move |number| {
        (0..1000).map(|of| entry(&format!("{number:020}-{of}"), "DIRECTORY", -1)).collect::<String>().into()
    });
    let problems =
        Endless::start(br#"{"files":[],"unverified":["#.to_vec(), NO_PAUSE, move |number| unverified(number).into());
    for source in [files.await, directories.await, problems.await] {
        let error = source.listing(ALLOWANCE, LONG).await;
        source.assert_named(
            &error,
            FILES,
            "it sends too much: it is more than the 4194304 bytes that may be held of a source",
        );
        // What lies in the buffers of the connection is no more than some megabytes; cut texts weigh less than they are long.
        assert!(source.sent.load(SeqCst) < 100 << 20, "{}", source.sent.load(SeqCst));
    }
}

fn hello() -> Vec<u8> {
    let identity = Identity {
        host: "h".to_owned(),
        instance: "i".to_owned(),
        created_ms: 1,
        program: "p".to_owned(),
        rules: [0; 32],
        file_patterns: Vec::new(),
        directory_patterns: Vec::new(),
        selection: None,
    };
    encode_frame(&ManifestFrame::Hello(Hello { protocol_version: 3, manifest_id: [1; 16], identity })).to_vec()
}

/// A root with very many directories is announced.
fn announced() -> Vec<u8> {
    let root = ManifestFrame::Root(RootFrame { directory_type: 0, index: 0, directories: Some(1 << 23) });
    [hello(), encode_frame(&root).to_vec()].concat()
}

fn directories(number: u64, count: u64, detail: &str) -> Vec<u8> {
    let directory = |at: u64| Directory {
        parent: DirectoryIndex::ROOT,
        name: (number + at > 0).then(|| Name::new(format!("{number:010}-{at:06}").as_bytes()).unwrap()),
        link: false,
        files: 0,
        bytes: 0,
        metadata: SubtreeHash::Unproven,
        // A hostile source does not cut them.
        unlisted: (!detail.is_empty()).then(|| Problem { reason: Reason::Unreadable, detail: detail.to_owned() }),
    };
    encode_frame(&ManifestFrame::Directories((0..count).map(directory).collect())).to_vec()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_directories_with_long_problems_is_given_up_when_it_is_too_much() {
    let long = "x".repeat(50_000);
    let problems = Endless::start(announced(), NO_PAUSE, move |number| directories(number, 100, &long));
    let names = Endless::start(announced(), NO_PAUSE, |number| directories(number, 4096, ""));
    for source in [problems.await, names.await] {
        let error = source.exchange(ALLOWANCE, LONG).await;
        let cause = "it sends too much: it is more than the 4194304 bytes that may be held of a source";
        source.assert_named(&error, MANIFESTS, cause);
    }
}

/// A keyspace and so many tables, none of which could be listed: the smallest directories there are.
fn tables(count: u32) -> Vec<u8> {
    let directory = |at: u32| Directory {
        parent: DirectoryIndex(at.min(2).saturating_sub(1)),
        name: (at > 0).then(|| Name::new(format!("{at:06}").as_bytes()).unwrap()),
        link: false,
        files: 0,
        bytes: 0,
        metadata: SubtreeHash::Unproven,
        unlisted: (at > 1).then(|| Problem { reason: Reason::Unreadable, detail: String::new() }),
    };
    let root = RootFrame { directory_type: 0, index: 0, directories: Some(count + 2) };
    let directories: Vec<Directory> = (0..count + 2).map(directory).collect();
    let pages = directories.chunks(4096).map(|page| ManifestFrame::Directories(page.to_vec()));
    let frames = std::iter::once(ManifestFrame::Root(root)).chain(pages).chain([ManifestFrame::MetadataEnd]);
    frames.fold(hello(), |bytes, frame| [bytes, encode_frame(&frame).to_vec()].concat())
}

/// The sums of many tables take more than the tables themselves.
#[tokio::test(flavor = "multi_thread")]
async fn tables_count_with_what_is_summed_up_of_them() {
    let busy = |_| encode_frame(&ManifestFrame::Progress(ProgressFrame::default())).to_vec();
    let few = Endless::start(tables(1000), Duration::from_millis(5), busy).await;
    let error = few.exchange(ALLOWANCE, Duration::from_millis(300)).await;
    few.assert_named(&error, MANIFESTS, "it keeps the connection alive and brings nothing");
    let many = Endless::start(tables(4000), Duration::from_millis(5), busy).await;
    let error = many.exchange(ALLOWANCE, LONG).await;
    many.assert_named(
        &error,
        MANIFESTS,
        "it sends too much: it is more than the 4194304 bytes that may be held of a source",
    );
}

/// A frame of a kind that nobody knows yet.
struct Unknown;

impl Frame for Unknown {
    fn write(&self) -> (u32, Writer) {
        (99, Writer::default())
    }

    fn read(_: u32, _: &mut FrameReader<'_>) -> Result<Option<Self>, FrameError> {
        Ok(None)
    }
}

/// One that is busy for ever, one that sends frames that nobody knows, one that sends the bytes of a frame one by one, one that lists a directory now and then: none
/// of them is ever silent.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_brings_next_to_nothing_is_given_up() {
    const PATIENCE: Duration = Duration::from_millis(300);
    let pause = Duration::from_millis(5);
    let progress = |files| {
        let busy = ProgressFrame { files_total: files, bytes_total: files, files_hashed: files, bytes_hashed: files };
        encode_frame(&ManifestFrame::Progress(busy)).to_vec()
    };
    let busy = Endless::start(hello(), pause, progress);
    let unknown = Endless::start(hello(), pause, |_| encode_frame(&Unknown).to_vec());
    let trickling = Endless::start([hello(), vec![255, 255, 0, 0]].concat(), pause, |_| vec![0]);
    // Each directory is worth 100 ms.
    let slow = Endless::start(announced(), Duration::from_millis(400), |number| directories(number, 1, ""));
    for source in [busy.await, unknown.await, trickling.await, slow.await] {
        let error = source.exchange(1 << 30, PATIENCE).await;
        source.assert_named(&error, MANIFESTS, "it keeps the connection alive and brings nothing, or next to nothing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_of_spaces_and_a_digest_of_spaces_are_given_up() {
    const PATIENCE: Duration = Duration::from_millis(300);
    let spaces = Endless::start(Vec::new(), Duration::from_millis(5), |_| b" ".to_vec()).await;
    let error = spaces.listing(1 << 30, PATIENCE).await;
    assert!(error.to_string().contains("it comes so slowly that it never ends"), "{error}");
    let file = FileUrl::new(RootId::DATA_0, RelPath::new(b"x").unwrap());
    let failed = spaces.peer(1 << 30, PATIENCE).digest(&file, 7, DigestAlgorithm::Md5).await;
    let Err(DigestFailure::Outage(error)) = failed else { panic!("{failed:?}") };
    let cause = "it keeps the connection alive and brings nothing, or next to nothing; given up after 0 s";
    spaces.assert_named(&error, &format!("{FILES}/data/0/x"), cause);
}
