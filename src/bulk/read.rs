//! From the text of a plan to its values. All mistakes are reported at once, with its line and its key.

use std::num::NonZeroUsize;
use std::path::Path;

use super::keyspaces::{KeyspacePattern, KeyspacePatterns};
use super::plan::{Comparison, MAX_COMPARISONS, MAX_PARALLEL, PARALLEL, Plan, Retry, Settings, What, named_twice};
use crate::config::checks::{boolean, integer, positive_duration, text};
use crate::config::{
    ConfigError, HostName, MAX_BYTES, Mistakes, Node, Section, Value, ValueProblem, parse_yaml, read_text,
};
use crate::model::DigestAlgorithm;
use crate::net::Endpoint;

const PLAN: &str = "a mapping with comparisons";
const ONE: &str = "a mapping with service, or with source and destination";
const LIST: &str = "a list of comparisons";
const KEYS: &[&str] = &["parallel", "defaults", "comparisons"];
const SETTINGS: &[&str] = &["algorithm", "concurrency", "keyspaces", "keepGoing", "retries"];
const COMPARISON: &[&str] = &[
    "name",
    "service",
    "source",
    "destination",
    "group",
    "sourceHost",
    "algorithm",
    "concurrency",
    "keyspaces",
    "keepGoing",
    "retries",
];
const RETRIES: &[&str] = &["attempts", "time", "delay"];

/// The longest name or group, in bytes.
const MAX_NAME_BYTES: usize = 500;

impl Plan {
    /// Reads and checks the plan at `path`.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = read_text(path).map_err(|(line, problem)| ConfigError::whole(path, line, problem))?;
        Self::parse(&text, path)
    }

    /// Checks `text`, the content of `file`.
    pub fn parse(text: &str, file: &Path) -> Result<Self, ConfigError> {
        if text.len() > MAX_BYTES {
            return Err(ConfigError::whole(file, None, ValueProblem::TooLarge));
        }
        let root = parse_yaml(text).map_err(|error| ConfigError::whole(file, error.line, error.problem))?;
        let mut shape = Mistakes::default();
        let top = Section::new(&root, String::new(), PLAN, &mut shape);
        shape.none_or((), file)?;
        let mut mistakes = Mistakes::default();
        let plan = plan(&top, &mut mistakes);
        mistakes.none_or(plan, file)
    }
}

fn plan(top: &Section<'_>, mistakes: &mut Mistakes) -> Plan {
    top.only(KEYS, mistakes);
    let mut plan = Plan::default();
    let parallel = |value: &Value| integer::<usize>(value, 1..=MAX_PARALLEL as i128, PARALLEL);
    if let Some(parallel) = top.read("parallel", mistakes, parallel).and_then(NonZeroUsize::new) {
        plan.parallel = parallel;
    }
    let defaults = top.section("defaults", mistakes);
    defaults.only(SETTINGS, mistakes);
    plan.defaults = settings(&defaults, &Settings::default(), mistakes);
    let nodes = top.nodes("comparisons", LIST, mistakes).unwrap_or_default();
    if nodes.len() > MAX_COMPARISONS {
        let problem = format!("has {} items; expected at most {MAX_COMPARISONS}", nodes.len());
        mistakes.add(top.line, "comparisons", ValueProblem::Plan(problem));
        return plan;
    }
    let mut keys = Vec::new();
    for item in nodes {
        if let Some(comparison) = comparison(item.value, item.key.clone(), &plan.defaults, mistakes) {
            plan.comparisons.push(comparison);
            keys.push((item.line, item.key));
        }
    }
    if let Some((first, again)) = named_twice(&plan.comparisons) {
        let (line, key) = keys.swap_remove(again);
        let first = keys.get(first).map(|(_, key)| key.as_str()).unwrap_or_default();
        mistakes.add(line, key, ValueProblem::Plan(twice(&plan.comparisons[again].name, first)));
    }
    plan
}

/// Two comparisons with one name.
pub(super) fn twice(name: &str, first: &str) -> String {
    format!("{} is already the name of {first}; expected another name for each", crate::model::quoted(name))
}

