//! The paths of the API, in the form axum's router and a client's formatting share.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What an id does not have: ours are letters, digits and hyphens.
const ID: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-');

/// The Sidecar's health route.
pub const HEALTH: &str = "/api/v1/__health";
/// What a monitoring system reads (ours).
pub const METRICS: &str = "/metrics";
/// What is served, in OpenAPI's form.
pub const OPENAPI: &str = "/spec/openapi.json";
/// Verification tasks of the destination.
pub const TASKS: &str = "/api/v1/live-migration/files-verification-tasks";
/// One verification task.
pub const TASK: &str = "/api/v1/live-migration/files-verification-tasks/{task_id}";
/// The differences of one verification task (ours).
pub const TASK_REPORT: &str = "/api/v1/live-migration/files-verification-tasks/{task_id}/report";
/// The status of one verification task as it changes (ours).
pub const TASK_EVENTS: &str = "/api/v1/live-migration/files-verification-tasks/{task_id}/events";
/// The listing of an instance.
pub const FILES: &str = "/api/v1/live-migration/files";
/// One file of an instance.
pub const FILE: &str = "/api/v1/live-migration/files/{*path}";
/// The header by which a client of file routes says how it means the path (ours): [`LITERAL_PATH`], or the first reading that
/// names a file where it is absent.
pub const PATH_READING: &str = "twintree-path";
/// The path means the file of exactly that name and no other one.
pub const LITERAL_PATH: &str = "literal";
/// Whether the migration is complete.
pub const STATUS: &str = "/api/v1/live-migration/status";
/// Data copies, which are not served yet.
pub const DATA_COPIES: &str = "/api/v1/live-migration/data-copy-tasks";
/// One data copy.
pub const DATA_COPY: &str = "/api/v1/live-migration/data-copy-tasks/{task_id}";
/// Manifest streams of the source (ours).
pub const MANIFESTS: &str = "/api/v1/live-migration/manifests";
/// One manifest the source holds (ours).
pub const MANIFEST: &str = "/api/v1/live-migration/manifests/{manifest_id}";
/// Branches of one manifest (ours).
pub const BRANCHES: &str = "/api/v1/live-migration/manifests/{manifest_id}/branches";

/// The path of one task. Whatever a person gave for its id stays one segment of it, and names no other route.
pub fn task(id: &str) -> String {
    format!("{TASKS}/{}", utf8_percent_encode(id, ID))
}

/// The path of one task's report.
pub fn report(id: &str) -> String {
    format!("{}/report", task(id))
}

/// The path of one manifest.
pub fn manifest(id: uuid::Uuid) -> String {
    format!("{MANIFESTS}/{id}")
}

/// The path of one manifest's branches.
pub fn branches(id: uuid::Uuid) -> String {
    format!("{MANIFESTS}/{id}/branches")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_one_segment() {
        assert_eq!(task("0b7c-1f"), format!("{TASKS}/0b7c-1f"));
        assert_eq!(report("../x?y#z"), format!("{TASKS}/%2E%2E%2Fx%3Fy%23z/report"));
    }
}
