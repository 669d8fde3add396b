//! Checksum lists that other programs wrote as one side of a comparison, and those that twintree writes.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use md5::Digest as _;
use serde_json::{Value, json};

use crate::support::material::missing;
use crate::support::program::{is_installed, shell, text, twintree};
use crate::support::trees::{copy_tree, flip_byte, plant};

/// Names that a line of a list must escape, or that look like parts of one.
const STRANGE: [&str; 7] = ["a b", "line\nbreak", "back\\slash", "*star", "-", "MD5 (x) = y", "return\r"];

/// A tree with names of all kinds.
fn tree() -> tempfile::TempDir {
    let tmp = tempfile::tempdir().unwrap();
    let data = tmp.path().join("data");
    plant(&tmp.path().join("planted"), 2, 5, 2000);
    copy_tree(&tmp.path().join("planted/data"), &data);
    fs::create_dir(data.join("strange")).unwrap();
    for name in STRANGE {
        fs::write(data.join("strange").join(name), name).unwrap();
    }
    fs::write(data.join("empty file"), b"").unwrap();
    tmp
}

fn diff(args: &[&str]) -> (i32, Value) {
    let (code, out, err) = twintree(&[&["diff", "--json"], args].concat());
    (code, serde_json::from_str(&out).unwrap_or_else(|_| panic!("{args:?} {code}: {out} {err}")))
}

fn files_below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

/// The files of a tree with their relative names, sorted.
fn files(data: &Path) -> Vec<(PathBuf, PathBuf)> {
    let mut found = Vec::new();
    files_below(data, &mut found);
    found.sort();
    found.into_iter().map(|path| (path.strip_prefix(data).unwrap().to_owned(), path)).collect()
}

#[test]
fn lists_of_the_real_programs_equal_the_directory_they_were_made_of() {
    let tmp = tree();
    let data = tmp.path().join("data");
    let find = "cd data && find . -type f -print0 | sort -z | xargs -0";
    for (program, algorithm, list) in [
        ("sha256sum", "SHA-256", "SHA256SUMS"),
        ("sha1sum", "SHA-1", "list1"),
        ("md5sum", "MD5", "list2"),
        ("sha256sum -b", "SHA-256", "x.sha256"),
        ("sha256sum --tag", "SHA-256", "list3"),
        ("md5sum --tag", "MD5", "list4"),
        ("sha1sum -z", "SHA-1", "list5"),
        ("b3sum", "BLAKE3", "b3sums"),
    ] {
        let name = program.split(' ').next().unwrap();
        if !is_installed(name) {
            missing(if name == "b3sum" { "b3sum" } else { "sha256sum" }, &format!("{name} is not installed"));
            continue;
        }
        let (code, _, err) = shell(tmp.path(), &format!("{find} {program} > ../{list}"));
        assert_eq!(code, 0, "{program}: {err}");
        let list = tmp.path().join(list);
        for sides in [[text(&list), text(&data)], [text(&data), text(&list)]] {
            let (code, result) = diff(&sides);
            assert_eq!((code, &result["state"]), (0, &"COMPLETED".into()), "{program}: {result:#}");
            assert_eq!(result["filesMatched"], 18, "{program}");
            assert_eq!(
                (&result["digestAlgorithm"], &result["scope"]["checksums"]),
                (&json!(algorithm), &json!(algorithm))
            );
            let headline = result["headline"].as_str().unwrap();
            assert!(headline.starts_with(&format!("equal by {algorithm} of a checksum list; ")), "{headline}");
            let facts = "modification times, sizes and empty directories not compared";
            assert!(headline.contains(facts), "{headline}");
            assert_eq!(
                result["scope"]["notCompared"],
                json!(["modification-times", "sizes", "empty-directories"]),
                "{program}"
            );
        }
        let (code, out, _) = shell(tmp.path(), &format!("$T diff - data --algorithm {algorithm} < {}", text(&list)));
        assert_eq!(code, 0, "{program}: {out}");
    }
}

