//! A list of destinations: one on a line, with its group behind it where it has one. It makes a plan by itself, or adds to one.

use std::path::Path;

use super::keyspaces::KeyspacePatterns;
use super::plan::{Comparison, MAX_COMPARISONS, Plan, What, named_twice};
use super::read::{endpoint, twice, wildcard};
use crate::config::{ConfigError, Mistakes, ValueProblem};

/// The longest line, in bytes.
const MAX_LINE_BYTES: usize = 2000;

impl Plan {
    /// The plan with a comparison for each destination that `text`, the content of `file`, names. Blank lines and what stands behind a `#`
    /// say nothing.
    pub fn with_destinations(mut self, text: &str, file: &Path) -> Result<Self, ConfigError> {
        let mut mistakes = Mistakes::default();
        if let Some(pattern) = self.defaults.keyspaces.as_ref().and_then(KeyspacePatterns::wildcard) {
            mistakes.add(
                None,
                "",
                ValueProblem::Plan(format!("defaults.keyspaces of the plan: {}", wildcard(pattern))),
            );
        }
        let before = self.comparisons.len();
        let mut lines = Vec::new();
        for (number, line) in (1..).zip(text.lines()) {
            let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
            let Some(url) = words.next() else { continue };
            match self.destination(url, (words.next(), words.next()), line.len()) {
                Ok(comparison) => self.comparisons.push(comparison),
                Err(problem) => {
                    mistakes.add(Some(number), "", problem);
                    continue;
                }
            }
            lines.push(number);
            if self.comparisons.len() > MAX_COMPARISONS {
                let problem = format!("is one destination too many; expected at most {MAX_COMPARISONS} comparisons");
                mistakes.add(Some(number), "", ValueProblem::Plan(problem));
                break;
            }
        }
        if let Some((first, again)) = named_twice(&self.comparisons) {
            let first = match first.checked_sub(before) {
                Some(first) => format!("line {}", lines[first]),
                None => format!("comparisons[{first}] of the plan"),
            };
            let problem = ValueProblem::Plan(twice(&self.comparisons[again].name, &first));
            mistakes.add(lines.get(again - before).copied(), "", problem);
        }
        mistakes.none_or(self, file)
    }

    fn destination(
        &self,
        url: &str,
        (group, more): (Option<&str>, Option<&str>),
        length: usize,
    ) -> Result<Comparison, ValueProblem> {
        if length > MAX_LINE_BYTES {
            return Err(ValueProblem::Plan(format!("has {length} bytes; expected at most {MAX_LINE_BYTES} on a line")));
        }
        let what = What::Service(endpoint(url)?);
        if more.is_some() {
            let expected = "has more than two words; expected the URL of a service and, where it has one, its group";
            return Err(ValueProblem::Plan(expected.to_owned()));
        }
        let (name, group) = (what.text(), group.map(str::to_owned));
        Ok(Comparison { name, what, directory: None, group, source_host: None, settings: self.defaults.clone() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(plan: &str, list: &str) -> Result<Plan, String> {
        let plan = Plan::parse(plan, Path::new("plan.yaml")).unwrap();
        plan.with_destinations(list, Path::new("hosts.txt")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_list_makes_a_plan_and_adds_to_one() {
        let plan = with("", "# the new rack\nnode4:9043 rack1\n\nhttp://node5:9043  # no group\n").unwrap();
        let found: Vec<_> = plan.comparisons.iter().map(|c| (c.name.as_str(), c.group.as_deref())).collect();
        assert_eq!(found, [("node4:9043", Some("rack1")), ("node5:9043", None)]);
        let plan = with("defaults: {concurrency: 3}\ncomparisons: [{source: a, destination: b}]", "node4").unwrap();
        assert_eq!(plan.comparisons.len(), 2);
        assert_eq!(plan.comparisons[1].settings.concurrency, Some(3));
    }

    #[test]
    fn mistakes_name_their_line() {
        for (plan, list, expected) in [
            ("", "a\nhttps://b", "hosts.txt:2: \"https://b\": TLS is not supported"),
            ("", "a b c", "hosts.txt:1: has more than two words"),
            ("", "a\n#\na:80", "hosts.txt:3: \"a:80\" is already the name of line 1"),
            (
                "comparisons: [{service: a}]",
                "a",
                "hosts.txt:1: \"a:80\" is already the name of comparisons[0] of the plan",
            ),
            ("defaults: {keyspaces: ['a*']}", "a", "hosts.txt: defaults.keyspaces of the plan: a* is a pattern"),
        ] {
            let error = with(plan, list).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let long = format!("a {}", "x".repeat(MAX_LINE_BYTES));
        assert!(with("", &long).unwrap_err().contains("has 2002 bytes"));
    }
}
