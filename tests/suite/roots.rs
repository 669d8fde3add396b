//! `twintree roots`: lines that tell two instances apart exactly where their trees are not the same.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use twintree::exclude::{RootRules, Rules};
use twintree::manifest::{HashKind, Identity, Manifest, RootSpec, write};
use twintree::scan::Context;

use crate::support::process::twintree;

const ID: &str = "0123456789abcdef0123456789abcdef";

fn file(home: &Path, path: &str, bytes: &str) {
    let path = home.join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, bytes).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_modified(UNIX_EPOCH + Duration::from_secs(9)).unwrap();
}

/// Two data directories with tables in both, files beside them, and roots without keyspaces.
fn instance(home: &Path) {
    file(home, &format!("data/0/ks/t-{ID}/nb-1-big-Data.db"), "12345");
    file(home, &format!("data/1/ks/t-{ID}/nb-2-big-Data.db"), "123");
    file(home, &format!("data/0/ks/u-{ID}/nb-1-big-Data.db"), "1");
    file(home, &format!("data/1/other/t-{ID}/snapshots/s/f"), "1");
    file(home, "data/0/ks/stray", "1");
    file(home, "data/1/stray", "1");
    file(home, "hints/0/h", "1");
    file(home, "commitlog/0/c", "12");
}

fn manifest(home: &Path, host: &str) -> Manifest {
    let roots = ["data/0", "data/1", "commitlog/0", "hints/0"].map(|id| RootSpec {
        id: id.parse().unwrap(),
        home: home.join(id),
        rules: RootRules::none(),
    });
    let identity = Identity::new(host.to_owned(), "i".to_owned(), 0, &Rules::none());
    let manifest = Manifest::walk(identity, &roots, &Context::default()).unwrap();
    manifest.hash_contents(&Context::default(), &|_, _, _, _| ()).unwrap();
    manifest
}

fn written(home: &Path, host: &str, path: PathBuf) -> PathBuf {
    write(&manifest(home, host), &path).unwrap();
    path
}

/// Exit code, lines, and what was said on standard error.
fn roots(manifests: &[&Path], options: &[&str]) -> (Option<i32>, Vec<String>, String) {
    let output = twintree().arg("roots").args(options).args(manifests).output().unwrap();
    let lines = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    (output.status.code(), lines, String::from_utf8(output.stderr).unwrap())
}

fn without_hashes(lines: &[String]) -> Vec<String> {
    lines.iter().map(|line| line.split('\t').take(6).collect::<Vec<_>>().join(" ")).collect()
}

#[test]
fn every_table_has_a_line_and_so_has_what_lies_beside() {
    let tmp = tempfile::tempdir().unwrap();
    instance(tmp.path());
    let path = written(tmp.path(), "node 1", tmp.path().join("m"));
    let (code, lines, errors) = roots(&[&path], &[]);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    let expected = [
        "node 1 commitlog - - 1 2",
        "node 1 data - - 1 1",
        "node 1 data ks - 1 1",
        "node 1 data ks t 2 8",
        "node 1 data ks u 1 1",
        "node 1 data other t 1 1",
        "node 1 hints - - 1 1",
    ];
    assert_eq!(without_hashes(&lines), expected);
    let hex = |field: &str| field.len() == 64 && field.bytes().all(|b| b.is_ascii_hexdigit());
    assert!(lines.iter().all(|line| line.split('\t').skip(6).filter(|field| hex(field)).count() == 2), "{lines:#?}");
    let (code, lines, _) = roots(&[&path], &["--keyspaces"]);
    let expected = [
        "node 1 commitlog - - 1 2",
        "node 1 data - - 1 1",
        "node 1 data ks - 4 10",
        "node 1 data other - 1 1",
        "node 1 hints - - 1 1",
    ];
    assert_eq!((code, without_hashes(&lines)), (Some(0), expected.map(str::to_owned).to_vec()));
}