fn comparison(node: &Node, key: String, defaults: &Settings, mistakes: &mut Mistakes) -> Option<Comparison> {
    let before = mistakes.count();
    let section = Section::new(node, key, ONE, mistakes);
    if mistakes.count() > before {
        return None;
    }
    section.only(COMPARISON, mistakes);
    let settings = settings(&section, defaults, mistakes);
    let what = what(&section, mistakes)?;
    let name = section.read("name", mistakes, |value| named(value, "a name"));
    let source_host = section.read("sourceHost", mistakes, host);
    if source_host.is_some() && !matches!(what, What::Service(_)) {
        let problem = "is for a service, whose source the plan does not name; expected it beside service";
        mistakes.add(section.line, section.key_of("sourceHost"), ValueProblem::Plan(problem.to_owned()));
    }
    if let (What::Service(_), Some(pattern)) = (&what, settings.keyspaces.as_ref().and_then(KeyspacePatterns::wildcard))
    {
        let problem = ValueProblem::Plan(wildcard(pattern));
        mistakes.add(section.line, section.key_of("keyspaces"), problem);
    }
    let group = section.read("group", mistakes, |value| named(value, "the name of a group"));
    let name = name.unwrap_or_else(|| what.text());
    Some(Comparison { name, what, directory: None, group, source_host, settings })
}

/// What a service has no way to resolve: nobody but the two sides knows what a pattern means there.
pub(super) fn wildcard(pattern: &KeyspacePattern) -> String {
    format!("{pattern} is a pattern, and a service compares keyspaces by their names; expected names without * and ?")
}

fn what(section: &Section<'_>, mistakes: &mut Mistakes) -> Option<What> {
    let before = mistakes.count();
    let service = section.read("service", mistakes, |value| endpoint(&text(value, SERVICE)?));
    let side = |value: &Value| match text(value, "a directory or a file, as diff takes it")?.as_str() {
        "-" => Err(ValueProblem::Plan("- is standard input, which a plan has none of; expected a file".to_owned())),
        side => Ok(side.to_owned()),
    };
    let source = section.read("source", mistakes, side);
    let destination = section.read("destination", mistakes, side);
    match (service, source, destination) {
        (Some(endpoint), None, None) => Some(What::Service(endpoint)),
        (None, Some(source), Some(destination)) => Some(What::Pair { source, destination }),
        _ if mistakes.count() > before => None,
        _ => {
            let problem = format!("does not say what is compared; expected {ONE}");
            mistakes.add(section.line, section.key.clone(), ValueProblem::Plan(problem));
            None
        }
    }
}

const SERVICE: &str = "the URL of a destination's service, such as http://node4:9043";

/// The service at a URL.
pub(super) fn endpoint(text: &str) -> Result<Endpoint, ValueProblem> {
    text.parse().map_err(|error| {
        // What stands before an @ may be a password, whatever else is wrong with the text.
        let shown = if text.contains('@') { String::new() } else { format!("{}: ", crate::model::quoted(text)) };
        ValueProblem::Plan(format!("{shown}{error}; expected {SERVICE}"))
    })
}

fn named(value: &Value, expected: &'static str) -> Result<String, ValueProblem> {
    let name = text(value, expected)?;
    match name.len() {
        ..=MAX_NAME_BYTES => Ok(name),
        length => {
            Err(ValueProblem::Plan(format!("has {length} bytes; expected {expected} of at most {MAX_NAME_BYTES}")))
        }
    }
}

fn host(value: &Value) -> Result<String, ValueProblem> {
    Ok(text(value, "a host")?.parse::<HostName>()?.host)
}

fn settings(section: &Section<'_>, above: &Settings, mistakes: &mut Mistakes) -> Settings {
    let algorithm = |value: &Value| {
        const EXPECTED: &str = "MD5 or XXHash32";
        let found = text(value, EXPECTED)?;
        found.parse::<DigestAlgorithm>().map_err(|_| ValueProblem::NotAccepted { found, expected: EXPECTED })
    };
    let concurrency = |value: &Value| integer::<u32>(value, 1..=1024, "a whole number from 1 to 1024");
    Settings {
        algorithm: section.read("algorithm", mistakes, algorithm).unwrap_or(above.algorithm),
        concurrency: section.read("concurrency", mistakes, concurrency).or(above.concurrency),
        keyspaces: keyspaces(section, mistakes).unwrap_or_else(|| above.keyspaces.clone()),
        keep_going: section.read("keepGoing", mistakes, boolean).unwrap_or(above.keep_going),
        retries: retries(section, above.retries, mistakes),
    }
}

