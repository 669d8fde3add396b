//! `twintree bulk` over directories and manifests: plans, what they come to, and every form in which that is said.

use std::path::Path;

use serde_json::Value;

use crate::support::process::twintree;
use crate::support::trees::{copy_tree, flip_byte};

const ID: &str = "0123456789abcdef0123456789abcdef";

/// Two keyspaces with a table each, in a source and an equal destination.
fn trees() -> tempfile::TempDir {
    let home = tempfile::tempdir().unwrap();
    for keyspace in ["shop1", "shop2", "audit"] {
        let table = home.path().join(format!("s/{keyspace}/events-{ID}"));
        std::fs::create_dir_all(&table).unwrap();
        std::fs::write(table.join("nb-1-big-Data.db"), keyspace.repeat(100)).unwrap();
    }
    copy_tree(&home.path().join("s"), &home.path().join("d"));
    home
}

fn damaged_file(home: &Path) -> std::path::PathBuf {
    home.join(format!("d/shop2/events-{ID}/nb-1-big-Data.db"))
}

/// Exit code, standard output and standard error.
fn run(home: &Path, plan: &str, arguments: &[&str]) -> (i32, String, String) {
    std::fs::write(home.join("plan.yaml"), plan).unwrap();
    ended(twintree().args(["bulk", "plan.yaml"]).args(arguments).current_dir(home))
}

fn ended(command: &mut std::process::Command) -> (i32, String, String) {
    let output = command.output().unwrap();
    let [said, errors] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    (output.status.code().unwrap(), said, errors)
}

const ALL_KINDS: &str = "\
defaults: {keepGoing: true}
comparisons:
  - {name: whole, source: s, destination: d}
  - {name: some, source: s, destination: d, keyspaces: ['audit', 'shop1*']}
  - {name: none, source: s, destination: d, keyspaces: ['nothing*']}
  - {name: absent, source: s, destination: elsewhere}
  - {name: empty, source: nothing, destination: nothing}
  - {name: manifests, source: s.manifest, destination: s.manifest}
  - {name: refused, source: s.manifest, destination: s.manifest, keyspaces: [audit]}
";

#[test]
fn every_kind_of_pair_comes_to_what_it_is_and_every_form_says_so() {
    let trees = trees();
    let home = trees.path();
    std::fs::create_dir(home.join("nothing")).unwrap();
    flip_byte(&damaged_file(home), 3);
    assert_eq!(ended(twintree().args(["manifest", "s", "-o", "s.manifest"]).current_dir(home)).0, 0);
    let (code, said, errors) = run(home, ALL_KINDS, &["--json", "--report", "out", "--metrics", "m.prom"]);
    assert_eq!(code, 1, "{errors}");
    let result: Value = serde_json::from_str(&said).unwrap();
    let found: Vec<(&str, &str)> = result["comparisons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["name"].as_str().unwrap(), one["outcome"].as_str().unwrap()))
        .collect();
    let expected = [
        ("whole", "different"),
        ("absent", "unverified"),
        ("none", "unverified"),
        ("refused", "unverified"),
        ("empty", "nothing-compared"),
        ("manifests", "equal"),
        ("some", "equal"),
    ];
    assert_eq!(found, expected, "{said}");
    let one = |name: &str| &result["comparisons"][found.iter().position(|(known, _)| *known == name).unwrap()];
    let message = |name: &str| one(name)["message"].as_str().unwrap().to_owned();
    assert!(message("none").contains("on neither side is anything that matches nothing*"), "{}", message("none"));
    assert!(message("absent").contains("elsewhere: "), "{}", message("absent"));
    assert!(message("refused").contains("both sides are manifests"), "{}", message("refused"));
    assert!(message("some").starts_with("equal within audit, shop1; "), "{}", message("some"));
    assert_eq!(
        one("whole")["keyspaces"],
        serde_json::json!({"audit": "equal", "shop1": "equal", "shop2": "different"})
    );
    assert_eq!(one("whole")["result"]["differences"][0]["kind"], "content");
    assert_eq!((&result["finished"], &result["outcomes"]["unverified"]), (&true.into(), &3.into()));
    assert_eq!((&result["digestMismatches"], &result["toGo"]), (&1.into(), &0.into()));

    let index = std::fs::read_to_string(home.join("out/index.html")).unwrap();
    let page = one("whole")["page"].as_str().unwrap();
    assert!(index.contains(&format!("<a href=\"{page}\">whole</a>")), "{index}");
    let page = std::fs::read_to_string(home.join("out").join(page)).unwrap();
    assert!(page.contains("<h1>FAILED whole</h1>") && page.contains("nb-1-big-Data.db"), "{page}");
    let metrics = std::fs::read_to_string(home.join("m.prom")).unwrap();
    assert!(
        metrics.contains("twintree_bulk_comparison_outcome{comparison=\"whole\",outcome=\"different\"} 1"),
        "{metrics}"
    );
    assert!(metrics.contains("twintree_bulk_finished 1\n"), "{metrics}");

    // A finished run begins from the start, in whatever form it is asked for.
    let (code, said, _) = run(home, ALL_KINDS, &["--quiet"]);
    assert!(code == 1 && said.starts_with("different         whole"), "{said}");
    assert!(
        said.contains("not equal by keyspace and table:\n  whole ") && said.contains("data shop2 events"),
        "{said}"
    );
    assert!(said.ends_with("\n2 equal, 1 different, 3 unverified, 1 with nothing to compare\n"), "{said}");
    let (code, said, _) = run(home, ALL_KINDS, &["--csv"]);
    assert!(code == 1 && said.lines().count() == 1 + expected.len() + 1, "{said}");
    let (code, said, _) = run(home, ALL_KINDS, &["--json-lines"]);
    let lines: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, lines.len()), (1, expected.len()));
}

