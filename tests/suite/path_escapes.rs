//! Hostile paths and arrangements of links: whatever a client asks for, nothing outside of a root is opened, and no special
//! file ever. Outside lie files with a secret; no answer may hold it, or a digest of it.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, mknodat};

use crate::support::services::{Pair, Setup, storage_dirs};
use crate::support::stock_source::digest;

const SECRET: &str = "the secret of the house next door";
const FILES: &str = "/api/v1/live-migration/files";

/// Roots with links of every kind in them, and secrets around.
struct House {
    pair: Pair,
    trees: tempfile::TempDir,
}

impl House {
    async fn start() -> Self {
        let trees = tempfile::tempdir().unwrap();
        let base = trees.path();
        // data/1 and data/10 are siblings whose names begin alike; d1-secret is no root at all.
        let homes: Vec<PathBuf> = (0..11).map(|number| base.join(format!("d{number}"))).collect();
        for home in &homes {
            std::fs::create_dir_all(home.join("ks/t/deep/er")).unwrap();
            std::fs::write(home.join("ks/t/f.db"), "inside").unwrap();
            std::fs::write(home.join("ks/t/deep/er/f.db"), "inside").unwrap();
        }
        for outside in ["", "d1-secret", "d", "other/ks/t"] {
            std::fs::create_dir_all(base.join(outside)).unwrap();
            std::fs::write(base.join(outside).join("secret"), SECRET).unwrap();
            std::fs::write(base.join(outside).join("f.db"), SECRET).unwrap();
        }
        links(&homes[0], base);
        let homes: Vec<_> = homes.iter().map(|home| home.display().to_string()).collect();
        let lines = format!("data_dirs: {}", serde_json::to_string(&homes).unwrap());
        let (mut s, mut d) = (base.join("none").display().to_string(), base.join("copy").display().to_string());
        let setup = storage_dirs(&mut s, &mut d);
        Self { pair: Pair::start(Setup { source_roots: &lines, ..setup }).await, trees }
    }
}

/// Targets of links that lead out of the root, seen from the directory at this depth below it.
fn targets(depth: usize, base: &Path) -> Vec<PathBuf> {
    let up = "../".repeat(depth + 1);
    let mut targets: Vec<PathBuf> =
        ["secret", "d1-secret/secret", "d1-secret", "other", "", "d1/ks/t/f.db", "./secret"]
            .iter()
            .map(|target| PathBuf::from(format!("{up}{target}")))
            .collect();
    let absolute = ["secret", "d1-secret", "d1/ks/t/f.db", "d0/../secret"].map(|target| base.join(target));
    targets.extend(absolute);
    targets.extend(["/", "/etc", "/etc/passwd", "/proc/self/root", "/proc/self/cwd", "/dev/zero"].map(PathBuf::from));
    targets.push(PathBuf::from(format!("{up}d0/../secret")));
    targets.push(PathBuf::from(format!("deep/../{up}secret")));
    targets
}

/// Links at every depth: to files and directories, relative and absolute, in chains and in circles.
fn links(home: &Path, base: &Path) {
    for (depth, directory) in ["", "ks", "ks/t", "ks/t/deep"].into_iter().enumerate() {
        let directory = home.join(directory);
        for (number, target) in targets(depth, base).into_iter().enumerate() {
            symlink(target, directory.join(format!("out{number}"))).unwrap();
            symlink(format!("out{number}"), directory.join(format!("chain{number}"))).unwrap();
        }
        symlink("loop", directory.join("loop")).unwrap();
        symlink("pong", directory.join("ping")).unwrap();
        symlink("ping", directory.join("pong")).unwrap();
        mknodat(CWD, directory.join("pipe"), FileType::Fifo, 0o600.into(), 0).unwrap();
        symlink("pipe", directory.join("to-pipe")).unwrap();
        mknodat(CWD, directory.join("socket"), FileType::Socket, 0o600.into(), 0).unwrap();
    }
}

