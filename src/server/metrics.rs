//! What a monitoring system sees of the service, in the two text formats that Prometheus reads.

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::metrics_format::{MetricsFormat, classic};
use crate::task::TaskCounts;
use crate::verify::VerificationTotals;

/// What is counted for this purpose alone; everything else is read when it is asked for.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    requests: Family<RequestLabels, Counter>,
    memory_refusals: Counter,
}

/// What the rest of the service has counted so far.
pub(super) struct Figures {
    pub tasks: TaskCounts<VerificationTotals>,
    pub hashed_files: u64,
    pub hashed_bytes: u64,
    pub manifests: usize,
    /// Tasks that the history does not hold on disk yet.
    pub tasks_not_safe: usize,
    /// Tasks whose records in the history are damaged.
    pub tasks_damaged: usize,
    pub memory_held: u64,
    pub memory_limit: u64,
    pub connections: u64,
    pub connections_limit: u64,
    pub surplus_connections: u64,
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

impl Metrics {
    /// Counts a request that was answered. `route` is `None` where there is no such route.
    pub(super) fn count(&self, method: &axum::http::Method, route: Option<&str>, code: u16) {
        let known = ["GET", "HEAD", "POST", "PATCH", "DELETE"].into_iter().find(|known| *known == method.as_str());
        let route = route.unwrap_or("none").to_owned();
        self.requests.get_or_create(&RequestLabels { method: known.unwrap_or("other"), route, code }).inc();
    }

    /// Counts a request that was refused since there was no memory for it.
    pub(super) fn count_refused_memory(&self) {
        self.memory_refusals.inc();
    }

    /// All metrics of a service as text.
    pub(super) fn render(&self, figures: &Figures, format: MetricsFormat) -> Result<String, std::fmt::Error> {
        let mut registry = Registry::with_prefix("twintree");
        registry.register("requests", "Requests answered, by route and code", self.requests.clone());
        register_tasks(&mut registry, &figures.tasks);
        let (files, bytes) = (counter(figures.hashed_files), counter(figures.hashed_bytes));
        registry.register("hashed_files", "Files read and hashed, known without, or given up on", files);
        registry.register("hashed_bytes", "Bytes read and hashed", bytes);
        let count = |number: usize| gauge(u64::try_from(number).unwrap_or(u64::MAX));
        let (not_safe, damaged) = (count(figures.tasks_not_safe), count(figures.tasks_damaged));
        registry.register("tasks_not_safe", "Tasks that the history does not hold on disk yet", not_safe);
        registry.register("tasks_damaged", "Tasks whose records in the history are damaged", damaged);
        let manifests = count(figures.manifests);
        registry.register("manifests", "Manifests kept or worked on for destinations", manifests);
        registry.register("memory_held_bytes", "Memory held for clients and sources", gauge(figures.memory_held));
        registry.register("memory_limit_bytes", "The most of it, by configuration", gauge(figures.memory_limit));
        let refusals = self.memory_refusals.clone();
        registry.register("memory_refusals", "Requests refused since there was no memory for them", refusals);
        registry.register("connections", "Connections that are open", gauge(figures.connections));
        registry.register(
            "connections_limit",
            "The most there may be, but for health and metrics",
            gauge(figures.connections_limit),
        );
        let surplus = counter(figures.surplus_connections);
        registry.register("surplus_connections", "Connections that came when all were in use", surplus);
        let mut out = String::new();
        text::encode(&mut out, &registry)?;
        Ok(match format {
            MetricsFormat::OpenMetrics => out,
            MetricsFormat::Classic => classic(&out),
        })
    }
}

fn register_tasks(registry: &mut Registry, counts: &TaskCounts<VerificationTotals>) {
    let under_way = gauge(counts.under_way);
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

fn gauge(value: u64) -> Gauge {
    let gauge = Gauge::default();
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
    gauge
}