/// Both write some characters of names as others, or break lines at them, so these names are plain.
#[test]
fn lists_of_hashdeep_and_rclone_equal_the_directory_they_were_made_of() {
    let tmp = tree();
    let data = tmp.path().join("data/ks");
    fs::write(data.join("comma, and space"), "x").unwrap();
    for (program, command, algorithm, sizes) in [
        ("hashdeep", "hashdeep -rl .", "SHA-256", true),
        ("hashdeep", "hashdeep -c sha1,md5 -rl .", "SHA-1", true),
        ("hashdeep", "hashdeep -r $PWD", "SHA-256", true),
        ("rclone", "rclone -q hashsum MD5 .", "MD5", false),
        ("rclone", "rclone -q hashsum SHA-1 --base64 .", "SHA-1", false),
    ] {
        if !is_installed(program) && !shell(tmp.path(), &format!("{program} -V")).1.starts_with("4.") {
            missing(program, &format!("{program} is not installed"));
            continue;
        }
        let (code, _, err) = shell(&data, &format!("{command} > ../../list"));
        assert_eq!(code, 0, "{command}: {err}");
        let list = tmp.path().join("list");
        let absolute = command.contains("PWD");
        let prefix = ["--strip-prefix", text(&data)];
        let args = [&[text(&list), text(&data)][..], if absolute { &prefix[..] } else { &[] }].concat();
        let (code, result) = diff(&args);
        assert_eq!((code, &result["filesMatched"]), (0, &json!(11)), "{command}: {result:#}");
        assert_eq!(result["scope"]["checksums"], algorithm);
        assert_eq!(result["scope"]["notCompared"].as_array().unwrap().contains(&json!("sizes")), !sizes);
        if absolute {
            assert_eq!(twintree(&["diff", text(&list), text(&data)]).0, 2);
        }
    }
}

#[test]
fn every_kind_of_fault_is_found_and_only_where_it_is() {
    let tmp = tree();
    let data = tmp.path().join("data");
    for format in ["sha256sum", "b3sum"] {
        let list = tmp.path().join(format!("list.{format}"));
        assert_eq!(twintree(&["manifest", text(&data), "--format", format, "-o", text(&list)]).0, 0);
        let copy = tmp.path().join(format!("copy-{format}"));
        copy_tree(&data, &copy);
        assert_eq!(diff(&[text(&list), text(&copy)]).0, 0);
        // Neither times nor directories without files are in a list.
        File::options().write(true).open(copy.join("empty file")).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
        fs::create_dir_all(copy.join("nothing/in/it")).unwrap();
        assert_eq!(diff(&[text(&list), text(&copy)]).0, 0);

        flip_byte(&copy.join("ks/table-0001/nb-3-big-Data.db"), 100);
        let (code, result) = diff(&[text(&list), text(&copy)]);
        assert_eq!((code, &result["digestMismatches"], &result["filesMatched"]), (1, &json!(1), &json!(17)));
        let difference = &result["differences"][0];
        assert_eq!(difference["kind"], "content");
        assert_eq!(difference["source"]["size"], Value::Null, "a list does not say it");
        assert_eq!(difference["destination"]["size"], 2000);
        let algorithm = if format == "b3sum" { "BLAKE3" } else { "SHA-256" };
        assert_ne!(difference["source"]["digests"][algorithm], difference["destination"]["digests"][algorithm]);
        assert!(difference["source"]["digests"][algorithm].is_string());

        fs::remove_file(copy.join("strange/a b")).unwrap();
        fs::write(copy.join("strange/new"), "").unwrap();
        let (code, result) = diff(&[text(&list), text(&copy)]);
        assert_eq!((code, &result["filesNotFoundAtDestination"]), (1, &json!(1)));
        assert_eq!((&result["filesNotFoundAtSource"], &result["filesMatched"]), (&json!(1), &json!(0)));
        assert_eq!(result["contentNotCompared"], 17);
        let (_, result) = diff(&[text(&list), text(&copy), "--keep-going"]);
        assert_eq!((&result["digestMismatches"], &result["filesMatched"]), (&json!(1), &json!(16)));
        let kinds: Vec<&str> =
            result["differences"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["content", "missing-at-destination", "missing-at-source"]);
    }
}