/// Request targets, as bytes on the wire.
fn corpus(base: &Path) -> BTreeSet<Vec<u8>> {
    let mut corpus = BTreeSet::new();
    let mut add = |target: String| {
        corpus.insert(target.into_bytes());
    };
    // Through links, at every depth.
    for (depth, directory) in ["", "ks/", "ks/t/", "ks/t/deep/"].into_iter().enumerate() {
        for number in 0..targets(depth, base).len() {
            for kind in ["out", "chain"] {
                for below in ["", "/secret", "/f.db", "/etc/passwd", "/ks/t/f.db"] {
                    add(format!("{FILES}/data/0/{directory}{kind}{number}{below}"));
                }
            }
        }
        for name in ["loop", "ping", "pipe", "to-pipe", "socket", "loop/x", "pipe/x"] {
            add(format!("{FILES}/data/0/{directory}{name}"));
        }
    }
    // By names that climb.
    let ups = [
        "..",
        "%2e%2e",
        "%2E.",
        ".%2e",
        "%252e%252e",
        "..%00",
        "%00..",
        "..;",
        "..\\",
        "..%5c",
        "%5c..%5c",
        "..%c0%af",
        "%c0%ae%c0%ae",
        "%e0%80%ae.",
        "\u{2025}",
        "\u{ff0e}\u{ff0e}",
        "...",
        ". .",
        "..%20",
        "%uff0e%uff0e",
        "..%01",
        "~",
    ];
    let slashes = ["/", "%2f", "//", "/./", "%2F", "%252f", "\\", "%5c"];
    for up in ups {
        for slash in slashes {
            for (start, depth) in [("", 1), ("ks/", 2), ("ks/t/", 3), ("ks/t/", 9)] {
                let climb = format!("{up}{slash}").repeat(depth);
                for target in ["secret", "etc/passwd"] {
                    add(format!("{FILES}/data/0/{start}{climb}{target}"));
                }
            }
        }
    }
    // By other roots, absolute paths and prefixes.
    let base = base.display();
    for root in [
        "data/1",
        "data/10",
        "data/01",
        "data/1-secret",
        "data/1%2f..",
        "data/-1",
        "data/1e1",
        "data/0x1",
        "data/%31%30",
    ] {
        for path in ["../d1-secret/secret", "..%2fd1-secret%2fsecret", "-secret/secret", "%2d%73ecret", "ks/t/f.db", ""]
        {
            add(format!("{FILES}/{root}/{path}"));
        }
    }
    for path in
        [format!("{base}/secret"), format!("/{base}/secret"), format!("%2f{base}/secret"), "file:///etc/passwd".into()]
    {
        add(format!("{FILES}/data/0/{path}"));
        add(format!("{FILES}/{path}"));
        add(format!("{FILES}/data/{path}"));
    }
    for kind in ["hints", "..", "data%00", "DATA", "cdc_raw", "local_system_data", "data/0/..", "%2e%2e/data"] {
        add(format!("{FILES}/{kind}/0/secret"));
    }
    add(format!("{FILES}/data/0/{}", "a/".repeat(5000)));
    add(format!("{FILES}/data/0/{}", "a".repeat(5000)));
    add(format!("{FILES}/data/0/{}secret", "ks/../".repeat(700)));
    add(format!("{FILES}/../../../../etc/passwd"));
    add("/../../etc/passwd".to_owned());
    corpus
}

/// The whole answer to one request, as it comes.
fn ask(port: u16, target: &[u8], query: &str) -> (u16, Vec<u8>) {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut request = [b"GET ", target, query.as_bytes()].concat();
    request.extend_from_slice(format!(" HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n").as_bytes());
    stream.write_all(&request).unwrap();
    let mut answer = Vec::new();
    // A request that is refused while it is still being sent may end in a reset.
    let _ = stream.read_to_end(&mut answer);
    let status = answer.get(9..12).and_then(|code| std::str::from_utf8(code).ok()).and_then(|code| code.parse().ok());
    (status.unwrap_or(0), answer)
}

fn holds(answer: &[u8], text: &str) -> bool {
    answer.windows(text.len()).any(|window| window == text.as_bytes())
}

/// What is opened while it watches, whoever opens it. A look that opens nothing (`O_PATH`) is no event.
#[cfg(target_os = "linux")]
struct Watch(rustix::fd::OwnedFd);

#[cfg(target_os = "linux")]
impl Watch {
    fn over(files: &[PathBuf]) -> Self {
        use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
        let watch = init(CreateFlags::NONBLOCK).unwrap();
        for file in files {
            add_watch(&watch, file, WatchFlags::OPEN).unwrap();
        }
        Self(watch)
    }

    fn opened(&self) -> bool {
        rustix::io::read(&self.0, &mut [0; 4096]).is_ok()
    }
}

