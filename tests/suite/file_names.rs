//! Names of entries in which two sides differ, alone, and what rsync makes of them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::support::material::missing;
use crate::support::program::{Ended, is_installed, shell, text, twintree};
use crate::support::services::{Pair, Setup, md5_request, storage_dirs};
use crate::support::trees::{copy_tree, flip_byte, plant};

/// Two trees with every kind of difference, and names that no line holds.
fn differing() -> tempfile::TempDir {
    let tmp = tempfile::tempdir().unwrap();
    let (s, d) = (tmp.path().join("s"), tmp.path().join("d"));
    plant(&s, 2, 3, 500);
    let table = "data/ks/table-0000";
    fs::create_dir_all(s.join("new/sub dir")).unwrap();
    copy_tree(&s, &d);
    fs::remove_dir_all(d.join("new")).unwrap();
    fs::write(s.join("new/sub dir/a b"), "only here").unwrap();
    fs::write(s.join("new/line\nbreak"), "only here").unwrap();
    fs::write(s.join(OsStr::from_bytes(b"\xff \\")), "only here").unwrap();
    flip_byte(&d.join(table).join("nb-0-big-Data.db"), 7);
    fs::write(d.join(table).join("nb-1-big-Data.db"), "short").unwrap();
    fs::remove_file(d.join(table).join("nb-2-big-Data.db")).unwrap();
    fs::create_dir_all(d.join("old/deep")).unwrap();
    fs::write(d.join("old/deep/f"), "").unwrap();
    fs::write(d.join("old/-rf"), "").unwrap();
    tmp
}

fn names(tmp: &Path, which: &str) -> Vec<String> {
    let (_, out, _) = shell(tmp, &format!("$T diff s d --files {which} -0 -q | tr '\\377' '?'"));
    out.split_terminator('\0').map(str::to_owned).collect()
}

#[test]
fn names_to_copy_and_names_to_delete_are_apart() {
    let tmp = differing();
    let table = |n: usize| format!("data/ks/table-0000/nb-{n}-big-Data.db");
    let of = |which: &str| names(tmp.path(), which);
    let mut copied = vec![table(0), table(1), table(2)];
    copied.extend(["new", "new/line\nbreak", "new/sub dir", "new/sub dir/a b", "? \\"].map(str::to_owned));
    assert_eq!(of("copy"), copied);
    assert_eq!(of("differ"), [table(0), table(1)]);
    assert_eq!(of("delete"), ["old/deep/f", "old/deep", "old/-rf", "old"], "what lies in a directory comes before it");
    assert_eq!(of("unverified"), [] as [&str; 0]);
    let (s, d) = (tmp.path().join("s"), tmp.path().join("d"));
    let (code, out, err) = twintree(&["diff", text(&s), text(&d), "--files", "delete"]);
    assert_eq!((code, out.as_str()), (1, "old/deep/f\nold/deep\nold/-rf\nold\n"));
    assert!(err.starts_with("FAILED: entries that are not proven equal"), "{err}");
    let (code, out, err) = twintree(&["diff", text(&s), text(&d), "--files", "copy"]);
    assert_eq!((code, out.as_str()), (2, ""), "a name would be taken for two");
    assert!(err.contains("add -0"), "{err}");
    assert_eq!(twintree(&["diff", text(&s), text(&s), "--files", "copy"]).0, 0);
    assert_eq!(twintree(&["diff", text(&s), text(&d), "--files", "copy", "--json"]).0, 2);
    assert_eq!(twintree(&["diff", text(&s), text(&d), "--files", "delete", "--root", "data/1"]).0, 2);
    let (_, of_root, _) = twintree(&["diff", text(&s), text(&d), "--files", "delete", "--root", "data/0"]);
    assert_eq!(of_root, "old/deep/f\nold/deep\nold/-rf\nold\n");
}

