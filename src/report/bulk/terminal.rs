//! Many comparisons as text for a terminal: the worst first.

use std::fmt::Write as _;

use crate::bulk::{Claims, Comparison, Ended, Ending, Start, Summary, What};
use crate::manifest::Rollup;
use crate::model::printable;
use crate::report::MAX_PRINTED;

/// The widest column that names take; longer ones push their line to the right.
const NAME_WIDTH: usize = 40;

/// A run: a line for each comparison, the sums of keyspaces and tables in which something differs, and all of it in a sentence.
pub fn terminal(summary: &Summary) -> String {
    let mut out = String::new();
    let (equal, others): (Vec<&Ended>, Vec<&Ended>) =
        summary.comparisons.iter().partition(|ended| ended.outcome == Ending::Equal);
    let width =
        summary.comparisons.iter().map(|ended| printable(&ended.name).chars().count()).max().unwrap_or_default();
    for ended in others.iter().chain(equal.iter().take(MAX_PRINTED)) {
        let _ = writeln!(out, "{}", ended_line(ended, width.min(NAME_WIDTH)));
    }
    let more = equal.len().saturating_sub(MAX_PRINTED);
    if more > 0 {
        let _ = writeln!(out, "... and {more} more that are equal; --csv and --json name them all");
    }
    sums(&mut out, &others);
    let state = if summary.finished { "" } else { "interrupted; the same command goes on: " };
    let _ = writeln!(out, "\n{state}{}", summary.tally().sentence(None));
    out
}

/// A comparison that has ended in one line, its name in a column of this width.
pub fn ended_line(ended: &Ended, width: usize) -> String {
    format!("{:<17} {:<width$}  {}", ended.outcome.name(), printable(&ended.name), printable(&ended.message))
}

fn sums(out: &mut String, comparisons: &[&Ended]) {
    let rows: Vec<(&Ended, &Rollup)> = comparisons
        .iter()
        .flat_map(|ended| ended.result.iter().flat_map(|result| &result.summary.rollups).map(move |r| (*ended, r)))
        .collect();
    if rows.is_empty() {
        return;
    }
    let _ = writeln!(out, "\nnot equal by keyspace and table:");
    for (ended, rollup) in rows.iter().take(MAX_PRINTED) {
        let found: Vec<String> =
            rollup.differences.iter().map(|(kind, count)| format!("{count} {}", kind.name())).collect();
        let place = printable(&place(rollup)).into_owned();
        let _ = writeln!(out, "  {:<30} {place:<40} {}", printable(&ended.name), found.join(", "));
    }
    let left_out: u64 = comparisons.iter().map(|ended| ended.rollups_left_out).fold(0, u64::saturating_add);
    let more = left_out.saturating_add(rows.len().saturating_sub(MAX_PRINTED) as u64);
    if more > 0 {
        let _ = writeln!(out, "  ... and {more} more; --report writes them all");
    }
}

/// Kind of root, keyspace and table.
fn place(rollup: &Rollup) -> String {
    let names = [Some(rollup.directory_type.name()), rollup.keyspace.as_deref(), rollup.table.as_deref()];
    names.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

/// What a run would do: what stays as it ended, and the rest in rounds, whose members may be made at the same time.
pub fn dry_run(comparisons: &[Comparison], claims: &[Claims], start: &Start, rounds: &[Vec<usize>]) -> String {
    let mut out = String::new();
    for ended in &start.kept {
        let _ = writeln!(out, "stays    {} ({})", printable(&ended.name), ended.outcome.name());
    }
    for (round, members) in (1..).zip(rounds) {
        for at in members {
            let Some((comparison, claims)) =
                start.todo.get(*at).and_then(|plan| comparisons.get(*plan)).zip(claims.get(*at))
            else {
                continue;
            };
            let _ = writeln!(out, "{round:<8} {}", printable(&described(comparison, claims)));
        }
    }
    let _ =
        writeln!(out, "\n{} to be made in {} rounds if each took as long as any other", start.todo.len(), rounds.len());
    out
}

fn described(comparison: &Comparison, claims: &Claims) -> String {
    let what = comparison.what.text();
    let mut parts = vec![if what == comparison.name { what } else { format!("{}: {what}", comparison.name) }];
    parts.extend(comparison.settings.keyspaces.as_ref().map(|names| format!("only {}", names.texts().join(", "))));
    if matches!(comparison.what, What::Service(_)) {
        parts.push(comparison.settings.algorithm.name().to_owned());
    }
    parts.extend(comparison.settings.keep_going.then(|| "keeps going".to_owned()));
    parts.extend(claims.group.as_ref().map(|group| format!("group {group}")));
    if !claims.hosts.is_empty() {
        parts.push(format!("on {}", claims.hosts.iter().cloned().collect::<Vec<_>>().join(" and ")));
    }
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::samples::summary;
    use super::*;
    use crate::bulk::{Plan, rounds, start};
    use std::path::Path;

    #[test]
    fn the_worst_comes_first_and_no_name_begins_a_line() {
        let text = terminal(&summary());
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("different         =d"), "{text}");
        assert!(lines[1].starts_with("unreachable       c\\u{1b}\\n  refused"), "{text}");
        assert!(lines[2].starts_with("equal             a ") && lines[3].starts_with("equal             b "), "{text}");
        assert!(
            text.contains("\nnot equal by keyspace and table:\n  =d                             data shop orders"),
            "{text}"
        );
        assert!(text.contains("1 content\n  ... and 7 more; --report writes them all\n"), "{text}");
        assert!(text.ends_with("\n2 equal, 1 different, 1 unreachable\n"), "{text}");
    }

    #[test]
    fn a_dry_run_says_what_and_in_which_order() {
        let text = "parallel: 2\ncomparisons:\n- {service: a, group: g, keyspaces: [ks]}\n- {service: b, group: g}\n\
                    - {name: x, source: m1, destination: m2, keepGoing: true}\n";
        let plan = Plan::parse(text, Path::new("p")).unwrap();
        let start = start(&plan, &Default::default(), &[]);
        let claims: Vec<Claims> = plan.comparisons.iter().map(|c| Claims::of(c, |_| false)).collect();
        let said = dry_run(&plan.comparisons, &claims, &start, &rounds(&claims, plan.parallel.get()));
        let expected = "1        a:80; only ks; MD5; group g; on a\n\
                        1        x: m1 and m2; keeps going\n\
                        2        b:80; MD5; group g; on b\n\n\
                        3 to be made in 2 rounds if each took as long as any other\n";
        assert_eq!(said, expected);
    }
}
