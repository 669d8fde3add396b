//! What a history does where its files are damaged, half written, of another program, or cannot be written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use super::history::History;
use super::left_behind::{LeftBehind, page_of};
use super::record::TaskRecord;
use super::tests::{Toy, ToyStatus};
use super::{HistoryError, HistoryLimits, StoredTask};
use crate::protocol::TaskState;
use crate::random::Random;
use crate::store::damage::damage;
use crate::store::{Pages, Place, Scratch, Spool, of_a_later_version};

const LIMITS: HistoryLimits = HistoryLimits { max_tasks: 100, max_age: Duration::from_secs(1 << 40) };

fn task(id: &str, state: TaskState) -> StoredTask<Toy> {
    StoredTask { instance: 1, status: ToyStatus::new(id, state), request: (), restarts: 0 }
}

fn report(summary: u64, findings: u64) -> LeftBehind<Toy> {
    LeftBehind { summary, findings: Arc::new(pages("unowned", findings)) }
}

fn pages(owner: &str, findings: u64) -> Pages {
    let mut spool = Spool::new(Scratch::new(None));
    (0..findings)
        .for_each(|number| spool.push(format!("{number:08}").into_bytes(), (number * 3).to_string().into_bytes()));
    spool.sorted(owner.to_owned()).0
}

struct Page {
    summary: u64,
    total: u64,
    findings: Vec<u64>,
}

/// A page of a report, as it is served.
fn page(history: &History<Toy>, id: &str, (offset, limit): (u64, u64)) -> Result<Page, HistoryError> {
    let LeftBehind { summary, findings } = history.report(id)?.unwrap_or_default();
    let page = page_of::<Toy>(&findings, offset, limit).map_err(|error| history.unservable(id, &error))?;
    Ok(Page { summary, total: findings.items(), findings: page })
}

/// What is kept of each task: its state, and summary and findings of those that have ended.
type Truth = BTreeMap<&'static str, (TaskState, Option<(u64, u64)>)>;

fn truth() -> Truth {
    BTreeMap::from([
        ("none", (TaskState::Completed, Some((7, 0)))),
        ("few", (TaskState::Failed, Some((8, 5)))),
        ("many", (TaskState::Failed, Some((9, 1100)))),
        ("bare", (TaskState::Cancelled, None)),
        ("begun", (TaskState::InProgress, None)),
    ])
}

fn fill(state_dir: &Path) {
    let history = History::<Toy>::open(state_dir, LIMITS).unwrap();
    for (id, (state, left)) in truth() {
        let left = left.map(|(summary, findings)| LeftBehind { summary, findings: Arc::new(pages(id, findings)) });
        history.keep(&task(id, state), left).unwrap();
    }
}

/// Reads everything; returns how many reads were refused as damaged. Anything else that is not the truth fails the test.
fn check(history: &History<Toy>, what: &str) -> usize {
    let damaged = history.damaged();
    assert_eq!(history.all().len() + damaged.len(), truth().len(), "{what}: every task is listed, damaged or not");
    let mut refused = 0;
    for (id, (state, left)) in truth() {
        match history.task(id) {
            Ok(found) => assert_eq!(found.unwrap().status.state, state, "{what}: {id}"),
            Err(HistoryError::Damaged { id: named, .. }) => {
                assert_eq!((named.as_str(), damaged.contains(&named)), (id, true))
            }
            Err(error) => panic!("{what}: {error}"),
        }
        let (summary, findings) = left.unwrap_or_default();
        match page(history, id, (0, u64::MAX)) {
            Ok(page) => {
                assert_eq!((page.summary, page.total), (summary, findings), "{what}: {id}");
                assert!(page.findings.into_iter().eq((0..findings).map(|number| number * 3)), "{what}: {id}");
            }
            Err(HistoryError::Damaged { id: named, .. }) => {
                assert_eq!(named, id, "{what}");
                refused += 1;
            }
            Err(error) => panic!("{what}: {error}"),
        }
    }
    refused
}

fn copy(from: &Path, to: &Path) -> Vec<PathBuf> {
    fs::create_dir_all(to.join("toys")).unwrap();
    let mut files = Vec::new();
    for entry in fs::read_dir(from.join("toys")).unwrap() {
        let entry = entry.unwrap();
        let path = to.join("toys").join(entry.file_name());
        fs::copy(entry.path(), &path).unwrap();
        files.push(path);
    }
    files.sort();
    files
}

