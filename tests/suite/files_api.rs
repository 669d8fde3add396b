//! The per-file routes and the status of the migration as bytes on the wire, and what a client that hangs up gives back.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;

use crate::support::raw_http::{RawAnswer, exchange};
use crate::support::services::{Pair, md5_request};
use crate::support::trees::{copy_tree, endless_file};

const API: &str = "/api/v1/live-migration";

/// A pair over a small tree, and requests to its source.
struct Files {
    pair: Pair,
    trees: tempfile::TempDir,
}

impl Files {
    async fn start(live_migration: &str) -> Self {
        let trees = tempfile::tempdir().unwrap();
        let source = trees.path().join("source");
        let table = source.join("data/ks/t-1");
        std::fs::create_dir_all(table.join("snapshots/s")).unwrap();
        std::fs::write(table.join("nb-1-big-Data.db"), "0123456789").unwrap();
        std::fs::write(table.join("snapshots/s/x.db"), "kept for later").unwrap();
        std::fs::write(table.join("50% a+b é#?.db"), "").unwrap();
        copy_tree(&source, &trees.path().join("destination"));
        let (mut s, mut d) = (source.display().to_string(), trees.path().join("destination").display().to_string());
        let mut setup = crate::support::services::storage_dirs(&mut s, &mut d);
        let staging = |roots: &str, side| format!("{roots}\nstaging_dir: {:?}", trees.path().join(side));
        let (s, d) = (staging(setup.source_roots, "ss"), staging(setup.destination_roots, "ds"));
        (setup.source_roots, setup.destination_roots, setup.live_migration) = (&s, &d, live_migration);
        Self { pair: Pair::start(setup).await, trees }
    }

    async fn ask(&self, method: &'static str, path: &str) -> RawAnswer {
        ask(self.pair.source_port, method, path).await
    }
}

