//! The ends of a file that is fetched for its digest, byte by byte as a source may write them: the whole file counts, once it was
//! looked at again, and a shorter one, a longer one and a lie about the size never do.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use twintree::model::{DigestAlgorithm, FileUrl, RelPath, RootId};
use twintree::net::{Endpoint, RetryPolicy};
use twintree::peer::{Allowance, DigestFailure, Peer, PeerError, PeerSettings};

const BYTES: &str = "0123456789";
/// How long the source may be silent.
const IDLE: Duration = Duration::from_millis(200);

/// A source that hashes nothing in time, and answers requests for the file with these bytes, one after the other, the last of them
/// again and again.
struct Raw {
    port: u16,
    /// The `Range`, `If-Range` and `If-None-Match` of each request for the file.
    asked: Arc<Mutex<Vec<[String; 3]>>>,
}

impl Raw {
    fn start(answers: &[String]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let (asked, answers) = (Arc::default(), answers.to_vec());
        let source = Self { port, asked: Arc::clone(&asked) };
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (asked, answers) = (Arc::clone(&asked), answers.clone());
                std::thread::spawn(move || answer(&mut stream.unwrap(), &asked, &answers));
            }
        });
        source
    }
}

fn answer(stream: &mut TcpStream, asked: &Mutex<Vec<[String; 3]>>, answers: &[String]) {
    let (mut head, mut byte) = (String::new(), [0]);
    while !head.ends_with("\r\n\r\n") {
        if stream.read(&mut byte).unwrap_or(0) == 0 {
            return;
        }
        head.push(char::from(byte[0]));
    }
    let answer = if head.contains("digestAlgorithm=") {
        std::thread::sleep(IDLE * 3);
        String::new()
    } else if head.starts_with("GET /api/v1/__health") {
        answer_of("200 OK", &[], "")
    } else {
        let header = |name: &str| {
            let line = head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
            line.unwrap_or_default().to_owned()
        };
        let mut asked = asked.lock().unwrap();
        asked.push(["range", "if-range", "if-none-match"].map(header));
        answers[asked.len().min(answers.len()) - 1].clone()
    };
    stream.write_all(answer.as_bytes()).unwrap();
}

/// An answer with the length of its body.
fn answer_of(status: &str, headers: &[&str], body: &str) -> String {
    let length = format!("Content-Length: {}", body.len());
    raw(status, &[headers, &[length.as_str()]].concat(), body)
}

/// The same without a length. `body` is what stands on the wire.
fn raw(status: &str, headers: &[&str], body: &str) -> String {
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    format!("HTTP/1.1 {status}\r\nConnection: close\r\n{headers}\r\n{body}")
}

const CHUNKED: &str = "Transfer-Encoding: chunked";
const TAG: &str = "ETag: \"a\"";
const OTHER_TAG: &str = "ETag: \"b\"";

/// All bytes, and then the connection breaks before the end of the body.
fn unended(headers: &[&str]) -> String {
    raw("200 OK", &[headers, &[CHUNKED]].concat(), &format!("a\r\n{BYTES}\r\n"))
}

fn unsatisfiable(range: &[&str]) -> String {
    answer_of("416 Range Not Satisfiable", range, "")
}

fn unchanged() -> String {
    raw("304 Not Modified", &[TAG], "")
}

/// What the digest of a file that was listed with ten bytes comes to, and what was asked for.
async fn fetched(answers: &[String]) -> (Result<String, String>, Vec<[String; 3]>) {
    let source = Raw::start(answers);
    let settings = PeerSettings {
        policy: RetryPolicy { delay: Duration::from_millis(1), ..RetryPolicy::default() },
        connect_timeout: Duration::from_secs(5),
        idle_timeout: IDLE,
        patience: Duration::from_secs(60),
        allowance: Allowance::new(1 << 20),
        max_idle_connections: 1,
    };
    let peer = Peer::new(Endpoint::http("127.0.0.1", source.port), settings).unwrap();
    let file = FileUrl::new(RootId::DATA_0, RelPath::new(b"f").unwrap());
    let digest = match peer.digest(&file, BYTES.len() as u64, DigestAlgorithm::Md5).await {
        Ok(digest) => Ok(digest.to_string()),
        Err(DigestFailure::File(error @ PeerError::FileChanged { .. })) => Err(error.to_string()),
        Err(other) => panic!("{other:?}"),
    };
    let asked = source.asked.lock().unwrap().clone();
    (digest, asked)
}

const WHOLE: [&str; 3] = ["", "", ""];
const BEHIND: [&str; 3] = ["bytes=10-", "\"a\"", ""];
const AGAIN: [&str; 3] = ["bytes=0-0", "", "\"a\""];