/// Every secret, and every pipe.
fn forbidden(base: &Path) -> Vec<PathBuf> {
    let outside =
        ["", "d1-secret", "d", "other/ks/t"].into_iter().flat_map(|d| ["secret", "f.db"].map(|f| base.join(d).join(f)));
    let pipes = ["", "ks", "ks/t", "ks/t/deep"].map(|d| base.join("d0").join(d).join("pipe"));
    outside.chain(pipes).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_hostile_path_opens_a_file_outside_or_a_special_one() {
    let house = House::start().await;
    let corpus = corpus(house.trees.path());
    assert!(corpus.len() >= 500, "{}", corpus.len());
    let port = house.pair.source_port;
    #[cfg(target_os = "linux")]
    let watch = Watch::over(&forbidden(house.trees.path()));
    let hostile = move || {
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let passwd = if passwd.trim().is_empty() { SECRET.to_owned() } else { passwd };
        let digests: Vec<String> =
            [SECRET, &passwd].iter().flat_map(|t| ["MD5", "XXHash32"].map(|a| digest(a, t.as_bytes()))).collect();
        let mut served = 0;
        for target in &corpus {
            for query in ["", "?digestAlgorithm=MD5", "?digestAlgorithm=XXHash32"] {
                let (code, answer) = ask(port, target, query);
                let shown = String::from_utf8_lossy(target).chars().take(200).collect::<String>();
                assert!(!holds(&answer, SECRET) && !holds(&answer, passwd.trim_end()), "{shown}{query}");
                assert!(!digests.iter().any(|digest| holds(&answer, &format!("\"{digest}\""))), "{shown}{query}");
                let special = shown.ends_with("pipe") || shown.ends_with("socket");
                let expected: &[u16] = if special { &[500] } else { &[200, 400, 403, 404, 414, 431] };
                assert!(expected.contains(&code), "{code} {shown}{query}: {}", String::from_utf8_lossy(&answer));
                let inside = ["ks/t/f.db"].iter().any(|end| shown.ends_with(end))
                    && !shown.contains("out")
                    && !shown.contains("chain");
                assert!(code != 200 || inside, "{shown}{query} is served");
                served += usize::from(code == 200);
            }
        }
        served
    };
    let served = tokio::task::spawn_blocking(hostile).await.unwrap();
    assert!(served > 0, "the files inside are served");
    #[cfg(target_os = "linux")]
    {
        assert!(!watch.opened(), "something outside, or a pipe, was opened");
        // The watch does see what is opened.
        drop(std::fs::File::open(house.trees.path().join("secret")).unwrap());
        assert!(watch.opened());
    }
}

/// A link that points inside at one moment and outside at the next, while it is asked for.
#[tokio::test(flavor = "multi_thread")]
async fn a_link_that_is_swapped_while_it_is_opened_never_leads_out() {
    let house = House::start().await;
    let (port, directory) = (house.pair.source_port, house.trees.path().join("d0/ks"));
    #[cfg(target_os = "linux")]
    let watch = Watch::over(&forbidden(house.trees.path()));
    let (base, swapping) = (house.trees.path().to_owned(), directory.clone());
    let (done, stop) = std::sync::mpsc::channel::<()>();
    let swapper = std::thread::spawn(move || {
        for round in 0_u64.. {
            // Inside and outside by turns, by relative and by absolute targets.
            let (file, directory) = match round % 4 {
                0 => ("t/f.db".into(), "t".into()),
                1 => ("../../f.db".into(), "../../other/ks/t".into()),
                2 => (swapping.join("t/f.db"), swapping.join("t")),
                _ => (base.join("f.db"), base.join("other/ks/t")),
            };
            for (target, name) in [(file, "swapped"), (directory, "swapped-directory")] as [(PathBuf, &str); 2] {
                symlink(target, swapping.join("next")).unwrap();
                std::fs::rename(swapping.join("next"), swapping.join(name)).unwrap();
            }
            if stop.try_recv().is_ok() {
                return;
            }
        }
    });
    let asking = move || {
        let mut codes = BTreeSet::new();
        for number in 0..3000 {
            let name = if number % 2 == 0 { "swapped" } else { "swapped-directory/f.db" };
            let target = format!("{FILES}/data/0/ks/{name}");
            let (code, answer) = ask(port, target.as_bytes(), "");
            assert!(!holds(&answer, SECRET));
            codes.insert(code);
        }
        codes
    };
    let codes = tokio::task::spawn_blocking(asking).await.unwrap();
    done.send(()).unwrap();
    swapper.join().unwrap();
    #[cfg(target_os = "linux")]
    assert!(!watch.opened(), "something outside was opened");
    assert!(codes.contains(&200) && codes.contains(&403), "both sides of the swap were met: {codes:?}");
}
