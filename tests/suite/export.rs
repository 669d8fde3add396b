//! `twintree export`: what stands in the files it writes, read back by the library it writes them with, and where they stand.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use parquet::file::properties::ReaderProperties;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::serialized_reader::ReadOptionsBuilder;
use parquet::record::{Field, Row};
use rustix::process::Signal;
use twintree::manifest::write;
use twintree::model::{Content, Listed, Problem, Reason, RootId};
use twintree::report::parquet::{Column, DIRECTORIES, FILES};

use crate::support::listed_trees::{Entries, Entry, file, listed_manifest, path};
use crate::support::manifests::{place, with_section};
use crate::support::process::{Process, twintree};

const TABLE: &str = "shop/orders-0123456789abcdef0123456789abcdef";

/// 2026-11-30, in the morning.
const CREATED_MS: i64 = 1_796_000_000_000;

fn sample() -> Entries {
    let mut entries = Entries::new();
    for directory in ["shop", TABLE, "shop/orders-2"] {
        entries.insert(path(directory), Entry::Directory(None));
    }
    let here = |name: &[u8]| path([TABLE.as_bytes(), b"/", name].concat());
    let problem = Problem::new(Reason::Unreadable, "no \"way\"");
    entries.insert(path("stray"), file(1, -1, "stray"));
    entries.insert(here(b"nb-3-big-Data.db"), file(7, CREATED_MS, "data"));
    entries.insert(here(b"nb-3-big-Statistics.db"), file(8, CREATED_MS, "statistics"));
    entries.insert(here(b"\xff"), file(0, i64::MAX, ""));
    entries.insert(here(b"gone"), Entry::File(Listed::Unlistable(problem.clone())));
    let content = Content::Unverified(problem);
    entries.insert(path("shop/orders-2/x"), Entry::File(Listed::File { size: 9, modified_ms: 0, content }));
    entries
}

fn manifest(home: &Path, host: &str, entries: &Entries) -> PathBuf {
    let path = home.join(format!("{host}.manifest"));
    let hints = Entries::new();
    let roots = [(RootId::DATA_0, entries), ("hints/0".parse().unwrap(), &hints)];
    write(&listed_manifest(host, CREATED_MS, &roots), &path).unwrap();
    path
}

/// Exit code, standard output, standard error.
fn export(arguments: &[&str], manifests: &[&Path], output: &Path) -> (Option<i32>, String, String) {
    let output = twintree().arg("export").args(arguments).args(manifests).arg("-o").arg(output).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap())
}

