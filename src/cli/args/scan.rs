//! How a tree is scanned, by every command that scans one.

use std::num::{NonZeroU64, NonZeroUsize};

use clap::Args;

use crate::config::{DATA_RATE, MAX_THREADS, Settings, THREADS, parse_data_rate};

/// How a tree is scanned.
#[derive(Debug, Default, Clone, Args)]
pub struct ScanArgs {
    /// Leave out files: a glob: or regex: pattern on the absolute path, as Java's PathMatcher reads it
    #[arg(long, value_name = "PATTERN")]
    pub exclude_file: Vec<String>,
    /// Leave out directories with all they hold
    #[arg(long, value_name = "PATTERN")]
    pub exclude_dir: Vec<String>,
    /// Only this keyspace, or this keyspace.table; may be given more than once
    #[arg(long, value_name = "NAME")]
    pub keyspace: Vec<String>,
    /// How many threads read and hash; where it is not given, one for each core, and more while they wait for a disk
    #[arg(long, value_name = "N", value_parser = threads)]
    pub threads: Option<NonZeroUsize>,
    /// Read at most so much in a second, such as 100MiB/s
    #[arg(long, value_name = "RATE", value_parser = data_rate)]
    pub read_limit: Option<NonZeroU64>,
    /// Read around the page cache, from the media, where the file system can
    #[arg(long)]
    pub direct: bool,
}

impl ScanArgs {
    /// These options, and where they leave something open what a configuration says.
    pub(in crate::cli) fn or_configured(&self, settings: &Settings) -> Self {
        Self {
            threads: self.threads.or(settings.threads),
            read_limit: self.read_limit.or(settings.reading.limit),
            direct: self.direct || settings.reading.direct,
            ..self.clone()
        }
    }
}

fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let number = text.parse().ok().filter(|number: &NonZeroUsize| number.get() <= MAX_THREADS);
    number.ok_or_else(|| format!("expected {THREADS}"))
}

fn data_rate(text: &str) -> Result<NonZeroU64, String> {
    parse_data_rate(text).ok_or_else(|| format!("expected {DATA_RATE}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_have_a_limit() {
        for (text, number) in
            [("1", Some(1)), ("1024", Some(1024)), ("1025", None), ("999999", None), ("0", None), ("x", None)]
        {
            let parsed = threads(text);
            assert_eq!(parsed.as_ref().ok().map(|n| n.get()), number, "{text}");
            assert!(parsed.is_ok() || parsed == Err("expected a whole number from 1 to 1024".to_owned()));
        }
        assert!(THREADS.ends_with(&MAX_THREADS.to_string()));
    }
}