/// What cannot be read, and what is no file, is neither missing nor equal.
#[test]
fn what_cannot_be_checked_is_unverified() {
    let tmp = tree();
    let (data, list) = (tmp.path().join("data"), tmp.path().join("list.sha256"));
    assert_eq!(twintree(&["manifest", text(&data), "--format", "sha256sum", "-o", text(&list)]).0, 0);
    let file = data.join("ks/table-0001/nb-3-big-Data.db");
    fs::rename(&file, tmp.path().join("away")).unwrap();
    symlink("nothing", &file).unwrap();
    let (code, result) = diff(&[text(&list), text(&data)]);
    assert_eq!((code, &result["digestVerificationFailures"]), (3, &json!(1)), "{result:#}");
    assert_eq!(result["differences"][0]["side"], "destination");
    fs::remove_file(&file).unwrap();
    fs::create_dir(&file).unwrap();
    let (code, result) = diff(&[text(&list), text(&data)]);
    assert_eq!((code, &result["differences"][0]["kind"]), (1, &json!("type")), "{result:#}");

    // A link to a directory is not entered: what a list has behind it may be there.
    fs::remove_dir(&file).unwrap();
    fs::rename(tmp.path().join("away"), &file).unwrap();
    assert_eq!(diff(&[text(&list), text(&data)]).0, 0);
    fs::rename(data.join("ks/table-0001"), tmp.path().join("elsewhere")).unwrap();
    symlink(tmp.path().join("elsewhere"), data.join("ks/table-0001")).unwrap();
    let (code, result) = diff(&[text(&list), text(&data), "--keep-going"]);
    assert_eq!((code, &result["digestVerificationFailures"]), (3, &json!(6)), "{result:#}");
    assert!(result["differences"][0]["detail"].as_str().unwrap().contains("symbolic link"), "{result:#}");
    // One that the list knows nothing of is noted.
    fs::remove_file(data.join("ks/table-0001")).unwrap();
    fs::rename(tmp.path().join("elsewhere"), data.join("ks/table-0001")).unwrap();
    symlink("ks", data.join("link")).unwrap();
    let (code, result) = diff(&[text(&list), text(&data)]);
    assert_eq!(code, 0, "{result:#}");
    assert!(result["notes"].to_string().contains("data/0/link"), "{result:#}");
}

#[test]
fn a_manifest_has_blake3_and_nothing_else() {
    let tmp = tree();
    let (data, manifest) = (tmp.path().join("data"), tmp.path().join("m"));
    assert_eq!(twintree(&["manifest", text(&data), "-o", text(&manifest)]).0, 0);
    for (format, code) in [("b3sum", 0), ("sha256sum", 2)] {
        let list = tmp.path().join(format!("list.{format}"));
        assert_eq!(twintree(&["manifest", text(&data), "--format", format, "-o", text(&list)]).0, 0);
        let (got, out, err) = twintree(&["diff", text(&list), text(&manifest)]);
        assert_eq!(got, code, "{format}: {out}{err}");
        if code == 2 {
            assert_eq!(out, "");
            let what = "nothing can be compared: the source has SHA-256, the destination BLAKE3";
            assert!(err.contains(what), "{err}");
        }
    }
    // Manifest and list of the changed tree.
    flip_byte(&data.join("ks/table-0001/nb-3-big-Data.db"), 100);
    let list = tmp.path().join("changed.b3");
    assert_eq!(twintree(&["manifest", text(&data), "--format", "b3sum", "-o", text(&list)]).0, 0);
    let (code, result) = diff(&[text(&manifest), text(&list)]);
    assert_eq!((code, &result["digestMismatches"]), (1, &json!(1)));
}