/// All files below a directory, by their paths from there.
fn listed(home: &Path) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![home.to_owned()]);
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                found.push(path.strip_prefix(home).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

fn one_file(output: &Path, table: &str) -> PathBuf {
    let found = listed(&output.join(table));
    assert_eq!(found.len(), 1, "{found:?}");
    output.join(table).join(&found[0])
}

fn rows(file: &Path) -> Vec<Row> {
    let reader = SerializedFileReader::new(File::open(file).unwrap()).unwrap();
    reader.get_row_iter(None).unwrap().map(Result::unwrap).collect()
}

/// A row's values by their names, without those that are null.
fn values(row: &Row) -> Vec<(String, String)> {
    let shown = |field: &Field| match field {
        Field::Str(text) => text.clone(),
        Field::Bytes(bytes) => hex::encode(bytes.data()),
        Field::TimestampMicros(time) => time.to_string(),
        other => other.to_string(),
    };
    let present = row.get_column_iter().filter(|(_, field)| !matches!(field, Field::Null));
    present.map(|(name, field)| (name.clone(), shown(field))).collect()
}

fn value(row: &Row, column: &str) -> Option<String> {
    values(row).into_iter().find(|(name, _)| name == column).map(|(_, value)| value)
}

#[test]
fn a_row_says_all_there_is_to_know_of_a_file() {
    let tmp = tempfile::tempdir().unwrap();
    let path = manifest(tmp.path(), "node1", &sample());
    let output = tmp.path().join("out");
    let (code, said, errors) = export(&["--cluster", "eu", "--run", "r1"], &[&path], &output);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(said, format!("{}: 1 of 1 manifests, 6 files, 5 directories\n", output.display()));
    let files = rows(&one_file(&output, "files"));
    let keys: Vec<String> = files.iter().map(|row| value(row, "key").unwrap()).collect();
    let expected = [
        &format!("{TABLE}/gone"),
        &format!("{TABLE}/nb-3-big-Data.db"),
        &format!("{TABLE}/nb-3-big-Statistics.db"),
        &format!("{TABLE}/\u{fffd}"),
        "shop/orders-2/x",
        "stray",
    ];
    assert_eq!(keys, expected);
    let data: Vec<(String, String)> = [
        ("run_id", "r1"),
        ("cluster", "eu"),
        ("host", "node1"),
        ("instance", "node1's instance"),
        ("root_type", "data"),
        ("root_index", "0"),
        ("keyspace", "shop"),
        ("table_name", "orders"),
        ("table_id", "0123456789abcdef0123456789abcdef"),
        ("sstable_id", "3"),
        ("component", "Data.db"),
        ("is_mutable", "false"),
        ("key", expected[1]),
        ("size", "7"),
        ("last_modified_date", "1796000000000000"),
        ("blake3", blake3::hash(b"data").to_string().as_str()),
        ("digest_source", "read"),
        ("state", "digest"),
        ("directory", TABLE),
        ("created_at", "1796000000000000"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec();
    assert_eq!(values(&files[1]), data);
    let some =
        |row: usize, columns: &[&str]| columns.iter().map(|column| value(&files[row], column)).collect::<Vec<_>>();
    let texts = |texts: &[Option<&str>]| texts.iter().map(|text| text.map(str::to_owned)).collect::<Vec<_>>();
    let error = Some("unreadable: no \"way\"");
    assert_eq!(
        some(0, &["state", "error", "size", "last_modified_date", "blake3", "digest_source"]),
        texts(&[Some("unlistable"), error, None, None, None, None])
    );
    assert_eq!(some(2, &["is_mutable"]), texts(&[Some("true")]));
    let stray_key = hex::encode([TABLE.as_bytes(), b"/\xff"].concat());
    assert_eq!(
        some(3, &["key_bytes", "last_modified_date", "last_modified_ms", "is_mutable"]),
        texts(&[Some(&stray_key), None, Some("9223372036854775807"), None])
    );
    assert_eq!(
        some(4, &["state", "error", "size", "table_name", "table_id"]),
        texts(&[Some("unverified"), error, Some("9"), Some("orders-2"), None])
    );
    assert_eq!(
        some(5, &["keyspace", "table_name", "last_modified_date", "directory"]),
        texts(&[None, None, Some("-1000"), Some("")])
    );
}

#[test]
fn directories_have_their_hashes_and_say_what_nobody_knows() {
    let tmp = tempfile::tempdir().unwrap();
    let mut entries = sample();
    entries.insert(path("locked"), Entry::Directory(Some(Problem::new(Reason::Unreadable, "no"))));
    let path = manifest(tmp.path(), "node1", &entries);
    let output = tmp.path().join("out");
    assert_eq!(export(&[], &[&path], &output).0, Some(0));
    let directories = rows(&one_file(&output, "directories"));
    let line = |row: &Row| {
        let of = |column| value(row, column).unwrap_or_else(|| "-".to_owned());
        format!("{}/{} {} {} {} {}", of("root_type"), of("path"), of("files"), of("bytes"), of("state"), of("error"))
    };
    let expected = [
        "data/ 1 1 listed -".to_owned(),
        "data/locked 0 0 unlisted unreadable: no".to_owned(),
        "data/shop 0 0 listed -".to_owned(),
        format!("data/{TABLE} 4 15 listed -"),
        "data/shop/orders-2 1 9 listed -".to_owned(),
        "hints/ 0 0 listed -".to_owned(),
    ];
    assert_eq!(directories.iter().map(line).collect::<Vec<_>>(), expected);
    let hashes = |row: &Row| (value(row, "metadata_hash").is_some(), value(row, "content_hash").is_some());
    let proven: Vec<(bool, bool)> = directories.iter().map(hashes).collect();
    assert_eq!(proven, [(false, false), (false, false), (false, false), (false, false), (true, false), (true, true)]);
    let empty = "9f1f1c78da6301aee3ba63268ce03c24640b2eb7d27dc69b4ac480b15f87f248";
    assert_eq!(value(&directories[5], "metadata_hash").as_deref(), Some(empty));
    assert!(
        directories.iter().all(|row| value(row, "rules_fingerprint").is_some() && value(row, "selection").is_none())
    );
}

#[test]
fn files_stand_in_partitions_and_are_replaced_by_the_same_manifest() {
    let tmp = tempfile::tempdir().unwrap();
    let (one, two) = (manifest(tmp.path(), "node1", &sample()), manifest(tmp.path(), "node 2", &Entries::new()));
    let output = tmp.path().join("new/out");
    assert_eq!(export(&["--cluster", "a/b=c"], &[&one, &two], &output).0, Some(0));
    let first = listed(&output);
    assert_eq!(first.len(), 4, "{first:?}");
    for table in ["files", "directories"] {
        for host in ["node1", "node_2"] {
            let begin = format!("{table}/dt=2026-11-30/cluster=a%2Fb%3Dc/m-{host}-");
            assert!(
                first.iter().any(|path| path.starts_with(&begin) && path.ends_with(".parquet")),
                "{begin}: {first:?}"
            );
        }
    }
    assert_eq!(export(&["--cluster", "a/b=c"], &[&one, &two], &output).0, Some(0));
    assert_eq!(listed(&output), first);
    assert_eq!(export(&["--cluster", "a/b=c", "--run", "2"], &[&one], &output).0, Some(0));
    assert_eq!(listed(&output).len(), 6);
}

#[test]
fn a_manifest_that_is_not_sound_leaves_nothing_and_the_others_are_there() {
    let tmp = tempfile::tempdir().unwrap();
    let (good, bad) = (manifest(tmp.path(), "good", &sample()), tmp.path().join("bad"));
    let sound = fs::read(&good).unwrap();
    let mut blocks = sound[place(&sound, b"BLKS")].to_vec();
    // A digest, and all checksums but that of its block.
    let (begin, end) = (12, blocks.len() - 32);
    let at = blocks.len() - 60;
    blocks[at] ^= 1;
    fs::write(&bad, with_section(&sound, b"BLKS", &blocks[begin..end])).unwrap();
    let output = tmp.path().join("out");
    let (code, said, errors) = export(&[], &[&bad, &good], &output);
    assert_eq!(code, Some(3));
    assert!(said.contains(": 1 of 2 manifests, 6 files"), "{said}");
    assert!(errors.contains(&format!("{}: ", bad.display())), "{errors}");
    assert_eq!(listed(&output).len(), 2, "{:?}", listed(&output));
    let (code, _, errors) = export(&[], &[&bad], &tmp.path().join("none"));
    assert_eq!((code, listed(&tmp.path().join("none"))), (Some(3), vec![]), "{errors}");
}

/// Whoever reads exports is somebody else than who writes them.
#[test]
fn files_may_be_read_by_whom_the_umask_lets() {
    let tmp = tempfile::tempdir().unwrap();
    let output = tmp.path().join("out");
    assert_eq!(export(&[], &[&manifest(tmp.path(), "node1", &sample())], &output).0, Some(0));
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
    fs::write(tmp.path().join("any"), "").unwrap();
    assert_eq!(mode(&one_file(&output, "files")), mode(&tmp.path().join("any")));
}

#[test]
fn an_export_that_is_interrupted_leaves_only_whole_files() {
    let tmp = tempfile::tempdir().unwrap();
    let (pairs, output) = (tmp.path().join("pairs"), tmp.path().join("out"));
    let path = manifest(tmp.path(), "node1", &sample());
    let lines = (0..2000).map(|pair| format!("{pair}\t{0}\t{0}\n", path.display()));
    fs::write(&pairs, lines.collect::<String>()).unwrap();
    let mut command = twintree();
    command.args(["export", "--pairs"]).arg(&pairs).arg("-o").arg(&output);
    let mut process = Process::start(command);
    process.wait_until_it_listens_to_signals();
    while listed(&output).len() < 10 {
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    process.signal(Signal::INT);
    assert_eq!(process.wait().code(), Some(4), "{}", process.errors());
    let found = listed(&output);
    assert!(found.len() < 8000 && found.iter().all(|path| path.ends_with(".parquet")), "{found:?}");
    for file in found {
        assert!(!rows(&output.join(&file)).is_empty(), "{file}");
    }
}

#[test]
fn pairs_say_which_side_a_manifest_is_of() {
    let tmp = tempfile::tempdir().unwrap();
    let (s, d) = (manifest(tmp.path(), "s", &sample()), manifest(tmp.path(), "d", &sample()));
    let pairs = tmp.path().join("pairs");
    fs::write(&pairs, format!("# one\nthe pair\t{}\t{}\n", s.display(), d.display())).unwrap();
    let output = tmp.path().join("out");
    assert_eq!(export(&["--pairs", pairs.to_str().unwrap()], &[], &output).0, Some(0));
    let files = listed(&output.join("files"));
    let mut sides: Vec<_> = files
        .iter()
        .flat_map(|path| rows(&output.join("files").join(path)))
        .map(|row| ["host", "pair_id", "role"].map(|column| value(&row, column).unwrap()).join(" "))
        .collect();
    sides.dedup();
    sides.sort();
    assert_eq!(sides, ["d the pair destination", "s the pair source"]);
    for (text, error) in [("a b", "expected a name and two manifests"), ("", "there is no pair in it")] {
        fs::write(&pairs, text).unwrap();
        let (code, _, errors) = export(&["--pairs", pairs.to_str().unwrap()], &[], &output);
        assert!(code == Some(2) && errors.contains(error), "{errors}");
    }
    let (code, _, errors) = export(&[], &[], &output);
    assert!(code == Some(2) && errors.contains("MANIFEST"), "{errors}");
    assert_eq!(export(&["--cluster", ""], &[&s], &output).0, Some(2));
    assert_eq!(export(&[], &[&s, &s], &output).0, Some(2));
}

/// More rows than a group holds: sorted throughout, with a bloom filter on digests in each group.
#[test]
fn row_groups_are_sorted_compressed_and_have_statistics_and_bloom_filters() {
    const FILES_OF_A_DIRECTORY: usize = 1000;
    let tmp = tempfile::tempdir().unwrap();
    let mut entries = Entries::new();
    for number in 0..130_000 {
        let directory = format!("d{:03}", number / FILES_OF_A_DIRECTORY);
        entries.entry(path(&directory)).or_insert(Entry::Directory(None));
        entries.insert(path(format!("{directory}/{number:06}")), file(number as u64, 5, &number.to_string()));
    }
    let output = tmp.path().join("out");
    assert_eq!(export(&[], &[&manifest(tmp.path(), "large", &entries)], &output).0, Some(0));
    let options = ReadOptionsBuilder::new()
        .with_reader_properties(ReaderProperties::builder().set_read_bloom_filter(true).build())
        .build();
    let written = File::open(one_file(&output, "files")).unwrap();
    let reader = SerializedFileReader::new_with_options(written, options).unwrap();
    let groups = reader.metadata().row_groups();
    assert_eq!(groups.iter().map(|group| group.num_rows()).collect::<Vec<_>>(), [100_000, 30_000]);
    let column = |name: &str| FILES.columns.iter().position(|column| column.name == name).unwrap();
    for (number, group) in groups.iter().enumerate() {
        assert!(group.columns().iter().all(|column| column.compression().to_string().starts_with("ZSTD")));
        let key = group.column(column("key")).statistics().unwrap();
        let first = format!("d{:03}/{:06}", number * 100, number * 100_000);
        assert_eq!(key.min_bytes_opt(), Some(first.as_bytes()));
        let group = reader.get_row_group(number).unwrap();
        let digests = group.get_column_bloom_filter(column("blake3")).unwrap();
        let digest = |text: String| blake3::hash(text.as_bytes()).to_string();
        assert!((0..1000).all(|n| digests.check(&digest((number * 100_000 + n).to_string()).as_str())));
        let others = (0..1000).filter(|n| digests.check(&digest(format!("none {n}")).as_str())).count();
        assert!(others < 50, "{others} of 1000 that are not there");
        assert!(group.get_column_bloom_filter(column("key")).is_none());
    }
    let keys: Vec<String> =
        reader.get_row_iter(None).unwrap().map(|row| value(&row.unwrap(), "key").unwrap()).collect();
    assert!(keys.len() == 130_000 && keys.is_sorted());
}

/// The tables of the page, in their order: names and types of columns.
fn of_the_page(table: &str) -> Vec<(String, String)> {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/fleet.md")).unwrap();
    let (_, section) = page.split_once(&format!("### `{table}`: ")).unwrap();
    let section = section.split("\n##").next().unwrap();
    let cells = |line: &str| line.split('|').map(|cell| cell.trim().to_owned()).collect::<Vec<_>>();
    let rows = section.lines().filter(|line| line.starts_with("| ")).map(cells).skip(2);
    rows.map(|cells| (cells[1].clone(), cells[2].clone())).collect()
}

fn of_the_code<R>(columns: &[Column<R>]) -> Vec<(String, String)> {
    columns.iter().map(|column| (column.name.to_owned(), column.sql_type().to_owned())).collect()
}

/// Lines are added to the file, and none is ever changed: whoever queries exports of years finds them as they were.
#[test]
fn no_column_is_taken_away_renamed_or_moved() {
    let recorded =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/export-columns.txt")).unwrap();
    let of = |table: &str| {
        let lines = recorded.lines().filter_map(|line| line.strip_prefix(&format!("{table} ")));
        lines.map(|line| line.split_once(' ').unwrap()).map(|(name, kind)| (name.to_owned(), kind.to_owned())).collect()
    };
    let (files, directories): (Vec<_>, Vec<_>) = (of("files"), of("directories"));
    assert_eq!(of_the_code(FILES.columns), files);
    assert_eq!(of_the_code(DIRECTORIES.columns), directories);
}

#[test]
fn the_page_has_every_column_that_is_written() {
    assert_eq!(of_the_page("files"), of_the_code(FILES.columns));
    assert_eq!(of_the_page("directories"), of_the_code(DIRECTORIES.columns));
    let tmp = tempfile::tempdir().unwrap();
    let output = tmp.path().join("out");
    assert_eq!(export(&[], &[&manifest(tmp.path(), "node1", &sample())], &output).0, Some(0));
    for table in ["files", "directories"] {
        let reader = SerializedFileReader::new(File::open(one_file(&output, table)).unwrap()).unwrap();
        let schema = reader.metadata().file_metadata().schema_descr();
        let sql = |column: &parquet::schema::types::ColumnDescriptor| {
            let logical = column.logical_type_ref().map(|logical| format!("{logical:?}")).unwrap_or_default();
            let name = match (column.physical_type().to_string().as_str(), logical.as_str()) {
                ("BYTE_ARRAY", "String") => "STRING",
                ("BYTE_ARRAY", "") => "BINARY",
                ("BOOLEAN", "") => "BOOLEAN",
                ("INT32", "") => "INT",
                ("INT64", "") => "BIGINT",
                ("INT64", time) if time.contains("is_adjusted_to_u_t_c: true") && time.contains("MICROS") => {
                    "TIMESTAMP"
                }
                other => panic!("{other:?}"),
            };
            assert_eq!(column.max_def_level(), 1, "{column:?} may be null");
            (column.name().to_owned(), name.to_owned())
        };
        let written: Vec<(String, String)> = schema.columns().iter().map(|column| sql(column)).collect();
        assert_eq!(written, of_the_page(table));
    }
}
