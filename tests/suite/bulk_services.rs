//! `twintree bulk` over services in processes: faulty ones, ones that are gone, ones that come and go, and a run that is interrupted.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::support::fleet::{Fleet, Side, bulk};
use crate::support::process::Process;
use crate::support::trees::{endless_file, flip_byte, planted};

/// A quick budget: tests do not wait for a host that will not come back.
const HEAD: &str = "parallel: 6\ndefaults: {keepGoing: true, retries: {attempts: 4, time: 20s, delay: 200ms}}\n";

fn json(process: &mut Process) -> (Option<i32>, Value) {
    // Read to its end first: a result that fills the pipe would keep the program waiting.
    let said = process.output();
    let code = process.wait().code();
    let errors = process.errors();
    let result = serde_json::from_str(&said).unwrap_or_else(|error| panic!("{error}: {said}\n{errors}"));
    (code, result)
}

fn outcome<'a>(result: &'a Value, name: &str) -> &'a Value {
    let all = result["comparisons"].as_array().unwrap();
    all.iter().find(|one| one["name"] == name).unwrap_or_else(|| panic!("no {name}: {result:#}"))
}

/// Of so many pairs the first five differ, of the next three the destination dies half-way, one flaps, and the last one was never there.
/// Returns how long the run took, and its result.
pub(crate) fn fleet_with_faults(pairs: usize, arguments: &[&str]) -> Option<(Duration, Value)> {
    let mut fleet = Fleet::new(pairs)?;
    let (faulty, stopped, flapping, absent) = (0..5, 5..8, 8, pairs - 1);
    for pair in faulty.clone() {
        flip_byte(&planted(&fleet.storage(pair, Side::Destination))[pair], 7);
    }
    for pair in stopped.clone() {
        for side in [Side::Source, Side::Destination] {
            endless_file(&fleet.storage(pair, side).join("data/ks/endless/nb-1-big-Data.db"));
        }
    }
    for pair in (0..pairs).filter(|pair| *pair != absent) {
        let limit = if pair == flapping { "60KiB/s" } else { "50MiB/s" };
        fleet.start(pair, Side::Source, limit);
        fleet.start(pair, Side::Destination, limit);
    }
    // Two replica sets among those that are well.
    let group = |pair: usize| match pair {
        9..=12 => ", group: set1".to_owned(),
        13..=16 => ", group: set2".to_owned(),
        _ => String::new(),
    };
    let plan = fleet.plan(HEAD, group);
    let clock = Instant::now();
    let mut run = bulk(&plan, &[&["--json", "--quiet"], arguments].concat());
    for pair in stopped.clone() {
        fleet.wait_until_it_reads(pair);
        fleet.kill(pair, Side::Destination);
    }
    fleet.wait_until_it_reads(flapping);
    for _ in 0..3 {
        fleet.kill(flapping, Side::Destination);
        std::thread::sleep(Duration::from_millis(300));
        fleet.start(flapping, Side::Destination, "60KiB/s");
        std::thread::sleep(Duration::from_millis(700));
    }
    let (code, result) = json(&mut run);
    let took = clock.elapsed();
    assert_eq!(code, Some(1), "{result:#}");
    for pair in 0..pairs {
        let name = fleet.destination(pair);
        let expected = match pair {
            pair if faulty.contains(&pair) => "different",
            pair if stopped.contains(&pair) || pair == absent => "unreachable",
            _ => "equal",
        };
        assert_eq!(outcome(&result, &name)["outcome"], expected, "{name}: {:#}", outcome(&result, &name));
    }
    assert!(outcome(&result, &fleet.destination(absent))["message"].as_str().unwrap().contains("connection refused"));
    // Each has the one task that it was given, also the one that came and went.
    for pair in (0..pairs).filter(|pair| !stopped.contains(pair) && *pair != absent) {
        let (tasks, name) = (fleet.tasks(pair), fleet.destination(pair));
        assert_eq!(tasks.len(), 1, "{name}: {tasks:#?}");
        assert_eq!(tasks[0]["id"], outcome(&result, &name)["task"]);
    }
    never_two_at_a_time(&result, &fleet, 9..=12);
    never_two_at_a_time(&result, &fleet, 13..=16);
    Some((took, result))
}

