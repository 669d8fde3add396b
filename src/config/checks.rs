//! What a single value may be: text, numbers, durations, hosts, directories.

use std::num::{NonZeroU64, NonZeroUsize};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::HostName;
use super::data_rate;
use super::data_size;
use super::duration;
use super::error::ValueProblem;
use super::limits::{MAX_THREADS, THREADS};
use super::value::Value;
use crate::exclude::Pattern;
use crate::model::{CacheMode, UnknownCacheMode};

/// Text that is not empty.
pub(crate) fn text(value: &Value, expected: &'static str) -> Result<String, ValueProblem> {
    match value {
        Value::Text(text) if text.is_empty() => Err(ValueProblem::NotAccepted { found: String::new(), expected }),
        Value::Text(text) => Ok(text.clone()),
        other => Err(ValueProblem::WrongType { found: other.kind(), expected }),
    }
}

/// `true` or `false`.
pub(crate) fn boolean(value: &Value) -> Result<bool, ValueProblem> {
    match value {
        Value::Bool(value) => Ok(*value),
        other => Err(ValueProblem::WrongType { found: other.kind(), expected: "true or false" }),
    }
}

/// An exclusion pattern whose every construct can be given Java's meaning.
pub(super) fn pattern(value: &Value) -> Result<Pattern, ValueProblem> {
    let text = text(value, "a pattern, such as glob:**/x")?;
    Pattern::parse(&text).map_err(|error| ValueProblem::Pattern(error.to_string()))
}

/// A number of threads.
pub(super) fn threads(value: &Value) -> Result<NonZeroUsize, ValueProblem> {
    let number: usize = integer(value, 1..=MAX_THREADS as i128, THREADS)?;
    NonZeroUsize::new(number).ok_or_else(|| ValueProblem::NotAccepted { found: number.to_string(), expected: THREADS })
}

/// `resume` or `fail`; true for the former.
pub(super) fn resume_or_fail(value: &Value) -> Result<bool, ValueProblem> {
    const EXPECTED: &str = "resume or fail";
    match text(value, EXPECTED)?.as_str() {
        "resume" => Ok(true),
        "fail" => Ok(false),
        other => Err(ValueProblem::NotAccepted { found: other.to_owned(), expected: EXPECTED }),
    }
}

/// A whole number in `range`, which `expected` puts into words.
pub(crate) fn integer<T: TryFrom<i128>>(
    value: &Value,
    range: RangeInclusive<i128>,
    expected: &'static str,
) -> Result<T, ValueProblem> {
    let Value::Integer(number) = value else {
        return Err(ValueProblem::WrongType { found: value.kind(), expected });
    };
    let in_range = Some(*number).filter(|number| range.contains(number));
    let converted = in_range.and_then(|number| T::try_from(number).ok());
    converted.ok_or_else(|| ValueProblem::NotAccepted { found: number.to_string(), expected })
}

/// A port number; 0 leaves the choice to the system.
pub(super) fn port(value: &Value) -> Result<u16, ValueProblem> {
    integer(value, 0..=u16::MAX.into(), "a port from 0 to 65535")
}

/// A duration with its unit.
pub(super) fn duration(value: &Value) -> Result<Duration, ValueProblem> {
    match value {
        Value::Text(text) => duration::parse(text)
            .ok_or_else(|| ValueProblem::NotAccepted { found: text.clone(), expected: duration::EXPECTED }),
        other => Err(ValueProblem::WrongType { found: other.kind(), expected: duration::EXPECTED }),
    }
}

/// A duration with its unit, longer than none: whether 0 means "at once" or "never" is anybody's guess.
pub(crate) fn positive_duration(value: &Value) -> Result<Duration, ValueProblem> {
    match (duration(value)?, value) {
        (Duration::ZERO, Value::Text(text)) => {
            Err(ValueProblem::NotAccepted { found: text.clone(), expected: "a duration above zero, such as 30s" })
        }
        (duration, _) => Ok(duration),
    }
}

/// Bytes per second.
pub(super) fn data_rate(value: &Value) -> Result<NonZeroU64, ValueProblem> {
    let text = text(value, data_rate::EXPECTED)?;
    data_rate::parse(&text).ok_or(ValueProblem::NotAccepted { found: text, expected: data_rate::EXPECTED })
}