/// A change to an instance at this path.
type Change = fn(&Path);

/// Whatever makes another tree makes another line, in both forms; what makes none makes none.
#[test]
fn lines_are_the_same_exactly_where_trees_are() {
    let changes: [Change; 16] = [
        |home| file(home, &format!("data/0/ks/t-{ID}/nb-1-big-Data.db"), "12346"),
        |home| file(home, &format!("data/1/ks/t-{ID}/new"), ""),
        |home| file(home, "data/0/ks/stray", "2"),
        |home| file(home, "data/0/stray", "1"),
        |home| file(home, "data/1/stray", "2"),
        |home| file(home, "hints/0/h", "2"),
        |home| file(home, "commitlog/0/more", ""),
        |home| fs::create_dir(home.join("data/0/empty")).unwrap(),
        |home| fs::create_dir(home.join("data/0/other")).unwrap(),
        |home| fs::create_dir(home.join("data/0/ks/empty")).unwrap(),
        |home| fs::create_dir(home.join("hints/0/empty")).unwrap(),
        |home| fs::rename(home.join(format!("data/0/ks/u-{ID}")), home.join(format!("data/1/ks/u-{ID}"))).unwrap(),
        |home| fs::rename(home.join(format!("data/0/ks/u-{ID}")), home.join("data/0/ks/u")).unwrap(),
        |home| fs::rename(home.join("data/0/ks/stray"), home.join("data/1/ks/stray")).unwrap(),
        |home| fs::rename(home.join("data/1/other"), home.join("data/1/another")).unwrap(),
        |home| {
            let path = home.join("data/0/ks/stray");
            fs::File::options().write(true).open(path).unwrap().set_modified(UNIX_EPOCH).unwrap();
        },
    ];
    let tmp = tempfile::tempdir().unwrap();
    let made = |name: &str, change: Option<Change>| {
        let home = tmp.path().join(name);
        instance(&home);
        if let Some(change) = change {
            change(&home);
        }
        let made = manifest(&home, "h");
        let hashes = [HashKind::Metadata, HashKind::Content].map(|kind| made.instance_hash(kind).digest().unwrap());
        let path = tmp.path().join(format!("{name}.manifest"));
        write(&made, &path).unwrap();
        (hashes, roots(&[&path], &[]).1, roots(&[&path], &["--keyspaces"]).1)
    };
    let first = made("first", None);
    assert_eq!(made("same", None), first);
    for (number, change) in changes.into_iter().enumerate() {
        let changed = made(&number.to_string(), Some(change));
        assert_ne!(changed.0, first.0, "{number}");
        assert_ne!(changed.1, first.1, "tables, {number}");
        assert_ne!(changed.2, first.2, "keyspaces, {number}");
    }
}

