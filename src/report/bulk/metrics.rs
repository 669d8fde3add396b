//! A run as metrics in the text format that node_exporter's textfile collector reads.

use std::fmt::Write as _;

use crate::bulk::{Ending, Summary};
use crate::model::printable;

/// Everything of a run at this moment.
pub fn metrics(summary: &Summary) -> String {
    let mut out = String::new();
    family(&mut out, "twintree_bulk_comparisons", "Comparisons of the latest run that have ended, by outcome.");
    for ending in Ending::ALL {
        let count = summary.outcomes.get(&ending).copied().unwrap_or_default();
        let _ = writeln!(out, "twintree_bulk_comparisons{{outcome=\"{}\"}} {count}", ending.name());
    }
    let single: [(&str, &str, f64); 5] = [
        ("twintree_bulk_comparisons_to_go", "Comparisons that have not ended.", summary.to_go as f64),
        ("twintree_bulk_finished", "1 where the latest run came to its end.", f64::from(u8::from(summary.finished))),
        ("twintree_bulk_began_timestamp_seconds", "When the latest run began.", seconds(summary.began_at)),
        ("twintree_bulk_updated_timestamp_seconds", "When these metrics were written.", seconds(summary.ended_at)),
        ("twintree_bulk_differences", "Entries that are not the same or could not be checked.", differences(summary)),
    ];
    for (name, help, value) in single {
        family(&mut out, name, help);
        let _ = writeln!(out, "{name} {value}");
    }
    each(&mut out, summary);
    out
}

fn differences(summary: &Summary) -> f64 {
    let results = summary.comparisons.iter().filter_map(|ended| ended.result.as_ref());
    results.map(|result| result.differences_total).fold(0, u64::saturating_add) as f64
}

fn each(out: &mut String, summary: &Summary) {
    let name = "twintree_bulk_comparison_outcome";
    family(out, name, "1 for the outcome of each comparison that has ended.");
    for ended in &summary.comparisons {
        let _ = writeln!(out, "{name}{{comparison=\"{}\",outcome=\"{}\"}} 1", label(&ended.name), ended.outcome.name());
    }
    let name = "twintree_bulk_comparison_duration_seconds";
    family(out, name, "How long each comparison was worked on.");
    for ended in &summary.comparisons {
        let seconds = ended.worked_ms as f64 / 1000.0;
        let _ = writeln!(out, "{name}{{comparison=\"{}\"}} {seconds}", label(&ended.name));
    }
    let name = "twintree_bulk_comparison_ended_timestamp_seconds";
    family(out, name, "When each comparison ended.");
    for ended in &summary.comparisons {
        let _ = writeln!(out, "{name}{{comparison=\"{}\"}} {}", label(&ended.name), seconds(ended.ended_at));
    }
}

fn family(out: &mut String, name: &str, help: &str) {
    let _ = writeln!(out, "# HELP {name} {help}\n# TYPE {name} gauge");
}

fn seconds(ms: i64) -> f64 {
    ms as f64 / 1000.0
}

/// A text as the value of a label: what does not print is escaped for people, and then what the format itself escapes. A backslash is
/// escaped for people as well, so that no two texts come to one value.
fn label(text: &str) -> String {
    printable(&text.replace('\\', "\\\\")).replace('\\', "\\\\").replace('"', "\\\"")
}

#[cfg(test)]
mod tests {
    use super::super::samples::summary;
    use super::*;

    #[test]
    fn every_line_is_a_sample_or_says_what_one_is() {
        let text = metrics(&summary());
        for expected in [
            "twintree_bulk_comparisons{outcome=\"equal\"} 2\n",
            "twintree_bulk_comparisons{outcome=\"cancelled\"} 0\n",
            "twintree_bulk_comparisons_to_go 0\n",
            "twintree_bulk_finished 1\n",
            "twintree_bulk_began_timestamp_seconds 1\n",
            "twintree_bulk_differences 1\n",
            "twintree_bulk_comparison_outcome{comparison=\"=d\",outcome=\"different\"} 1\n",
            "twintree_bulk_comparison_outcome{comparison=\"c\\\\u{1b}\\\\n\",outcome=\"unreachable\"} 1\n",
            "twintree_bulk_comparison_duration_seconds{comparison=\"a\"} 2\n",
            "twintree_bulk_comparison_ended_timestamp_seconds{comparison=\"a\"} 3.5\n",
        ] {
            assert!(text.contains(expected), "{expected}{text}");
        }
        let sample =
            regex::Regex::new(r#"^(# (HELP|TYPE) \w+ .+|\w+(\{\w+="([^"\\]|\\.)*"(,\w+="[^"]*")?\})? [0-9.]+)$"#)
                .unwrap();
        assert!(text.lines().all(|line| sample.is_match(line)), "{text}");
        assert_eq!(label("a\"b"), "a\\\"b");
        assert_ne!(label("c\n"), label("c\\n"));
    }
}
