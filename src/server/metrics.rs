//! What a monitoring system sees of the service, in the OpenMetrics text format that Prometheus reads.

use std::time::Instant;

use parking_lot::Mutex;
use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::app::App;
use crate::task::TaskCounts;
use crate::verify::VerificationTotals;

/// The media type of the format.
pub(super) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The time between two looks at the bytes read, at least, in seconds.
const RATE_SECONDS: f64 = 1.0;

/// What is counted for this purpose alone; everything else is read when it is asked for.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    rate: Mutex<Option<Rate>>,
}

/// The route is that of the route table, never what a client made up, so that there are few of them.
#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: &'static str,
    route: String,
    code: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Debug, Clone, Copy)]
struct Rate {
    at: Instant,
    bytes: u64,
    bytes_per_second: f64,
}

impl Metrics {
    /// Counts a request that was answered. `route` is `None` where there is no such route.
    pub(super) fn count(&self, method: &axum::http::Method, route: Option<&str>, code: u16) {
        let known = ["GET", "HEAD", "POST", "PATCH", "DELETE"].into_iter().find(|known| *known == method.as_str());
        let route = route.unwrap_or("none").to_owned();
        self.requests.get_or_create(&RequestLabels { method: known.unwrap_or("other"), route, code }).inc();
    }

    /// Bytes per second since the last look that was long enough ago.
    fn rate(&self, bytes: u64) -> f64 {
        let mut rate = self.rate.lock();
        let now = Instant::now();
        let next = match *rate {
            None => Rate { at: now, bytes, bytes_per_second: 0.0 },
            Some(last) => match now.duration_since(last.at).as_secs_f64() {
                elapsed if elapsed < RATE_SECONDS => last,
                elapsed => Rate { at: now, bytes, bytes_per_second: bytes.saturating_sub(last.bytes) as f64 / elapsed },
            },
        };
        *rate = Some(next);
        next.bytes_per_second
    }
}

/// All metrics of a service as text.
pub(super) fn render(app: &App) -> Result<String, std::fmt::Error> {
    let mut registry = Registry::with_prefix("twintree");
    let metrics = app.metrics();
    registry.register("requests", "Requests answered, by route and code", metrics.requests.clone());
    register_tasks(&mut registry, &app.tasks().counts());
    let (files, bytes) = (app.engine().meter().files(), app.engine().meter().bytes());
    registry.register("hashed_files", "Files read and hashed, known without, or given up on", counter(files));
    registry.register("hashed_bytes", "Bytes read and hashed", counter(bytes));
    let rate: Gauge<f64, std::sync::atomic::AtomicU64> = Gauge::default();
    rate.set(metrics.rate(bytes));
    registry.register("hashing_bytes_per_second", "Bytes hashed per second since the scrape before this one", rate);
    let manifests: Gauge = Gauge::default();
    manifests.set(i64::try_from(app.offers().all().len()).unwrap_or(i64::MAX));
    registry.register("manifests", "Manifests kept or worked on for destinations", manifests);
    let mut out = String::new();
    text::encode(&mut out, &registry)?;
    Ok(out)
}

fn register_tasks(registry: &mut Registry, counts: &TaskCounts<VerificationTotals>) {
    let under_way: Gauge = Gauge::default();
    under_way.set(i64::try_from(counts.under_way).unwrap_or(i64::MAX));
    registry.register("tasks_under_way", "Verification tasks that have not ended", under_way);
    registry.register("tasks_started", "Verification tasks started or taken up again", counter(counts.started));
    let ended: Family<StateLabel, Counter> = Family::default();
    for (state, count) in &counts.ended {
        ended.get_or_create(&StateLabel { state: state.to_string() }).inc_by(*count);
    }
    registry.register("tasks_ended", "Verification tasks that ended, by state", ended);
    let differences: Family<KindLabel, Counter> = Family::default();
    for (kind, count) in &counts.totals.differences {
        differences.get_or_create(&KindLabel { kind: kind.name() }).inc_by(*count);
    }
    registry.register("differences", "Differences found by tasks that ended, by kind", differences);
    registry.register(
        "source_requests",
        "Requests sent to sources by tasks that ended",
        counter(counts.totals.source_requests),
    );
}

fn counter(value: u64) -> Counter {
    let counter = Counter::default();
    counter.inc_by(value);
    counter
}