#[test]
fn what_is_repeated_is_asked_for_and_what_was_changed_is_made_again() {
    let trees = trees();
    let home = trees.path();
    let damaged = damaged_file(home);
    flip_byte(&damaged, 3);
    let plan = "comparisons:\n  - {name: a, source: s, destination: d}\n  - {name: b, source: s/audit, destination: d/audit}\n\
                \x20 - {name: c, source: s, destination: e}\n";
    let (code, _, errors) = run(home, plan, &["--only", "failed"]);
    assert!(code == 2 && errors.contains("there was none"), "{errors}");
    assert_eq!(run(home, plan, &[]).0, 1);
    let began = |said: &str| -> Vec<(String, String, i64)> {
        let result: Value = serde_json::from_str(said).unwrap();
        let mut all: Vec<_> = result["comparisons"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| {
                let text = |key: &str| one[key].as_str().unwrap().to_owned();
                (text("name"), text("outcome"), one["beganAt"].as_i64().unwrap())
            })
            .collect();
        all.sort();
        all
    };
    // What failed is made again, and the rest stays as it was.
    copy_tree(&home.join("s"), &home.join("e"));
    let (code, said, _) = run(home, plan, &["--only", "failed", "--json"]);
    assert_eq!(code, 1, "{said}");
    let first = began(&said);
    assert_eq!((&first[0].1[..], &first[1].1[..], &first[2].1[..]), ("different", "equal", "equal"), "{said}");
    assert!(first[2].2 > first[0].2);
    // After a repair, what differed.
    flip_byte(&damaged, 3);
    let (code, said, _) = run(home, plan, &["--only", "different", "--json"]);
    assert_eq!(code, 0, "{said}");
    let second = began(&said);
    assert!(second[0].1 == "equal" && second[0].2 > first[0].2, "{second:?}");
    assert_eq!((second[1].2, second[2].2), (first[1].2, first[2].2));
    // A changed comparison is made again whatever it came to.
    let changed = plan.replace("destination: e}", "destination: e, keepGoing: true}");
    let (code, said, _) = run(home, &changed, &["--only", "failed", "--json"]);
    let third = began(&said);
    assert!(code == 0 && third[2].2 > second[2].2, "{third:?}");
    assert_eq!((&third[0], &third[1]), (&second[0], &second[1]));
    let (code, _, errors) = run(home, &changed, &["--only", "failed"]);
    assert!(code == 0 && errors.contains("nothing to repeat: 3 stay as they ended"), "{errors}");
    let (code, said, _) = run(home, &changed, &["--json"]);
    assert!(code == 0 && began(&said).iter().zip(&third).all(|(new, old)| new.2 > old.2), "a new run is new");
}

#[test]
fn a_run_that_goes_on_elsewhere_keeps_nothing_of_other_directories() {
    let (first, second) = (trees(), trees());
    flip_byte(&damaged_file(second.path()), 3);
    let plan = "comparisons: [{name: a, source: s, destination: d}]";
    assert_eq!(run(first.path(), plan, &[]).0, 0);
    let shared = first.path().join("plan.yaml.state");
    let shared = shared.to_str().unwrap();
    let (code, said, _) = run(second.path(), plan, &["--only", "failed", "--state", shared]);
    assert_eq!(code, 1, "{said}");
}