/// Nothing is left of a file of which all bytes came, and it is one file only if it still is that.
#[tokio::test(flavor = "multi_thread")]
async fn a_rest_of_no_bytes_is_the_end_of_the_file_once_it_was_looked_at_again() {
    let whole = Ok(crate::support::stock_source::digest("MD5", BYTES.as_bytes()));
    let end = unsatisfiable(&["Content-Range: bytes */10", TAG]);
    let (digest, asked) = fetched(&[unended(&[TAG]), end.clone(), unchanged()]).await;
    assert_eq!((digest, asked), (whole.clone(), [WHOLE, BEHIND, AGAIN].iter().map(text).collect()));
    // Another file by then: from the beginning.
    let other = answer_of("206 Partial Content", &["Content-Range: bytes 0-0/10", OTHER_TAG], "0");
    let again = answer_of("200 OK", &[TAG], BYTES);
    let (digest, asked) = fetched(&[unended(&[TAG]), end, other, again, unchanged()]).await;
    assert_eq!((digest, asked), (whole.clone(), [WHOLE, BEHIND, AGAIN, WHOLE, AGAIN].iter().map(text).collect()));
    // Where a source names no validator its second listing is all there is.
    let (digest, asked) = fetched(&[unended(&[]), unsatisfiable(&["Content-Range: bytes */10"])]).await;
    assert_eq!((digest, asked), (whole, [WHOLE, ["bytes=10-", "", ""]].iter().map(text).collect()));
}

fn text(asked: &[&str; 3]) -> [String; 3] {
    asked.map(str::to_owned)
}

#[track_caller]
fn assert_changed(found: (Result<String, String>, Vec<[String; 3]>), detail: &str, requests: usize) {
    let error = found.0.unwrap_err();
    assert!(error.ends_with(&format!(": the file changed: {detail}")), "{error}");
    assert_eq!(found.1.len(), requests, "{:?}", found.1);
}

const THREE_TIMES: &str = "it changed each of the 3 times it was fetched";

#[tokio::test(flavor = "multi_thread")]
async fn a_rest_of_no_bytes_of_another_file_is_no_end() {
    let end = |range: &[&str]| [unended(&[TAG]), unsatisfiable(range)];
    for size in ["9", "12"] {
        let found = fetched(&end(&[&format!("Content-Range: bytes */{size}")])).await;
        assert_changed(found, &format!("it was listed with 10 bytes, and has {size}"), 2);
    }
    for range in [&[][..], &["Content-Range: bytes */*"], &["Content-Range: 10"], &["Content-Range: bytes 0-9/10"]] {
        let [all, none] = end(range);
        let answers = [all.clone(), none.clone(), all.clone(), none.clone(), all, none];
        assert_changed(fetched(&answers).await, THREE_TIMES, 6);
    }
    // Half came, and a source that has ten bytes denies the rest.
    let half = raw("200 OK", &[TAG, CHUNKED], "5\r\n01234\r\n");
    let denied = unsatisfiable(&["Content-Range: bytes */10"]);
    let answers = [half.clone(), denied.clone(), half.clone(), denied.clone(), half, denied];
    assert_changed(fetched(&answers).await, THREE_TIMES, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_shorter_or_longer_than_it_was_listed_has_no_digest() {
    let short = raw("200 OK", &[TAG, CHUNKED], "5\r\n01234\r\n0\r\n\r\n");
    let found = fetched(&[short, unsatisfiable(&["Content-Range: bytes */5"])]).await;
    assert_changed(found, "it was listed with 10 bytes, and has 5", 2);
    let found = fetched(&[answer_of("200 OK", &[TAG], "01234")]).await;
    assert_changed(found, "it was listed with 10 bytes, and has 5", 1);
    let found = fetched(&[answer_of("200 OK", &[TAG], "0123456789a")]).await;
    assert_changed(found, "it was listed with 10 bytes, and has 11", 1);
    let found = fetched(&[raw("200 OK", &[TAG, CHUNKED], "b\r\n0123456789a\r\n0\r\n\r\n")]).await;
    assert_changed(found, "it was listed with 10 bytes, and has at least 11", 1);
}

/// The tag says the same file, and the size another one.
#[tokio::test(flavor = "multi_thread")]
async fn another_size_behind_the_last_byte_is_another_file() {
    let whole = answer_of("200 OK", &[TAG], BYTES);
    let part =
        |total: &str| answer_of("206 Partial Content", &[&format!("Content-Range: bytes 0-0/{total}"), TAG], "0");
    let of_all = answer_of("200 OK", &[TAG], "0123456789a");
    for other in [part("11"), of_all, unsatisfiable(&["Content-Range: bytes */0", TAG])] {
        let answers = [&whole, &other, &whole, &other, &whole, &other].map(String::clone);
        assert_changed(fetched(&answers).await, THREE_TIMES, 6);
    }
    let (digest, _) = fetched(&[whole, part("10")]).await;
    assert!(digest.is_ok(), "{digest:?}");
}