#[test]
fn two_lists_are_compared_by_what_both_have() {
    let tmp = tree();
    let data = tmp.path().join("data");
    let hex = |bytes: &[u8]| hex::encode(md5::Md5::digest(bytes));
    let mut md5 = String::new();
    let mut deep = "%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,filename\n## Invoked from: /\n##\n".to_owned();
    for (name, path) in files(&data) {
        let bytes = fs::read(&path).unwrap();
        if name.to_str().unwrap().contains(['\n', '\\', '\r']) {
            continue;
        }
        md5.push_str(&format!("{}  {}\n", hex(&bytes), name.display()));
        let (size, zeros) = (bytes.len(), "0".repeat(64));
        deep.push_str(&format!("{size},{},{zeros},./{}\n", hex(&bytes), name.display()));
    }
    let (list, hashdeep) = (tmp.path().join("list"), tmp.path().join("deep"));
    fs::write(&list, &md5).unwrap();
    fs::write(&hashdeep, &deep).unwrap();
    let (code, result) = diff(&[text(&list), text(&hashdeep)]);
    assert_eq!(
        (code, &result["filesMatched"], &result["scope"]["checksums"]),
        (0, &json!(15), &json!("MD5")),
        "{result:#}"
    );
    // The strongest of a list is taken, and another one where it is named.
    let strange = ["--exclude", "*\n*", "--exclude", "back*", "--exclude", "return*"];
    let (code, result) = diff(&[&[text(&hashdeep), text(&data)], &strange[..]].concat());
    assert_eq!((code, &result["digestMismatches"], &result["scope"]["checksums"]), (1, &json!(15), &json!("SHA-256")));
    assert_eq!(result["scope"]["notCompared"], json!(["modification-times", "empty-directories"]), "it has sizes");
    let (code, result) = diff(&[&[text(&hashdeep), text(&data), "--algorithm", "md5"], &strange[..]].concat());
    assert_eq!((code, &result["filesMatched"]), (0, &json!(15)), "{result:#}");
    File::options().append(true).open(data.join("strange/a b")).unwrap().set_len(9).unwrap();
    let (code, result) = diff(&[&[text(&hashdeep), text(&data), "--algorithm", "md5"], &strange[..]].concat());
    assert_eq!((code, &result["differences"][0]["kind"]), (1, &json!("size")));
    fs::write(&list, md5.replace("a b", "a c")).unwrap();
    let (code, result) = diff(&[text(&list), text(&hashdeep)]);
    assert_eq!(
        (code, &result["filesNotFoundAtSource"], &result["filesNotFoundAtDestination"]),
        (1, &json!(1), &json!(1))
    );
}

#[test]
fn hashes_of_rclone_are_read_in_both_of_its_forms() {
    let tmp = tree();
    let data = tmp.path().join("data");
    let list = |base64: bool| -> String {
        let line = |(name, path): (PathBuf, PathBuf)| {
            let md5 = md5::Md5::digest(fs::read(path).unwrap());
            let value = if base64 { base64::engine::general_purpose::URL_SAFE.encode(md5) } else { hex::encode(md5) };
            format!("{value}  {}\n", name.display())
        };
        files(&data.join("ks")).into_iter().map(line).collect()
    };
    for base64 in [false, true] {
        fs::write(tmp.path().join("list"), list(base64)).unwrap();
        let (code, result) = diff(&[text(&tmp.path().join("list")), text(&data.join("ks"))]);
        assert_eq!((code, &result["filesMatched"]), (0, &json!(10)), "{result:#}");
    }
    // Where it had no value, there is nothing to compare with.
    let without = list(false).lines().map(|line| format!("{}UNSUPPORTED{}\n", " ".repeat(21), &line[32..])).next();
    let rest: String = list(false).lines().skip(1).map(|line| format!("{line}\n")).collect();
    fs::write(tmp.path().join("list"), without.unwrap() + &rest).unwrap();
    let (code, result) = diff(&[text(&tmp.path().join("list")), text(&data.join("ks"))]);
    assert_eq!((code, &result["filesMatched"], &result["digestVerificationFailures"]), (3, &json!(9), &json!(1)));
}

