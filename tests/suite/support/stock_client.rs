//! A destination of the per-file protocol, written from the API's contract alone: nothing of it comes from the product. It
//! lists both sides, compares metadata, and asks for the digest of every file where that is all the same.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::stock_source::digest;

const FILES: &str = "/api/v1/live-migration/files";

/// How often a failed request is sent again.
const RETRIES: u32 = 8;

/// A destination that asks the source at `port` for the instance `host`.
pub struct StockClient {
    pub port: u16,
    pub host: String,
    pub algorithm: &'static str,
    pub concurrency: usize,
    http: reqwest::Client,
}

/// Type, size and milliseconds of an entry; a directory's are not compared.
type Metadata = (String, i64, i64);

impl StockClient {
    pub fn new(port: u16, host: String, algorithm: &'static str, concurrency: usize) -> Self {
        let http = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(30)).build().unwrap();
        Self { port, host, algorithm, concurrency, http }
    }

    /// State and counters of a verification of these roots, such as `data/0`.
    pub async fn verify(&self, roots: &BTreeMap<String, PathBuf>) -> Value {
        let body = self.get(FILES).await.expect("the listing");
        let listing: Value = serde_json::from_slice(&body).unwrap();
        let source: BTreeMap<String, Metadata> = listing["files"].as_array().unwrap().iter().map(entry).collect();
        let sizes: i64 = source.values().filter(|(kind, ..)| kind == "FILE").map(|(_, size, _)| size).sum();
        assert_eq!(listing["totalSize"], sizes);
        let mut destination: BTreeMap<String, (Metadata, PathBuf)> = BTreeMap::new();
        for (root, home) in roots {
            if home.exists() {
                walk(home, &format!("{FILES}/{root}"), &mut destination);
            }
        }
        let missing_at_source = destination.keys().filter(|url| !source.contains_key(*url)).count();
        let missing_at_destination = source.keys().filter(|url| !destination.contains_key(*url)).count();
        let both: Vec<(&String, &Metadata, &(Metadata, PathBuf))> =
            source.iter().filter_map(|(url, theirs)| Some((url, theirs, destination.get(url)?))).collect();
        let same =
            |theirs: &Metadata, ours: &Metadata| theirs == ours || (theirs.0 == "DIRECTORY" && ours.0 == "DIRECTORY");
        let matched: Vec<_> = both.iter().filter(|(_, theirs, (ours, _))| same(theirs, ours)).collect();
        let mismatched = both.len() - matched.len();
        let fails = missing_at_source + missing_at_destination + mismatched > 0;
        let (mut equal, mut different, mut failed) = (0, 0, 0);
        if !fails {
            let files: Vec<(String, PathBuf)> = matched
                .iter()
                .filter(|(_, (kind, ..), _)| kind == "FILE")
                .map(|(url, _, (_, path))| ((*url).clone(), path.clone()))
                .collect();
            let answers = futures_util::stream::iter(files).map(|(url, path)| self.same_digest(url, path));
            let mut answers = std::pin::pin!(answers.buffer_unordered(self.concurrency));
            while let Some(answer) = answers.next().await {
                match answer {
                    Some(true) => equal += 1,
                    Some(false) => different += 1,
                    None => failed += 1,
                }
            }
        }
        let state = if fails || different + failed > 0 { "FAILED" } else { "COMPLETED" };
        json!({
            "state": state,
            "filesNotFoundAtSource": missing_at_source,
            "filesNotFoundAtDestination": missing_at_destination,
            "metadataMatched": matched.len(),
            "metadataMismatches": mismatched,
            "digestMismatches": different,
            "digestVerificationFailures": failed,
            "filesMatched": equal,
        })
    }

    /// Whether both digests are the same; `None` where one of them cannot be had.
    async fn same_digest(&self, url: String, path: PathBuf) -> Option<bool> {
        let encoded: String = url.bytes().map(percent_encoded).collect();
        let body = self.get(&format!("{encoded}?digestAlgorithm={}", self.algorithm)).await?;
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["digestAlgorithm"], self.algorithm);
        // A pipe has no bytes, and opening it would wait for ever.
        let bytes = fs::metadata(&path).ok().filter(fs::Metadata::is_file).and_then(|_| fs::read(&path).ok())?;
        Some(answer["digest"] == digest(self.algorithm, &bytes))
    }

    /// The body of a 200; `None` where the source refuses, or fails again and again.
    async fn get(&self, path: &str) -> Option<Vec<u8>> {
        for attempt in 0..=RETRIES {
            let mut wait = Duration::from_millis(2 << attempt);
            let request = self.http.get(format!("http://127.0.0.1:{}{path}", self.port)).header("Host", &self.host);
            if let Ok(response) = request.send().await {
                match response.status().as_u16() {
                    200 => match response.bytes().await {
                        Ok(bytes) => return Some(bytes.to_vec()),
                        Err(_) => continue,
                    },
                    500 | 503 => {
                        let asked = response.headers().get("Retry-After").and_then(|value| value.to_str().ok());
                        let asked = asked.and_then(|seconds| seconds.parse().ok());
                        wait = asked.map_or(wait, Duration::from_secs);
                    }
                    _ => return None,
                }
            }
            tokio::time::sleep(wait).await;
        }
        None
    }
}

fn entry(entry: &Value) -> (String, Metadata) {
    let text = |key: &str| entry[key].as_str().unwrap().to_owned();
    let number = |key: &str| entry[key].as_i64().unwrap();
    (text("fileUrl"), (text("fileType"), number("size"), number("lastModifiedTime")))
}

fn walk(directory: &Path, url: &str, found: &mut BTreeMap<String, (Metadata, PathBuf)>) {
    for entry in fs::read_dir(directory).unwrap() {
        let entry = entry.unwrap();
        let url = format!("{url}/{}", entry.file_name().to_string_lossy());
        let target = fs::metadata(entry.path()).unwrap();
        let ms = match target.modified().unwrap().duration_since(UNIX_EPOCH) {
            Ok(after) => after.as_millis() as i64,
            Err(before) => -(before.duration().as_nanos().div_ceil(1_000_000) as i64),
        };
        let (kind, size) = if target.is_dir() { ("DIRECTORY", -1) } else { ("FILE", target.len() as i64) };
        found.insert(url.clone(), ((kind.to_owned(), size, ms), entry.path()));
        if entry.file_type().unwrap().is_dir() {
            walk(&entry.path(), &url, found);
        }
    }
}

fn percent_encoded(byte: u8) -> String {
    match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    }
}