/// `None` where the section does not say; `all` takes back what the defaults say.
fn keyspaces(section: &Section<'_>, mistakes: &mut Mistakes) -> Option<Option<KeyspacePatterns>> {
    const EXPECTED: &str = "all, or a list of keyspaces and tables, such as [shop, audit.events]";
    match section.get("keyspaces").map(|node| &node.value) {
        None => None,
        Some(Value::Text(all)) if all == "all" => Some(None),
        Some(_) => {
            let pattern = |value: &Value| {
                text(value, "a keyspace")?.parse::<KeyspacePattern>().map_err(|no| ValueProblem::Plan(no.to_string()))
            };
            let before = mistakes.count();
            let list = section.list("keyspaces", EXPECTED, mistakes, pattern)?;
            let patterns = KeyspacePatterns::new(list.into_iter().map(|item| item.value).collect());
            if patterns.is_none() && mistakes.count() == before {
                let problem = ValueProblem::Plan(format!("is empty: nothing would be compared; expected {EXPECTED}"));
                mistakes.add(section.line, section.key_of("keyspaces"), problem);
            }
            Some(patterns)
        }
    }
}

fn retries(section: &Section<'_>, above: Retry, mistakes: &mut Mistakes) -> Retry {
    let retries = section.section("retries", mistakes);
    retries.only(RETRIES, mistakes);
    let attempts = |value: &Value| integer::<u32>(value, 1..=1000, "a whole number from 1 to 1000");
    Retry {
        attempts: retries.read("attempts", mistakes, attempts).unwrap_or(above.attempts),
        time: retries.read("time", mistakes, positive_duration).unwrap_or(above.time),
        delay: retries.read("delay", mistakes, positive_duration).unwrap_or(above.delay),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    const WHOLE: &str = "\
parallel: 8
defaults:
  algorithm: xxhash32
  concurrency: 20
  keyspaces: [shop, audit.events]
  keepGoing: true
  retries: {attempts: 3, time: 5m, delay: 2s}
comparisons:
  - service: http://node4:9043
    group: rack1
    sourceHost: node1
  - {name: backup, source: /a, destination: b.manifest, keyspaces: ['shop*'], keepGoing: false, algorithm: MD5}
  - {service: 'node5:9043', keyspaces: all, retries: {attempts: 9}}
";

    fn parse(text: &str) -> Result<Plan, ConfigError> {
        Plan::parse(text, Path::new("plan.yaml"))
    }

    #[test]
    fn defaults_hold_where_a_comparison_says_nothing_else() {
        let plan = parse(WHOLE).unwrap();
        assert_eq!((plan.parallel.get(), plan.comparisons.len()), (8, 3));
        let [service, pair, other] = &plan.comparisons[..] else { panic!() };
        let names = |c: &Comparison| c.settings.keyspaces.as_ref().map(KeyspacePatterns::texts);
        assert_eq!((service.name.as_str(), service.group.as_deref()), ("node4:9043", Some("rack1")));
        assert_eq!(service.source_host.as_deref(), Some("node1"));
        assert_eq!(service.settings, plan.defaults);
        assert_eq!(names(service).unwrap(), ["shop", "audit.events"]);
        let retries = Retry { attempts: 3, time: Duration::from_secs(300), delay: Duration::from_secs(2) };
        assert_eq!((service.settings.retries, service.settings.concurrency), (retries, Some(20)));
        let what = What::Pair { source: "/a".to_owned(), destination: "b.manifest".to_owned() };
        assert_eq!((&pair.what, pair.name.as_str()), (&what, "backup"));
        assert_eq!((names(pair).unwrap().concat(), pair.settings.keep_going), ("shop*".to_owned(), false));
        assert_eq!((names(other), other.settings.retries.attempts), (None, 9));
        assert_eq!(other.settings.retries.time, retries.time);
        let bare = parse("comparisons: [{service: a}]").unwrap();
        assert_eq!(bare.comparisons[0].settings, Settings::default());
    }

    #[test]
    fn every_mistake_names_file_line_key_and_what_is_expected() {
        for (text, expected) in [
            ("[]", "plan.yaml:1: is a list; expected a mapping with comparisons"),
            (
                "paralel: 3\ncomparisons: []",
                "plan.yaml:1: paralel: is not a key of this section; expected one of parallel, defaults, comparisons",
            ),
            ("parallel: 0", "plan.yaml:1: parallel: \"0\" is not accepted; expected a whole number from 1 to 1000"),
            (
                "defaults: {algoritm: MD5}",
                "plan.yaml:1: defaults.algoritm: is not a key of this section; expected one of algorithm, ",
            ),
            (
                "comparisons:\n  - {service: a, keepgoing: true}",
                "plan.yaml:2: comparisons[0].keepgoing: is not a key of this section; ",
            ),
            (
                "comparisons:\n  - {}",
                "plan.yaml:2: comparisons[0]: does not say what is compared; expected a mapping with service, or ",
            ),
            ("comparisons: [{source: a}]", "comparisons[0]: does not say what is compared"),
            ("comparisons: [{service: a, source: a, destination: b}]", "comparisons[0]: does not say what is compared"),
            (
                "comparisons: [{service: 'https://a'}]",
                "comparisons[0].service: \"https://a\": TLS is not supported by this release; expected the URL",
            ),
            (
                "comparisons: [{service: 'me:secret@a'}]",
                "comparisons[0].service: a user name and a password are not supported",
            ),
            ("comparisons: [{source: '-', destination: b}]", "comparisons[0].source: - is standard input"),
            (
                "comparisons: [{service: a, keyspaces: ['s*']}]",
                "comparisons[0].keyspaces: s* is a pattern, and a service compares ",
            ),
            (
                "comparisons: [{service: a, keyspaces: []}]",
                "comparisons[0].keyspaces: is empty: nothing would be compared",
            ),
            (
                "comparisons: [{service: a, keyspaces: ['a/b']}]",
                "comparisons[0].keyspaces[0]: \"a/b\" names no keyspace",
            ),
            (
                "comparisons: [{service: a, keyspaces: shop}]",
                "comparisons[0].keyspaces: is text; expected all, or a list",
            ),
            ("comparisons: [{service: a, retries: {time: 0s}}]", "comparisons[0].retries.time: \"0s\" is not accepted"),
            ("comparisons: [{service: a, retries: {times: 1}}]", "comparisons[0].retries.times: is not a key"),
            (
                "comparisons: [{source: a, destination: b, sourceHost: c}]",
                "comparisons[0].sourceHost: is for a service",
            ),
            (
                "comparisons:\n - service: a\n - {name: 'a:80', service: b}",
                "plan.yaml:3: comparisons[1]: \"a:80\" is already the name of comparisons[0]",
            ),
            ("comparisons: {a: b}", "comparisons: is a mapping; expected a list of comparisons"),
            ("comparisons: [a]", "comparisons[0]: is text; expected a mapping with service"),
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{text}\n{error}");
            assert!(!error.contains("secret"), "{error}");
        }
        let two = parse("comparisons: [{service: a, x: 1, y: 2}]").unwrap_err();
        assert_eq!(two.lines().len(), 2, "all at once");
    }

    #[test]
    fn a_plan_is_bounded() {
        let many = |count| format!("comparisons:\n{}", "- {service: a}\n".repeat(count));
        let error = parse(&many(MAX_COMPARISONS + 1)).unwrap_err().to_string();
        assert!(error.contains("has 50001 items; expected at most 50000"), "{error}");
        assert!(parse(&"#".repeat(MAX_BYTES + 1)).is_err());
        let long = format!("comparisons: [{{service: a, name: {}}}]", "x".repeat(MAX_NAME_BYTES + 1));
        assert!(parse(&long).unwrap_err().to_string().contains("has 501 bytes"));
    }
}