/// Bytes, at least `least`, which `expected` puts into words.
pub(super) fn data_size(value: &Value, least: u64, expected: &'static str) -> Result<u64, ValueProblem> {
    let text = text(value, data_size::EXPECTED)?;
    match data_size::parse(&text) {
        None => Err(ValueProblem::NotAccepted { found: text, expected: data_size::EXPECTED }),
        Some(size) if size.get() < least => Err(ValueProblem::NotAccepted { found: text, expected }),
        Some(size) => Ok(size.get()),
    }
}

/// What recorded digests are used for; `off` for nothing.
pub(super) fn cache_mode(value: &Value) -> Result<Option<CacheMode>, ValueProblem> {
    const EXPECTED: &str = "off, record, trust or audit P%, such as audit 5%";
    match value {
        // YAML's own word for false.
        Value::Bool(false) => Ok(None),
        _ => match text(value, EXPECTED)?.as_str() {
            "off" => Ok(None),
            mode => match mode.parse() {
                Ok(mode) => Ok(Some(mode)),
                Err(UnknownCacheMode(found)) => Err(ValueProblem::NotAccepted { found, expected: EXPECTED }),
            },
        },
    }
}

/// A host with or without a port.
pub(super) fn host_name(value: &Value) -> Result<HostName, ValueProblem> {
    Ok(text(value, "a host")?.parse::<HostName>()?)
}

/// A host without a port.
pub(super) fn host(value: &Value) -> Result<String, ValueProblem> {
    let name = host_name(value)?;
    match name.port {
        None => Ok(name.host),
        Some(_) => Err(ValueProblem::NotAccepted { found: name.to_string(), expected: "a host without a port" }),
    }
}

/// An absolute directory: `~` is put in full, and no slash stands at the end or twice in a row.
pub(super) fn directory(value: &Value, home: Option<&Path>) -> Result<PathBuf, ValueProblem> {
    let path = text(value, "an absolute path")?;
    let below_home = path.strip_prefix('~').filter(|rest| rest.is_empty() || rest.starts_with('/'));
    let full = match (below_home, home.filter(|home| home.is_absolute())) {
        (Some(rest), Some(home)) => home.join(rest.trim_start_matches('/')),
        (Some(_), None) => return Err(ValueProblem::NoHome { path }),
        (None, _) => PathBuf::from(&path),
    };
    if full.is_absolute() { Ok(full.components().collect()) } else { Err(ValueProblem::RelativePath { path }) }
}

/// Whether a Sidecar lists a data directory of this spelling as an entry of itself: it compares texts, and takes the slash
/// that its own paths do not have for a name.
pub(super) fn lists_itself(value: &Value) -> bool {
    matches!(value, Value::Text(path) if path.ends_with('/') || path.contains("//"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_home(path: &str) -> Result<PathBuf, ValueProblem> {
        directory(&Value::Text(path.to_owned()), Some(Path::new("/home/me")))
    }

    #[test]
    fn directories_are_absolute_and_end_without_a_slash() {
        for (path, full) in [
            ("/a/b/", "/a/b"),
            ("/a//b/./", "/a/b"),
            ("/", "/"),
            ("~", "/home/me"),
            ("~/", "/home/me"),
            ("~/x/", "/home/me/x"),
            ("~//etc", "/home/me/etc"),
        ] {
            let found = at_home(path).unwrap();
            assert_eq!(found.as_os_str(), full, "{path}");
        }
        for path in ["a/b", "./a", "~other/x", " /a"] {
            assert_eq!(at_home(path), Err(ValueProblem::RelativePath { path: path.to_owned() }));
        }
    }

    #[test]
    fn a_home_that_is_not_known_is_not_made_up() {
        let path = Value::Text("~/x".to_owned());
        assert_eq!(directory(&path, None), Err(ValueProblem::NoHome { path: "~/x".to_owned() }));
        assert_eq!(directory(&path, Some(Path::new(""))), Err(ValueProblem::NoHome { path: "~/x".to_owned() }));
    }

    #[test]
    fn a_number_out_of_range_is_refused() {
        assert_eq!(port(&Value::Integer(65535)), Ok(65535));
        for number in [-1, 65536] {
            assert!(matches!(port(&Value::Integer(number)), Err(ValueProblem::NotAccepted { .. })));
        }
        assert!(matches!(port(&Value::Text("1".to_owned())), Err(ValueProblem::WrongType { found: "text", .. })));
    }
}