#[test]
fn a_manifest_of_medusa_is_compared_with_all_its_forms_of_md5() {
    let tmp = tempfile::tempdir().unwrap();
    let table = tmp.path().join("data/ks/t-1");
    fs::create_dir_all(table.join(".index")).unwrap();
    let large: Vec<u8> = (0..17 << 20).map(|at: u32| (at >> 3) as u8).collect();
    fs::write(table.join("nb-1-big-Data.db"), b"one").unwrap();
    fs::write(table.join(".index/nb-2-big-Data.db"), b"two").unwrap();
    fs::write(table.join("nb-3-big-Data.db"), &large).unwrap();
    let md5 = |bytes: &[u8]| md5::Md5::digest(bytes).to_vec();
    let parts: Vec<u8> = large.chunks(8 << 20).flat_map(md5).collect();
    let base64 = base64::engine::general_purpose::STANDARD.encode(md5(b"two"));
    let manifest = |value: String| {
        let object = |path: &str, md5: String, size: usize| json!({"path": format!("p/node/data/ks/t-1/{path}"), "MD5": md5, "size": size});
        json!([{"keyspace": "ks", "columnfamily": "t-1", "objects": [
            object("nb-1-big-Data.db", hex::encode(md5(b"one")), 3),
            object(".index/nb-2-big-Data.db", base64.clone(), 3),
            object("nb-3-big-Data.db", value, large.len()),
        ]}])
    };
    let (list, data) = (tmp.path().join("manifest.json"), tmp.path().join("data"));
    let compared = |value: String| {
        fs::write(&list, manifest(value).to_string()).unwrap();
        let (code, result) = diff(&[text(&list), text(&data)]);
        (code, result["filesMatched"].clone(), result["differences"].clone())
    };
    let (code, matched, _) = compared(format!("{}-3", hex::encode(md5(&parts))));
    assert_eq!((code, matched), (0, json!(3)));
    // Parts of another size, and a file that is another: nobody can tell them apart.
    for parts in [3, 999] {
        let (code, matched, differences) = compared(format!("{}-{parts}", hex::encode(md5(b"x"))));
        assert_eq!((code, matched), (3, json!(2)));
        assert!(differences[0]["detail"].as_str().unwrap().contains("not their size"), "{differences:#}");
    }
    let (code, _, differences) = compared(hex::encode(md5(b"x")));
    assert_eq!((code, &differences[0]["kind"]), (1, &json!("content")));
    assert_eq!(differences[0]["source"]["size"], large.len());
}

#[test]
fn lists_that_cannot_be_used_are_refused_by_name_and_line() {
    let tmp = tree();
    let (data, list) = (tmp.path().join("data"), tmp.path().join("list"));
    let zeros = |count| "0".repeat(count);
    for (content, args, code, what) in [
        (format!("{}  a\n", zeros(64)), &[][..], 2, "list: line 1: 64 hexadecimal digits are SHA-256 or BLAKE3"),
        (format!("{}  a\n", zeros(32)), &["--algorithm", "sha1"], 2, "list: it has no SHA-1 of any file"),
        (format!("{}  /data/a\n", zeros(32)), &[], 2, "line 1: its name is absolute; say with --strip-prefix"),
        (format!("{}  /data/a\n", zeros(32)), &["--strip-prefix", "/d"], 2, "line 1: its name does not lie below"),
        (format!("{}  ../a\n", zeros(32)), &[], 3, "line 1: its name: a name is"),
        (format!("{}  a\n{}  a\n", zeros(32), "1".repeat(32)), &[], 3, "list: a stands twice, with other values"),
        ("hello\n".to_owned(), &[], 3, "list: neither a manifest nor a checksum list: line 1"),
        (format!("{}  a\nhello\n", zeros(32)), &[], 3, "list: line 2: no checksum and name"),
        ("[1]".to_owned(), &[], 3, "list: no manifest.json of cassandra-medusa"),
        (String::new(), &[], 3, "list: it names not a single file"),
        ("TWINTREE".to_owned(), &[], 3, "list: "),
    ] {
        fs::write(&list, &content).unwrap();
        let (got, out, err) = twintree(&[&["diff", text(&list), text(&data)], args].concat());
        assert_eq!((got, out.as_str()), (code, ""), "{content}: {err}");
        assert!(err.contains(what), "{content}: {err}");
    }
    for (args, what) in [
        (["--algorithm", "md5"], "neither side is one"),
        (["--strip-prefix", "x"], "neither side is one"),
        (["--algorithm", "crc32"], "expected BLAKE3, SHA-256, SHA-1 or MD5"),
    ] {
        let (code, _, err) = twintree(&[&["diff", text(&data), text(&data)], &args[..]].concat());
        assert_eq!(code, 2);
        assert!(err.contains(what), "{err}");
    }
}