#[test]
fn what_differs_differs_also_where_its_page_cannot_be_written() {
    let trees = trees();
    let home = trees.path();
    let plan = "comparisons: [{name: a, source: s, destination: d}]";
    let result = |arguments: &[&str]| {
        let (code, said, errors) = run(home, plan, &[&["--json", "--report", "out"], arguments].concat());
        let result: Value = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {errors}"));
        (code, result["comparisons"][0].clone())
    };
    let (code, equal) = result(&[]);
    assert_eq!(code, 0, "{equal:#}");
    // No file can take the place of a directory.
    let page = home.join("out").join(equal["page"].as_str().unwrap());
    std::fs::remove_file(&page).unwrap();
    std::fs::create_dir(&page).unwrap();
    let (code, unverified) = result(&[]);
    assert_eq!((code, &unverified["outcome"]), (3, &"unverified".into()), "{unverified:#}");
    flip_byte(&damaged_file(home), 3);
    let (code, different) = result(&[]);
    assert_eq!((code, &different["outcome"], &different["page"]), (1, &"different".into(), &Value::Null));
    assert!(different["message"].as_str().unwrap().contains("; its page: "), "{different:#}");
    assert_eq!(different["result"]["differencesTotal"], 1);
}

#[test]
fn a_dry_run_says_what_would_be_done_and_does_nothing() {
    let trees = trees();
    let home = trees.path();
    let plan = "parallel: 2\ncomparisons:\n  - {name: a, source: s, destination: d}\n  - {name: b, source: s, destination: d}\n\
                \x20 - {service: 'node4:9043', group: rack1}\n";
    let (code, said, _) = run(home, plan, &["--dry-run", "--report", "out"]);
    let expected = "1        a: s and d; on localhost\n\
                    1        node4:9043; MD5; group rack1; on node4\n\
                    2        b: s and d; on localhost\n\n\
                    3 to be made in 2 rounds if each took as long as any other\n";
    assert_eq!((code, said.as_str()), (0, expected));
    assert!(!home.join("plan.yaml.state").exists() && !home.join("out").exists());
    assert!(run(home, plan, &["--dry-run", "--parallel", "1"]).1.contains("in 3 rounds"));
}

#[test]
fn what_cannot_be_meant_is_refused_before_anything_is_done() {
    let trees = trees();
    let home = trees.path();
    let pair = "comparisons: [{source: s, destination: d}]";
    for (plan, arguments, expected) in [
        (
            "comparison: []",
            &[][..],
            "plan.yaml:1: comparison: is not a key of this section; expected one of parallel, ",
        ),
        ("comparisons: []", &[], "the plan has no comparison"),
        (pair, &["--parallel", "0"], "expected a whole number from 1 to 1000"),
        (pair, &["--json", "--csv"], "cannot be used with"),
        (pair, &["--metrics", "no/m.prom"], "--metrics no/m.prom: "),
        (pair, &["--report", "s.file"], "--report s.file: "),
        (
            pair,
            &["--state", "s.file"],
            "--state s.file: this is no state of twintree bulk, and it would be overwritten",
        ),
        (pair, &["--destinations", "none.txt"], "none.txt: could not be read"),
    ] {
        std::fs::write(home.join("s.file"), "something else\n").unwrap();
        let (code, said, errors) = run(home, plan, arguments);
        assert!(code == 2 && said.is_empty() && errors.contains(expected), "{arguments:?}: {code} {said}{errors}");
        assert_eq!(std::fs::read_to_string(home.join("s.file")).unwrap(), "something else\n");
    }
    let (code, _, errors) = ended(twintree().arg("bulk"));
    assert!(code == 2 && errors.contains("<PLAN.yaml>"), "{errors}");
}

/// Names that a terminal would obey, in every output.
#[test]
fn hostile_names_stay_names() {
    let trees = trees();
    let home = trees.path();
    let plan = "comparisons:\n  - {name: \"a\\e[2J\\nequal  b\", source: s, destination: \"d\\n\"}\n  - {name: '=1+1', source: s, destination: d}\n";
    for form in [&[][..], &["--csv"], &["--json"], &["--json-lines"], &["--dry-run"]] {
        let (_, said, errors) = run(home, plan, form);
        let text = said + &errors;
        assert!(!text.contains('\u{1b}') && !text.contains("\nequal  b"), "{text:?}");
    }
    let csv = run(home, plan, &["--csv"]).1;
    assert!(csv.contains("'=1+1,equal"), "{csv}");
}