/// Damages one of the files, or puts another's content there, and says how.
fn damage_one(files: &[PathBuf], random: &mut Random) -> String {
    let path = random.pick(files);
    let mut bytes = fs::read(path).unwrap();
    let how = match random.below(6) {
        0 => {
            bytes = fs::read(random.pick(files)).unwrap();
            "another file's content".to_owned()
        }
        _ => damage(&mut bytes, 512, random),
    };
    fs::write(path, bytes).unwrap();
    format!("{how} in {}", path.display())
}

#[test]
fn a_thousand_damages_and_none_is_served_or_stops_the_start() {
    let original = tempfile::tempdir().unwrap();
    fill(original.path());
    let mut refused = 0;
    for seed in 0..1000 {
        let copied = tempfile::tempdir().unwrap();
        let files = copy(original.path(), copied.path());
        let what = format!("seed {seed}: {}", damage_one(&files, &mut Random::new(seed)));
        let history = History::open(copied.path(), LIMITS).unwrap_or_else(|error| panic!("{what}: {error}"));
        refused += check(&history, &what);
        if seed % 100 == 0 {
            history.keep(&task("new", TaskState::Completed), Some(report(1, 10))).unwrap();
        }
    }
    assert!((500..2000).contains(&refused), "{refused}: each damage hides one task at most, or the two of an exchange");
}

#[test]
fn an_undamaged_history_tells_everything() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    assert_eq!(check(&History::open(directory.path(), LIMITS).unwrap(), "undamaged"), 0);
}

#[test]
fn what_cannot_be_written_is_held_served_and_written_once_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::<Toy>::open(directory.path(), LIMITS).unwrap();
    history.keep(&task("before", TaskState::InProgress), None).unwrap();
    // As on a full disk, for whoever runs the test: nothing can be made there.
    let (folder, elsewhere) = (directory.path().join("toys"), directory.path().join("elsewhere"));
    fs::rename(&folder, &elsewhere).unwrap();
    let left = LeftBehind { summary: 9, findings: Arc::new(pages("before", 2000)) };
    assert!(history.keep(&task("before", TaskState::Failed), Some(left)).is_err());
    assert!(history.keep(&task("second", TaskState::InProgress), None).is_err());
    assert_eq!(history.trouble().unwrap().0, 2);
    assert!(history.trouble_of("before").is_some() && history.trouble_of("other").is_none());
    assert!(history.begin_writing_later() && !history.begin_writing_later(), "one tries again");
    assert!(!history.write_later());
    let served = page(&history, "before", (1998, 10)).unwrap();
    assert_eq!((served.summary, served.total, served.findings), (9, 2000, vec![1998 * 3, 1999 * 3]));
    fs::rename(&elsewhere, &folder).unwrap();
    assert!(history.write_later(), "all is written");
    assert!(history.trouble().is_none() && history.begin_writing_later());
    drop(history);
    let history = History::<Toy>::open(directory.path(), LIMITS).unwrap();
    assert_eq!(history.task("before").unwrap().unwrap().status.state, TaskState::Failed);
    assert_eq!(page(&history, "before", (1999, 10)).unwrap().findings, [1999 * 3]);
    assert_eq!(history.task("second").unwrap().unwrap().status.state, TaskState::InProgress);
}

#[test]
fn what_a_death_left_half_written_goes_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    let folder = directory.path().join("toys");
    fs::write(folder.join(".unfinished-x"), "half").unwrap();
    fs::write(folder.join("gone.findings"), "of a task that was never written").unwrap();
    fs::write(folder.join("notes.txt"), "not ours").unwrap();
    assert_eq!(check(&History::open(directory.path(), LIMITS).unwrap(), "after a death"), 0);
    assert!(!folder.join(".unfinished-x").exists() && !folder.join("gone.findings").exists());
    assert!(folder.join("notes.txt").exists());
}