/// As the page shows it: `sort` and `comm` of the system on lines of two hosts.
#[test]
fn comm_tells_which_tables_differ() {
    let tmp = tempfile::tempdir().unwrap();
    let of = |host: &str, change: &str| {
        let home = tmp.path().join(host);
        instance(&home);
        file(&home, &format!("data/1/ks/t-{ID}/nb-2-big-Data.db"), change);
        written(&home, host, tmp.path().join(format!("{host}.manifest")))
    };
    let (a, b) = (of("a", "321"), of("b", "123"));
    let (_, both, _) = roots(&[&b, &a], &[]);
    let sorted = Command::new("sh")
        .env("LC_ALL", "C")
        .arg("-c")
        .arg("twintree=$0; \"$twintree\" roots \"$1\" \"$2\" | sort -c")
        .arg(env!("CARGO_BIN_EXE_twintree"))
        .args([&a, &b])
        .status()
        .unwrap();
    assert!(sorted.success() && both.is_sorted() && both.len() == 14);
    let script =
        "\"$0\" roots \"$1\" | cut -f 2- > \"$3\"; \"$0\" roots \"$2\" | cut -f 2- | comm -13 \"$3\" - | cut -f 2,3";
    let compared = Command::new("sh")
        .env("LC_ALL", "C")
        .args(["-c", script])
        .arg(env!("CARGO_BIN_EXE_twintree"))
        .args([&a, &b, &tmp.path().join("lines")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(compared.stdout).unwrap(), "ks\tt\n");
}

#[test]
fn what_could_not_be_read_has_no_hash_and_the_exit_code_says_so() {
    let tmp = tempfile::tempdir().unwrap();
    instance(tmp.path());
    let fifo = tmp.path().join(format!("data/0/ks/u-{ID}/pipe"));
    rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, 0o600.into(), 0).unwrap();
    let path = written(tmp.path(), "h", tmp.path().join("m"));
    let (code, lines, errors) = roots(&[&path], &[]);
    assert_eq!(code, Some(3));
    assert!(errors.contains("lines without a hash: 1;"), "{errors}");
    let unproven: Vec<&String> = lines.iter().filter(|line| line.ends_with("\t-")).collect();
    assert!(matches!(&unproven[..], [line] if line.starts_with("h\tdata\tks\tu\t2\t1\t")), "{lines:#?}");
}

/// Where a data directory could not be listed, more of each table may lie there.
#[test]
fn a_root_that_cannot_be_listed_leaves_no_table_proven() {
    let tmp = tempfile::tempdir().unwrap();
    instance(tmp.path());
    fs::remove_dir_all(tmp.path().join("data/1")).unwrap();
    fs::write(tmp.path().join("data/1"), "").unwrap();
    let path = written(tmp.path(), "h", tmp.path().join("m"));
    for options in [&[][..], &["--keyspaces"]] {
        let (code, lines, _) = roots(&[&path], options);
        assert_eq!(code, Some(3));
        for line in &lines {
            assert_eq!(line.ends_with("\t-\t-"), line.starts_with("h\tdata\t"), "{line}");
        }
    }
}

#[test]
fn a_manifest_that_cannot_be_read_is_named_and_the_others_are_printed() {
    let tmp = tempfile::tempdir().unwrap();
    instance(tmp.path());
    let good = written(tmp.path(), "h", tmp.path().join("good"));
    let bad = tmp.path().join("bad\nname");
    let mut bytes = fs::read(&good).unwrap();
    let middle = bytes.len() / 3;
    bytes[middle] ^= 1;
    fs::write(&bad, bytes).unwrap();
    let (code, lines, errors) = roots(&[&bad, &good], &[]);
    assert_eq!((code, lines.len()), (Some(3), 7));
    assert!(errors.contains("bad\\nname: "), "{errors}");
    let (code, lines, _) = roots(&[&bad], &[]);
    assert_eq!((code, lines.len()), (Some(3), 0));
    let (code, lines, errors) = roots(&[&good, &good], &[]);
    assert_eq!((code, lines.len()), (Some(2), 0));
    assert!(errors.contains("is given twice"), "{errors}");
}

#[test]
fn names_of_any_bytes_stay_on_their_line() {
    let tmp = tempfile::tempdir().unwrap();
    for name in [&b"tab\there"[..], b"line\nend", b"\xff", b"-", b"back\\slash"] {
        let directory = tmp.path().join("data/0").join(std::ffi::OsStr::from_bytes(name)).join("t");
        fs::create_dir_all(directory).unwrap();
    }
    let path = written(tmp.path(), "h\tost", tmp.path().join("m"));
    let (code, lines, _) = roots(&[&path], &[]);
    let names: Vec<&str> = lines.iter().map(|line| line.split('\t').nth(2).unwrap()).collect();
    assert_eq!((code, names), (Some(0), vec!["\\x2d", "\\xff", "back\\\\slash", "line\\nend", "tab\\there"]));
    assert!(lines.iter().all(|line| line.starts_with("h\\tost\t") && line.split('\t').count() == 8));
}
