//! The two text formats of metrics: which of them a client wants, and how one becomes the other. Pure.

/// A format of metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricsFormat {
    /// Prometheus text 0.0.4, which everything reads.
    Classic,
    /// OpenMetrics 1.0.0.
    OpenMetrics,
}

impl MetricsFormat {
    /// The media type of an answer.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Classic => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that the Accept header of a request prefers; the classic one where it prefers neither, or accepts none
    /// that we have.
    pub(super) fn preferred(accept: &str) -> Self {
        let quality = |format: Self| {
            let fits = accept.split(',').filter_map(|range| MediaRange::parse(range)?.fit(format));
            // Of several ranges that fit, the one that says most decides (RFC 9110, 12.5.1).
            fits.max_by(|a, b| a.0.cmp(&b.0)).map_or(0.0, |(_, quality)| quality)
        };
        match quality(Self::OpenMetrics) > quality(Self::Classic) {
            true => Self::OpenMetrics,
            false => Self::Classic,
        }
    }
}

/// One element of an Accept header.
struct MediaRange<'a> {
    name: String,
    version: Option<&'a str>,
    quality: f32,
}

impl<'a> MediaRange<'a> {
    fn parse(range: &'a str) -> Option<Self> {
        let mut parts = range.split(';').map(str::trim);
        let mut parsed = Self { name: parts.next()?.to_ascii_lowercase(), version: None, quality: 1.0 };
        for (key, value) in parts.filter_map(|part| part.split_once('=')) {
            let value = value.trim().trim_matches('"');
            match key.trim().to_ascii_lowercase().as_str() {
                "version" => parsed.version = Some(value),
                "q" => parsed.quality = value.parse().ok().filter(|quality| (0.0..=1.0).contains(quality))?,
                // A character set, or how names are escaped that we do not have.
                _ => {}
            }
        }
        Some(parsed)
    }

    /// How much the range says, and the quality it gives a format that it covers.
    fn fit(&self, format: MetricsFormat) -> Option<(u8, f32)> {
        let (name, versions): (_, &[&str]) = match format {
            MetricsFormat::Classic => ("text/plain", &["0.0.4"]),
            // Prometheus asked for 0.0.1 before there was a 1.0.0, and meant the same.
            MetricsFormat::OpenMetrics => ("application/openmetrics-text", &["1.0.0", "0.0.1"]),
        };
        let whole_type = name.split('/').next().is_some_and(|kind| self.name == format!("{kind}/*"));
        let says = match (self.name.as_str(), self.version) {
            (known, Some(version)) if known == name => versions.contains(&version).then_some(3)?,
            (known, None) if known == name => 2,
            _ if whole_type => 1,
            ("*/*", _) => 0,
            _ => return None,
        };
        Some((says, self.quality))
    }
}

/// OpenMetrics text in the classic format: there the name of a counter's family ends as those of its samples do, and
/// there are neither units nor an end.
pub(super) fn classic(open: &str) -> String {
    let counters: Vec<&str> =
        open.lines().filter_map(|line| line.strip_prefix("# TYPE ")?.strip_suffix(" counter")).collect();
    let mut text = String::with_capacity(open.len());
    for line in open.lines() {
        let comment = line.strip_prefix("# ").map(|comment| comment.splitn(3, ' ').collect::<Vec<_>>());
        match comment.as_deref() {
            Some(["EOF"] | ["UNIT", ..]) => continue,
            Some([keyword, name, rest]) if counters.contains(name) => {
                text.push_str(&format!("# {keyword} {name}_total {rest}"));
            }
            _ => text.push_str(line),
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_format_follows_what_a_client_prefers() {
        use MetricsFormat::{Classic, OpenMetrics};
        for (accept, format) in [
            ("", Classic),
            ("*/*", Classic),
            ("text/html, */*;q=0.8", Classic),
            ("application/json", Classic),
            ("application/openmetrics-text", OpenMetrics),
            ("Application/OpenMetrics-Text; Version=1.0.0; charset=utf-8", OpenMetrics),
            ("application/openmetrics-text; version=\"0.0.1\",text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OpenMetrics),
            // Prometheus 3.
            (
                "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
                 application/openmetrics-text;version=0.0.1;q=0.5,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,\
                 text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                OpenMetrics,
            ),
            ("text/plain;version=0.0.4;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5", Classic),
            ("application/openmetrics-text;q=0.5,text/plain;q=0.5", Classic),
            ("application/openmetrics-text;q=0", Classic),
            ("application/openmetrics-text;q=0.0, */*", Classic),
            ("application/*, text/plain;q=0.9", OpenMetrics),
            ("text/plain;q=0, */*;q=0.1", OpenMetrics),
            ("application/openmetrics-text;version=2.0.0, text/plain;q=0.1", Classic),
            ("application/openmetrics-text;q=x, */*;q=0.1", Classic),
            (",;,=;q", Classic),
        ] {
            assert_eq!(MetricsFormat::preferred(accept), format, "{accept}");
        }
    }

    #[test]
    fn counters_are_named_as_their_samples_in_the_classic_format() {
        let open = "# HELP a_b Some a counter.\n# TYPE a_b counter\na_b_total{x=\"# TYPE a_b counter\"} 1\n\
                    # HELP a_bytes Bytes.\n# TYPE a_bytes gauge\n# UNIT a_bytes bytes\na_bytes 2\n# EOF\n";
        let expected = "# HELP a_b_total Some a counter.\n# TYPE a_b_total counter\n\
                        a_b_total{x=\"# TYPE a_b counter\"} 1\n\
                        # HELP a_bytes Bytes.\n# TYPE a_bytes gauge\na_bytes 2\n";
        assert_eq!(classic(open), expected);
    }
}