#[test]
fn a_history_that_cannot_be_opened_is_put_out_of_the_way_with_the_time() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("toys"), "a file in its place").unwrap();
    fs::write(directory.path().join("tasks.redb"), "").unwrap();
    let history = History::<Toy>::open(directory.path(), LIMITS).unwrap();
    history.keep(&task("new", TaskState::InProgress), None).unwrap();
    let names = fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let names: Vec<String> = names.collect();
    let kept = names.iter().find(|name| name.starts_with("toys.damaged-20") && name.ends_with('Z')).unwrap();
    assert_eq!(fs::read_to_string(directory.path().join(kept)).unwrap(), "a file in its place");
    assert!(names.iter().any(|name| name.starts_with("tasks.redb.old-20")), "{names:?}");
}

#[test]
fn a_later_version_is_refused_by_name_where_its_check_passes_and_is_damage_where_not() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    let path = directory.path().join("toys/few.task");
    let body = TaskRecord::<Toy> { task: task("few", TaskState::Failed), report: None };
    let place = Place { owner: "few", kind: 1, position: 0 };
    let mut later = of_a_later_version(place, &serde_json::to_vec(&body).unwrap());
    fs::write(&path, &later).unwrap();
    let refused = History::<Toy>::open(directory.path(), LIMITS).unwrap_err().to_string();
    assert!(refused.contains("task few: it is of version 2, and this twintree reads version 1"), "{refused}");
    *later.last_mut().unwrap() ^= 1;
    fs::write(&path, &later).unwrap();
    assert_eq!(check(&History::open(directory.path(), LIMITS).unwrap(), "a wrong check"), 1);
}

#[test]
fn two_services_do_not_share_a_history() {
    let directory = tempfile::tempdir().unwrap();
    let first = History::<Toy>::open(directory.path(), LIMITS).unwrap();
    let second = History::<Toy>::open(directory.path(), LIMITS).unwrap_err().to_string();
    assert!(second.ends_with("another twintree is using this state directory"), "{second}");
    drop(first);
    History::<Toy>::open(directory.path(), LIMITS).unwrap();
}

#[test]
fn old_tasks_and_old_damage_go_with_their_files() {
    let directory = tempfile::tempdir().unwrap();
    fill(directory.path());
    fs::write(directory.path().join("toys/few.task"), "damaged").unwrap();
    let limits = HistoryLimits { max_tasks: 2, ..LIMITS };
    let history = History::<Toy>::open(directory.path(), limits).unwrap();
    assert_eq!((history.all().len(), history.damaged().len()), (2, 1));
    drop(history);
    std::thread::sleep(Duration::from_millis(5));
    let limits = HistoryLimits { max_age: Duration::from_millis(1), ..LIMITS };
    let history = History::<Toy>::open(directory.path(), limits).unwrap();
    assert_eq!(history.damaged(), Vec::<String>::new());
    assert!(!directory.path().join("toys/few.findings").exists());
}

#[test]
fn a_record_of_any_size_is_written_and_read() {
    let directory = tempfile::tempdir().unwrap();
    let history = History::<Toy>::open(directory.path(), LIMITS).unwrap();
    let mut large = task("large", TaskState::Failed);
    large.status.message = Some("x".repeat(65 << 20));
    let left = LeftBehind { summary: 1, findings: Arc::new(pages("large", 10)) };
    history.keep(&large, Some(left)).unwrap();
    drop(history);
    let history = History::<Toy>::open(directory.path(), LIMITS).unwrap();
    assert_eq!(history.damaged(), Vec::<String>::new());
    assert_eq!(page(&history, "large", (0, 99)).unwrap().total, 10);
}

#[test]
fn the_latest_task_of_an_instance_outlives_the_limits_with_its_report() {
    let directory = tempfile::tempdir().unwrap();
    let limits = HistoryLimits { max_tasks: 1, ..LIMITS };
    let history = History::<Toy>::open(directory.path(), limits).unwrap();
    for (instance, id) in [(1, "first"), (2, "second")] {
        let task = StoredTask { instance, ..task(id, TaskState::Completed) };
        let left = LeftBehind { summary: 7, findings: Arc::new(pages(id, 3)) };
        history.keep(&task, Some(left)).unwrap();
    }
    for id in ["first", "second"] {
        assert_eq!(page(&history, id, (0, 9)).unwrap().findings, [0, 3, 6], "{id}");
    }
}