/// The tasks themselves say when they ran.
fn never_two_at_a_time(result: &Value, fleet: &Fleet, group: std::ops::RangeInclusive<usize>) {
    let times = |pair: usize| {
        let task = &outcome(result, &fleet.destination(pair))["result"];
        (task["startedAt"].as_i64().unwrap(), task["endedAt"].as_i64().unwrap())
    };
    let mut times: Vec<_> = group.map(times).collect();
    times.sort_unstable();
    assert!(times.windows(2).all(|two| two[0].1 <= two[1].0), "{times:?}");
}

#[test]
fn a_fleet_with_faults_comes_to_what_each_of_it_is() {
    fleet_with_faults(18, &[]);
}

/// How often the state file says that a task was accepted.
fn accepted(plan: &Path) -> usize {
    let state = std::fs::read_to_string(plan.with_extension("yaml.state")).unwrap();
    state.matches("\"entry\":\"submitted\"").count()
}

fn slow_fleet(pairs: usize, read_limit: &str) -> Option<Fleet> {
    let mut fleet = Fleet::new(pairs)?;
    for pair in 0..pairs {
        fleet.start(pair, Side::Source, read_limit);
        fleet.start(pair, Side::Destination, read_limit);
    }
    Some(fleet)
}

#[test]
fn a_run_that_is_killed_goes_on_and_starts_no_task_twice() {
    let Some(fleet) = slow_fleet(4, "40KiB/s") else { return };
    let plan = fleet.plan("parallel: 2\n", |_| String::new());
    let mut first = bulk(&plan, &["--quiet"]);
    fleet.wait_until_it_reads(0);
    fleet.wait_until_it_reads(1);
    first.signal(Signal::KILL);
    first.wait();
    assert_eq!(accepted(&plan), 2);
    // The worst moment of all: the task was accepted, and this was not written down yet.
    let state = plan.with_extension("yaml.state");
    let text = std::fs::read_to_string(&state).unwrap();
    let last = text.trim_end().rfind('\n').unwrap() + 1;
    assert!(text[last..].contains("\"entry\":\"submitted\""), "{text}");
    std::fs::write(&state, &text[..last]).unwrap();
    let mut second = bulk(&plan, &["--json"]);
    let (code, result) = json(&mut second);
    assert_eq!((code, &result["outcomes"]["equal"]), (Some(0), &4.into()), "{result:#}");
    for pair in 0..4 {
        let tasks = fleet.tasks(pair);
        assert_eq!(tasks.len(), 1, "{tasks:#?}");
        assert_eq!(tasks[0]["id"], outcome(&result, &fleet.destination(pair))["task"]);
    }
    // Now that it is finished, a new one begins.
    let (code, _) = json(&mut bulk(&plan, &["--json", "--quiet"]));
    assert_eq!((code, fleet.tasks(0).len()), (Some(0), 2));
}

#[test]
fn ctrl_c_cancels_what_is_under_way_and_the_run_goes_on_afterwards() {
    let Some(fleet) = slow_fleet(2, "100KiB/s") else { return };
    let plan = fleet.plan("parallel: 1\n", |_| String::new());
    let mut first = bulk(&plan, &["--json"]);
    fleet.wait_until_it_reads(0);
    first.signal(Signal::INT);
    let (code, result) = json(&mut first);
    assert_eq!((code, &result["finished"], &result["toGo"]), (Some(4), &false.into(), &2.into()), "{result:#}");
    assert_eq!(fleet.tasks(0)[0]["state"], "CANCELLED");
    assert!(fleet.tasks(1).is_empty());
    let (code, result) = json(&mut bulk(&plan, &["--json", "--quiet"]));
    assert_eq!((code, &result["outcomes"]["equal"]), (Some(0), &2.into()), "{result:#}");
    assert_eq!(fleet.tasks(0).len(), 2);
}

#[test]
fn a_list_of_destinations_makes_a_plan_by_itself() {
    let Some(fleet) = slow_fleet(2, "100KiB/s") else { return };
    flip_byte(&planted(&fleet.storage(1, Side::Destination))[0], 7);
    let list = format!("# the new ones\n{}\n{} rack1\n", fleet.destination(0), fleet.destination(1));
    let mut command = crate::support::process::twintree();
    command.args(["bulk", "--destinations", "-", "--json"]).stdin(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), list.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let result: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((output.status.code(), &result["outcomes"]["different"]), (Some(1), &1.into()), "{result:#}");
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains("no state is kept"), "{errors}");
    assert_eq!(result["comparisons"][0]["name"], fleet.destination(1));
}