/// What the source has behind a link, or where it could not be read, is not known to be missing there.
#[test]
fn nothing_is_to_be_deleted_where_the_source_was_not_looked_at() {
    let tmp = tempfile::tempdir().unwrap();
    let (s, d) = (tmp.path().join("s"), tmp.path().join("d"));
    for home in [&s, &d] {
        plant(home, 1, 1, 100);
    }
    fs::create_dir_all(tmp.path().join("elsewhere")).unwrap();
    fs::write(tmp.path().join("elsewhere/good"), "good").unwrap();
    std::os::unix::fs::symlink("../elsewhere", s.join("linked")).unwrap();
    std::os::unix::fs::symlink("../nowhere", s.join("dangling")).unwrap();
    for name in ["linked", "dangling", "old"] {
        fs::create_dir_all(d.join(name).join("in")).unwrap();
        fs::write(d.join(name).join("in/good"), "good").unwrap();
    }
    let (code, out, err) = twintree(&["diff", text(&s), text(&d), "--files", "delete"]);
    assert_eq!((code, out.as_str()), (3, "old/in/good\nold/in\nold\n"), "{err}");
    assert!(err.contains("4 names are not among them"), "{err}");
    assert!(err.contains("note: data/0/linked at the source: a symbolic link"), "{err}");
}

/// What the source's manifest only leaves out is not missing there.
#[test]
fn nothing_is_to_be_deleted_that_the_source_leaves_out() {
    let tmp = differing();
    let line = "$T manifest s --exclude-dir 'glob:**/new' -o m > log && $T diff m s --files delete";
    let (code, out, err) = shell(tmp.path(), line);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("source excludes glob:**/new"), "{err}");
    let (code, out, _) = shell(tmp.path(), "$T diff m s --files copy -0");
    assert_eq!((code, out.as_str()), (1, ""));
}

/// rsync ends a name at a carriage return.
#[test]
fn a_carriage_return_is_refused_as_a_line_break_is() {
    let tmp = tempfile::tempdir().unwrap();
    let (s, d) = (tmp.path().join("s"), tmp.path().join("d"));
    plant(&s, 1, 1, 100);
    copy_tree(&s, &d);
    fs::write(s.join("a\rb"), "x").unwrap();
    let (code, out, err) = twintree(&["diff", text(&s), text(&d), "--files", "copy"]);
    assert_eq!((code, out.as_str()), (2, ""), "{err}");
    assert!(err.contains("add -0"), "{err}");
    assert_eq!(twintree(&["diff", text(&s), text(&d), "--files", "copy", "-0"]).1, "a\rb\0");
}

/// The lines of the README.
#[test]
fn rsync_makes_the_trees_equal_by_these_names() {
    if !is_installed("rsync") {
        return missing("rsync", "rsync is not installed");
    }
    let tmp = differing();
    for name in ["#hash", ";semicolon", "-I"] {
        fs::write(tmp.path().join("s").join(name), name).unwrap();
    }
    // A file where the other side has a directory, and the other way round.
    fs::create_dir_all(tmp.path().join("s/turned/in")).unwrap();
    fs::write(tmp.path().join("s/turned/in/f"), "f").unwrap();
    fs::write(tmp.path().join("d/turned"), "file").unwrap();
    fs::write(tmp.path().join("s/back"), "file").unwrap();
    fs::create_dir_all(tmp.path().join("d/back/in")).unwrap();
    // Links, which are followed: rsync is not to put them where the destination needs a file or a directory.
    fs::write(tmp.path().join("target"), "behind a link").unwrap();
    std::os::unix::fs::symlink("../target", tmp.path().join("s/file-link")).unwrap();
    fs::create_dir(tmp.path().join("targets")).unwrap();
    std::os::unix::fs::symlink("../targets", tmp.path().join("s/directory-link")).unwrap();
    for line in [
        "$T diff s d --files delete -0 > delete; (cd d && xargs -0r rm -d --) < delete",
        "$T diff s d --files copy -0 > copy; rsync -aIL --from0 --files-from=copy s/ d/",
    ] {
        let (code, out, err) = shell(tmp.path(), line);
        assert_eq!(code, 0, "{line}: {out}{err}");
    }
    let (code, out, _) = shell(tmp.path(), "$T diff s d");
    assert_eq!(code, 0, "{out}");
    let copied = |name: &str| fs::symlink_metadata(tmp.path().join("d").join(name)).unwrap().file_type();
    assert!(copied("file-link").is_file() && copied("directory-link").is_dir());
    // Without -I rsync passes over what has the same size and time.
    flip_byte(&tmp.path().join("d/data/ks/table-0001/nb-0-big-Data.db"), 3);
    shell(tmp.path(), "$T diff s d --files copy -0 > copy; rsync -aL --from0 --files-from=copy s/ d/");
    assert_eq!(shell(tmp.path(), "$T diff s d").0, 1);
    shell(tmp.path(), "rsync -aIL --from0 --files-from=copy s/ d/");
    assert_eq!(shell(tmp.path(), "$T diff s d").0, 0);
}