async fn ask(port: u16, method: &'static str, path: &str) -> RawAnswer {
    let (address, path) = (format!("127.0.0.1:{port}"), format!("{API}{path}"));
    tokio::task::spawn_blocking(move || exchange(&address, &address, method, &path, None)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_listing_names_every_entry_with_size_time_and_type() {
    let files = Files::start("").await;
    let home = files.trees.path().join("source/data");
    std::os::unix::fs::symlink("nothing", home.join("ks/dangling")).unwrap();
    let answer = files.ask("GET", "/files").await;
    assert_eq!((answer.code(), answer.header("content-type")), (200, Some("application/json")));
    let listing = answer.json();
    let ms = |path: &str| {
        let time = std::fs::metadata(home.join(path)).unwrap().modified().unwrap();
        time.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64
    };
    let entry = |path: &str, size: i64, kind: &str| json!({ "fileUrl": format!("{API}/files/data/0/{path}"), "size": size, "fileType": kind, "lastModifiedTime": ms(path) });
    let expected = [
        entry("ks", -1, "DIRECTORY"),
        entry("ks/t-1", -1, "DIRECTORY"),
        entry("ks/t-1/50% a+b é#?.db", 0, "FILE"),
        entry("ks/t-1/nb-1-big-Data.db", 10, "FILE"),
    ];
    assert_eq!(listing["files"], json!(expected), "snapshots are left out by default");
    assert_eq!(listing["totalSize"], 10);
    let unverified = &listing["unverified"][0];
    assert_eq!(
        (&unverified["fileUrl"], &unverified["reason"]),
        (&json!(format!("{API}/files/data/0/ks/dangling")), &json!("unreadable"))
    );
    std::fs::remove_file(home.join("ks/dangling")).unwrap();
    let start = format!(
        r#"{{"files":[{{"fileUrl":"{API}/files/data/0/ks","size":-1,"fileType":"DIRECTORY","lastModifiedTime":"#
    );
    let body = files.ask("GET", "/files").await.body;
    assert!(body.starts_with(&start) && body.ends_with(r#"}],"totalSize":10}"#), "{body}");
    assert_eq!(ask(files.pair.destination_port, "GET", "/files").await.code(), 200, "a destination lists too");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_and_digests_are_served_under_raw_and_encoded_names() {
    let files = Files::start("files_to_exclude: ['glob:**/*.tmp']").await;
    std::fs::write(files.trees.path().join("source/data/ks/x.tmp"), "x").unwrap();
    let get = |path: &'static str| files.ask("GET", path);
    let whole = get("/files/data/0/ks/t-1/nb-1-big-Data.db").await;
    assert_eq!((whole.code(), whole.body.as_str()), (200, "0123456789"));
    assert_eq!(whole.header("content-type"), Some("application/octet-stream"));
    assert_eq!((whole.header("content-length"), whole.header("accept-ranges")), (Some("10"), Some("bytes")));
    let digest = get("/files/data/0/ks/t%2D1/nb-1-big-Data.db?digestAlgorithm=md5").await;
    assert_eq!(digest.body, r#"{"digest":"eB5eJF1ptWaXm4bijSPyxw==","digestAlgorithm":"md5"}"#);
    let encoded = "/files/data/0/ks/t-1/50%25%20a+b%20%C3%A9%23%3F.db?digestAlgorithm=XXHash32";
    assert_eq!(get(encoded).await.body, r#"{"digest":"2cc5d05","digestAlgorithm":"XXHash32"}"#);
    for (path, code, message) in [
        ("/files/data/0/ks/t-1/snapshots/s/x.db", 404, "Requested path is excluded from live migration"),
        ("/files/data/0/ks/x.tmp", 404, "Requested path is excluded from live migration"),
        ("/files/data/0/ks/none", 404, "File not found"),
        ("/files/data/0/ks", 400, "Cannot transfer directory"),
        ("/files/data/1/k%20s", 404, "File url /api/v1/live-migration/files/data/1/k s is unknown."),
        ("/files/data/-1/ks", 400, "Invalid directoryIndex: -1"),
        ("/files/data/0/ks/t-1/50%%20a+b%20é%23%3F.db", 400, "Malformed request path"),
        ("/files/date/0/ks", 400, "Invalid directory type: date"),
        ("/files/data/0/ks/../x", 400, "Tried to access file using relative path: ks/../x"),
        ("/files/data/0/ks/t-1/nb-1-big-Data.db?digestAlgorithm=SHA1", 400, "Unsupported digest algorithm SHA1"),
    ] {
        let answer = get(path).await;
        assert_eq!((answer.code(), &answer.json()["message"]), (code, &json!(message)), "{path}");
        assert_eq!(answer.json()["code"], code);
    }
    let destination = ask(files.pair.destination_port, "GET", "/files/data/0/ks/t-1/nb-1-big-Data.db").await;
    assert_eq!((destination.code(), destination.body.as_str()), (404, r#"{"status":"Not Found"}"#));
}

/// What a stock client sends: the name as the listing gave it, whatever stands in it. Where the same path decoded names another
/// file, the literal one is meant; where it names none, the path was percent-encoded.
#[tokio::test(flavor = "multi_thread")]
async fn a_name_is_served_as_it_is_sent_and_its_encoded_form_too() {
    let files =
        Files::start("files_to_exclude: ['glob:**/*%43*', 'glob:**/*.tmp']\ndirs_to_exclude: ['glob:**/left-out']")
            .await;
    let table = files.trees.path().join("source/data/ks/t-1");
    let write = |name: &str| {
        std::fs::create_dir_all(table.join(name).parent().unwrap()).unwrap();
        std::fs::write(table.join(name), name).unwrap();
    };
    let literal = [
        "nb-1-big-SAI+aa+idx+TermsData.db",
        "a;b:c@d&e=f,g$h!i(j)k'l*m",
        "a%2Fb",
        "a%20b",
        "x%41",
        "100%",
        "%zz",
        "%2e%2e",
    ];
    literal.into_iter().for_each(write);
    for name in literal {
        let answer = files.ask("GET", &format!("/files/data/0/ks/t-1/{name}")).await;
        assert_eq!((answer.code(), answer.body.as_str()), (200, name));
        let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
        let answer = files.ask("GET", &format!("/files/data/0/ks/t-1/{encoded}")).await;
        assert_eq!((answer.code(), answer.body.as_str()), (200, name), "{encoded}");
    }
    let answer = async |path: &str| {
        let answer = files.ask("GET", &format!("/files/data/0/ks/t-1/{path}")).await;
        let text =
            if answer.code() == 200 { answer.body } else { answer.json()["message"].as_str().unwrap().to_owned() };
        (answer.status_line[9..12].to_owned(), text)
    };
    // The literal name wins over what it would be decoded; without it the decoded one is found.
    ["a/b", "a b", "xA"].into_iter().for_each(write);
    for name in ["a%2Fb", "a%20b", "x%41"] {
        assert_eq!(answer(name).await, ("200".to_owned(), name.to_owned()));
        std::fs::remove_file(table.join(name)).unwrap();
    }
    for (sent, name) in [("a%2Fb", "a/b"), ("a%20b", "a b"), ("x%41", "xA")] {
        assert_eq!(answer(sent).await, ("200".to_owned(), name.to_owned()));
    }
    // A directory is no file.
    std::fs::create_dir(table.join("a%20b")).unwrap();
    assert_eq!(answer("a%20b").await, ("200".to_owned(), "a b".to_owned()));
    std::fs::create_dir(table.join("dir%20")).unwrap();
    assert_eq!(answer("dir%20").await, ("400".to_owned(), "Cannot transfer directory".to_owned()));
    // What one reading leaves out no other spelling opens, and the client gets no other file in its place.
    ["left-out/f", "f.tmp", "x%43", "xC", "yC"].into_iter().for_each(write);
    let excluded = ("404".to_owned(), "Requested path is excluded from live migration".to_owned());
    for sent in [
        "left-out/f",
        "left%2Dout/f",
        "left-out%2Ff",
        "%6Ceft-out/%66",
        "f.tmp",
        "f%2Etmp",
        "f.%74mp",
        "x%43",
        "x%2543",
    ] {
        assert_eq!(answer(sent).await, excluded, "{sent}");
    }
    assert_eq!(answer("y%43").await, ("200".to_owned(), "yC".to_owned()), "nothing that is left out has this name");
    for climbing in ["%2e%2e/x", "..%2fx", "a/%2E./x", "%2E/x"] {
        assert_eq!(answer(climbing).await.0, "400", "{climbing}");
    }
}

/// `RESOLVE_BENEATH` alone refuses such links; the Sidecar compares real paths, and serves them.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread")]
async fn a_link_with_an_absolute_target_inside_the_root_is_served() {
    let files = Files::start("").await;
    let data = files.trees.path().join("source/data");
    std::fs::write(files.trees.path().join("outside"), "secret").unwrap();
    std::os::unix::fs::symlink(data.join("ks/t-1/nb-1-big-Data.db"), data.join("ks/in")).unwrap();
    std::os::unix::fs::symlink(data.join("ks"), data.join("in")).unwrap();
    std::os::unix::fs::symlink(files.trees.path().join("outside"), data.join("ks/out")).unwrap();
    for path in ["ks/in", "in/in", "in/t-1/nb-1-big-Data.db"] {
        let answer = files.ask("GET", &format!("/files/data/0/{path}")).await;
        assert_eq!((answer.code(), answer.body.as_str()), (200, "0123456789"), "{path}");
    }
    for path in ["ks/out", "in/out"] {
        let answer = files.ask("GET", &format!("/files/data/0/{path}")).await;
        assert_eq!((answer.code(), &answer.json()["message"]), (403, &json!("Resolved path escapes base directory")));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unlistable_directory_fails_a_listing_and_is_named() {
    let files = Files::start("").await;
    // A root that is no directory cannot be listed, whoever runs the test.
    std::fs::write(files.trees.path().join("source/hints"), "").unwrap();
    let answer = files.ask("GET", "/files").await;
    assert_eq!(answer.code(), 500);
    let message = answer.json()["message"].as_str().unwrap().to_owned();
    assert!(message.contains("hints/0/ could not be listed: Not a directory"), "{message}");
}

/// Starts a digest of a file that takes hours.
fn begin_endless_digest(port: u16) -> TcpStream {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    let path = format!("{API}/files/commitlog/0/CommitLog-7-1.log?digestAlgorithm=MD5");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").unwrap();
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_gives_its_permit_back_and_stops_its_hash() {
    let files = Files::start("max_concurrent_file_requests: 2").await;
    endless_file(&files.trees.path().join("source/commitlog/CommitLog-7-1.log"));
    let port = files.pair.source_port;
    let small = "/files/data/0/ks/t-1/nb-1-big-Data.db?digestAlgorithm=MD5";
    let mut held = vec![begin_endless_digest(port), begin_endless_digest(port)];
    // A request is counted before it takes its permit, so only a refusal says that both are taken; and while this asks, it may
    // hold the permit that one of those would have had, so that another one has to come.
    let mut busy = files.ask("GET", small).await;
    for _ in 0..1000 {
        if busy.code() == 503 {
            break;
        }
        held.push(begin_endless_digest(port));
        tokio::time::sleep(Duration::from_millis(5)).await;
        busy = files.ask("GET", small).await;
    }
    assert_eq!((busy.code(), busy.header("retry-after")), (503, Some("5")));
    let text = "Server is busy processing live migration file requests, please try again later";
    assert_eq!(busy.json()["message"], text);
    drop(held);
    // The permit is held until the hashing has stopped, so that it comes back proves both.
    for attempt in 0.. {
        if files.ask("GET", small).await.code() == 200 {
            break;
        }
        assert!(attempt < 1000, "the permit never came back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    // The same with a body that is not read.
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    write!(stream, "GET {API}/files/commitlog/0/CommitLog-7-1.log HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").unwrap();
    stream.read_exact(&mut [0; 1000]).unwrap();
    // The second permit of those above may come back later than the first.
    let mut further = Vec::new();
    for attempt in 0.. {
        further.push(begin_endless_digest(port));
        if files.ask("GET", small).await.code() == 503 {
            break;
        }
        assert!(attempt < 1000, "two requests are under way");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(stream);
    for attempt in 0.. {
        if files.ask("GET", small).await.code() == 200 {
            break;
        }
        assert!(attempt < 1000, "the permit never came back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(further);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_complete_migration_is_neither_served_nor_verified() {
    let files = Files::start("").await;
    let pair = &files.pair;
    for port in [pair.source_port, pair.destination_port] {
        assert_eq!(ask(port, "GET", "/status").await.body, r#"{"state":"NOT_COMPLETED","endTime":null}"#);
        let done = ask(port, "POST", "/status").await;
        assert_eq!((done.code(), &done.json()["state"]), (200, &json!("COMPLETED")));
        assert_eq!(ask(port, "GET", "/status").await.body, done.body);
        let again = ask(port, "POST", "/status").await;
        assert_eq!((again.code(), again.body.as_str()), (400, r#"{"status":"Bad Request"}"#));
        let cleared = ask(port, "DELETE", "/status").await;
        assert_eq!((cleared.code(), &cleared.json()["code"]), (403, &json!(403)), "it still stands in the map");
    }
    let record = std::fs::read_to_string(files.trees.path().join("ss/live_migration_status.json")).unwrap();
    assert_eq!(record, ask(pair.source_port, "GET", "/status").await.body);
    let bare = (400, r#"{"status":"Bad Request"}"#.to_owned());
    let file = ask(pair.source_port, "GET", "/files/data/0/ks/t-1/nb-1-big-Data.db").await;
    assert_eq!((file.code(), file.body), bare);
    let listing = ask(pair.source_port, "GET", "/files").await;
    assert_eq!(listing.code(), 200);
    let (port, request) = (pair.destination_port, md5_request().to_string());
    let task = tokio::task::spawn_blocking(move || {
        let (address, path) = (format!("127.0.0.1:{port}"), format!("{API}/files-verification-tasks"));
        exchange(&address, &address, "POST", &path, Some(request.as_bytes()))
    });
    let task = task.await.unwrap();
    assert_eq!((task.code(), task.body), bare);
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_without_a_role_and_routes_without_a_service_are_told_apart() {
    let files = Files::start("").await;
    let port = files.pair.source_port;
    let stranger = move |method: &'static str, path: &'static str| async move {
        let ask = move || exchange(&format!("127.0.0.1:{port}"), "stranger", method, &format!("{API}{path}"), None);
        let answer = tokio::task::spawn_blocking(ask).await.unwrap();
        (answer.code(), answer.body)
    };
    for (method, path) in [
        ("GET", "/files"),
        ("GET", "/files/data/0/x"),
        ("GET", "/status"),
        ("POST", "/status"),
        ("DELETE", "/status"),
        ("GET", "/data-copy-tasks"),
        ("GET", "/files-verification-tasks"),
    ] {
        assert_eq!(stranger(method, path).await, (404, r#"{"status":"Not Found"}"#.to_owned()), "{method} {path}");
    }
    let destination = files.pair.destination_port;
    for (method, path) in [
        ("POST", "/data-copy-tasks"),
        ("GET", "/data-copy-tasks"),
        ("GET", "/data-copy-tasks/1"),
        ("PATCH", "/data-copy-tasks/1"),
    ] {
        let answer = ask(destination, method, path).await;
        let expected = r#"{"status":"Not Found","code":404,"message":"data copies are not served by twintree"}"#;
        assert_eq!((answer.code(), answer.body.as_str()), (404, expected), "{method} {path}");
    }
}

/// Each listing stands in memory until it was sent, so that only some may wait for their clients.
#[tokio::test(flavor = "multi_thread")]
async fn listings_that_nobody_reads_are_limited_and_given_back() {
    let files = Files::start("").await;
    // More than fits the buffers of a connection.
    let big = files.trees.path().join("source/data/ks/many");
    std::fs::create_dir_all(&big).unwrap();
    for number in 0..40_000 {
        std::fs::File::create(big.join(format!("{number:0200}"))).unwrap();
    }
    let port = files.pair.source_port;
    let begin = || {
        let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
        write!(stream, "GET {API}/files HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n").unwrap();
        stream.read_exact(&mut [0; 1000]).unwrap();
        stream
    };
    let held: Vec<TcpStream> = (0..4).map(|_| begin()).collect();
    assert_eq!(files.ask("GET", "/files").await.code(), 503);
    drop(held);
    for attempt in 0.. {
        let answer = files.ask("GET", "/files").await;
        if answer.code() == 200 {
            assert_eq!(answer.json()["files"].as_array().unwrap().len(), 40_005);
            break;
        }
        assert!(attempt < 1000, "the permits never came back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Two instances in one process, one of them named by an IPv6 address; directories with a trailing slash, and optional ones
/// that are missing.
#[tokio::test(flavor = "multi_thread")]
async fn instances_of_one_process_are_told_apart_by_the_host_header() {
    let trees = tempfile::tempdir().unwrap();
    for (name, file) in [("one", "first"), ("two", "second")] {
        std::fs::create_dir_all(trees.path().join(name).join("data")).unwrap();
        std::fs::write(trees.path().join(name).join("data").join(file), name).unwrap();
    }
    let storage = |name: &str| format!("{}/", trees.path().join(name).display());
    let yaml = format!(
        "cassandra_instances:\n- {{id: 1, host: '::1', storage_dir: {:?}}}\n- {{id: 2, host: node2, storage_dir: {:?}}}\n\
         live_migration: {{migration_map: {{'::1': node2}}}}\n",
        storage("one"),
        storage("two"),
    );
    let config = twintree::config::Config::parse(&yaml, std::path::Path::new("sidecar.yaml"), None).unwrap();
    let listener = twintree::server::Listener::bind("127.0.0.1", 0).await.unwrap();
    let address = listener.address().to_string();
    let running = listener.serve(twintree::server::App::new(config).unwrap());
    for (host, file) in [
        ("[::1]:9043", "first"),
        ("[::1]", "first"),
        ("[0:0:0:0:0:0:0:1]:1", "first"),
        ("node2", "second"),
        ("NODE2:9043", "second"),
    ] {
        let (address, host) = (address.clone(), host.to_owned());
        let listed = move || exchange(&address, &host, "GET", &format!("{API}/files"), None).json();
        let listing = tokio::task::spawn_blocking(listed).await.unwrap();
        let names: Vec<_> = listing["files"].as_array().unwrap().iter().map(|f| f["fileUrl"].clone()).collect();
        assert_eq!(names, [json!(format!("{API}/files/data/0/{file}"))]);
    }
    running.stop().await;
}

/// As a Sidecar does, which compares the texts of paths: a destination of its kind expects the entry.
#[tokio::test(flavor = "multi_thread")]
async fn a_root_that_is_spelled_with_a_slash_too_many_is_listed_itself() {
    let trees = tempfile::tempdir().unwrap();
    let base = trees.path().display().to_string();
    for root in ["plain", "end", "double", "gone"] {
        std::fs::create_dir(trees.path().join(root)).unwrap();
    }
    let dirs = [format!("{base}/plain"), format!("{base}/end/"), format!("{base}//double"), format!("{base}/none/")];
    let yaml = format!(
        "cassandra_instances: [{{id: 1, host: here, data_dirs: {dirs:?}, hints_dir: '{base}/gone/'}}]\n\
         live_migration: {{migration_map: {{here: there}}}}\n"
    );
    let config = twintree::config::Config::parse(&yaml, std::path::Path::new("sidecar.yaml"), None).unwrap();
    let listener = twintree::server::Listener::bind("127.0.0.1", 0).await.unwrap();
    let address = listener.address().to_string();
    let running = listener.serve(twintree::server::App::new(config).unwrap());
    let listed = move || exchange(&address, "here", "GET", &format!("{API}/files"), None).json();
    let listing = tokio::task::spawn_blocking(listed).await.unwrap();
    let entry = |index: u32, name: &str| {
        let time = std::fs::metadata(trees.path().join(name)).unwrap().modified().unwrap();
        let ms = time.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
        json!({ "fileUrl": format!("{API}/files/data/{index}/"), "size": -1, "fileType": "DIRECTORY", "lastModifiedTime": ms })
    };
    assert_eq!(
        listing["files"],
        json!([entry(1, "end"), entry(2, "double")]),
        "a root that is not there is not listed"
    );
    running.stop().await;
}