/// What the rules of the scan leave out of the directory, the list does not miss.
#[test]
fn exclusions_hold_for_the_list_too() {
    let tmp = tree();
    let (data, list) = (tmp.path().join("data"), tmp.path().join("list.b3"));
    assert_eq!(twintree(&["manifest", text(&data), "--format", "b3sum", "-o", text(&list)]).0, 0);
    for args in [&["--exclude-file", "glob:**.db"][..], &["--exclude-dir", "glob:**/strange"], &["--keyspace", "ks"]] {
        let (code, result) = diff(&[&[text(&list), text(&data)], args].concat());
        assert_eq!(code, 0, "{args:?}: {result:#}");
        assert!(result["filesMatched"].as_u64().unwrap() < 18);
    }
}

#[test]
fn the_programs_accept_what_is_written() {
    let tmp = tree();
    let data = tmp.path().join("data");
    for (program, format) in [("b3sum", "b3sum"), ("sha256sum", "sha256sum")] {
        let list = format!("list.{format}");
        let (code, out, err) =
            twintree(&["manifest", text(&data), "--format", format, "-o", text(&tmp.path().join(&list))]);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert!(out.ends_with(": 18 files\n"), "{out}");
        let (code, piped, err) = shell(tmp.path(), &format!("$T manifest data --format {format} -o -"));
        assert_eq!((code, err.as_str()), (0, "-: 18 files\n"));
        assert_eq!(piped, fs::read_to_string(tmp.path().join(&list)).unwrap());
        if !is_installed(program) {
            missing(format, &format!("{program} is not installed"));
            continue;
        }
        let (code, out, err) = shell(&data, &format!("{program} --check ../{list}"));
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert_eq!(out.lines().count(), 18, "{out}");
        let (_, theirs, _) = shell(&data, &format!("find * -type f -print0 | xargs -0 {program} | sort"));
        let mut ours: Vec<&str> = piped.lines().collect();
        ours.sort_unstable();
        let mut theirs: Vec<&str> = theirs.lines().collect();
        theirs.sort_unstable();
        assert_eq!(ours, theirs, "{program} itself writes the same");
    }
}

#[test]
fn what_is_not_in_a_list_is_said() {
    let tmp = tempfile::tempdir().unwrap();
    let data = tmp.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("a"), "a").unwrap();
    symlink("nothing", data.join("dangling")).unwrap();
    let strange = OsStr::from_bytes(b"\xff");
    fs::write(data.join(strange), "x").unwrap();
    fs::create_dir(tmp.path().join("elsewhere")).unwrap();
    symlink("../elsewhere", data.join("linked")).unwrap();
    for format in ["b3sum", "sha256sum"] {
        let list = tmp.path().join(format!("list.{format}"));
        let (code, _, err) = twintree(&["manifest", text(&data), "--format", format, "-o", text(&list)]);
        assert_eq!(code, 3);
        assert!(err.contains("1 entries could not be read, and are not in the list"), "{err}");
        assert!(err.contains("linked: a symbolic link to a directory is not entered"), "{err}");
        assert_eq!(err.contains("not UTF-8"), format == "b3sum", "{err}");
        let (code, result) = diff(&[text(&list), text(&data), "--keep-going"]);
        assert_eq!((code, &result["filesMatched"]), (1, &json!(2)), "{result:#}");
    }
}

#[test]
fn a_pipe_is_to_be_named_as_standard_input() {
    let tmp = tree();
    let (code, _, err) = shell(tmp.path(), "mkfifo pipe && $T diff pipe data");
    assert_eq!(code, 2, "{err}");
    assert!(err.contains("pipe: it is a pipe; say - for a file on standard input"), "{err}");
}