/// The names of one root of a task, by an instance with two data directories.
#[tokio::test(flavor = "multi_thread")]
async fn a_task_tells_the_names_of_each_root() {
    let tmp = tempfile::tempdir().unwrap();
    let (s, d) = (tmp.path().join("s"), tmp.path().join("d"));
    for name in ["one", "two"] {
        plant(&s.join(name), 2, 3, 500);
    }
    copy_tree(&s, &d);
    flip_byte(&d.join("one/data/ks/table-0000/nb-0-big-Data.db"), 7);
    flip_byte(&d.join("two/data/ks/table-0001/nb-1-big-Data.db"), 7);
    fs::remove_file(d.join("two/data/ks/table-0001/nb-2-big-Data.db")).unwrap();
    fs::write(d.join("two/data/ks/more"), "").unwrap();
    // Behind a link of the source nobody looks.
    fs::create_dir_all(tmp.path().join("elsewhere")).unwrap();
    std::os::unix::fs::symlink(tmp.path().join("elsewhere"), s.join("one/data/linked")).unwrap();
    fs::create_dir_all(d.join("one/data/linked")).unwrap();
    fs::write(d.join("one/data/linked/good"), "").unwrap();
    let roots = |home: &Path| format!("data_dirs: [{:?}, {:?}]", home.join("one"), home.join("two"));
    let (left, right) = (roots(&s), roots(&d));
    let (mut none, mut no) = (String::new(), String::new());
    let setup = Setup { source_roots: &left, destination_roots: &right, ..storage_dirs(&mut none, &mut no) };
    let pair = Pair::start(setup).await;
    let mut request = md5_request();
    let halted = pair.verify(&request).await;
    request["keepGoing"] = true.into();
    let whole = pair.verify(&request).await;
    let url = format!("http://127.0.0.1:{}", pair.destination_port);
    let names = |report: &serde_json::Value, more: &[&str]| -> Ended {
        let id = report["id"].as_str().unwrap();
        twintree(&[&["tasks", "--destination", &url, "files", id], more].concat())
    };
    let (table, of_two) = ("data/ks/table-0001", ["--root", "data/1"]);
    tokio::task::block_in_place(|| {
        let (code, out, err) = names(&whole, &of_two);
        assert_eq!((code, err.as_str()), (0, ""), "{out}");
        assert_eq!(out, format!("{table}/nb-1-big-Data.db\n{table}/nb-2-big-Data.db\n"));
        assert_eq!(names(&whole, &["--root", "data/0", "-0"]).1, "data/ks/table-0000/nb-0-big-Data.db\0");
        assert_eq!(names(&whole, &["--root", "data/1", "--files", "delete"]).1, "data/ks/more\n");
        assert_eq!(names(&whole, &["--root", "data/1", "--files", "differ"]).1, format!("{table}/nb-1-big-Data.db\n"));
        let (code, out, err) = names(&whole, &["--root", "data/0", "--files", "delete"]);
        assert_eq!((code, out.as_str()), (3, ""));
        assert!(err.contains("data/0/data/linked at the source: a symbolic link"), "{err}");
        let (code, out, err) = names(&whole, &[]);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.contains("say with --root of which root: data/0, data/1"), "{err}");
        let (code, out, err) = names(&halted, &of_two);
        assert_eq!((code, out), (3, format!("{table}/nb-2-big-Data.db\n")));
        assert!(err.contains("11 files were not compared in content"), "{err}");
    });
    pair.stop().await;
}
