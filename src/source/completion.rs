//! The record that a migration is complete, in the staging directory of its instance.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use crate::protocol::{MigrationState, MigrationStatus};
use crate::scan::open_regular;
use crate::work::blocking;

/// The Sidecar's name of the record.
const FILE: &str = "live_migration_status.json";

/// The longest record that is read, in bytes; ours has some sixty.
const MAX_BYTES: u64 = 64 << 10;

/// The record cannot be read, written or removed.
#[derive(Debug, thiserror::Error)]
#[error("the migration status {} cannot be {action}: {cause}", path.display())]
pub struct CompletionError {
    /// The record.
    pub path: PathBuf,
    /// What was tried.
    pub action: &'static str,
    /// What the system said.
    pub cause: io::Error,
}

/// The record of one instance. Nothing of it is kept in memory: the file is the truth, also for a Sidecar that runs in
/// our place tomorrow.
#[derive(Debug, Clone)]
pub struct Completion {
    path: Option<PathBuf>,
}

impl Completion {
    /// The record in this staging directory; without one nothing can be marked complete.
    pub fn new(staging_dir: Option<&Path>) -> Self {
        Self { path: staging_dir.map(|directory| directory.join(FILE)) }
    }

    /// The status. A record that cannot be understood is an error, not an incomplete migration.
    pub async fn status(&self) -> Result<MigrationStatus, CompletionError> {
        let Some(path) = self.path.clone() else { return Ok(MigrationStatus::NOT_COMPLETED) };
        self.run("read", move || match read(&path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(MigrationStatus::NOT_COMPLETED),
            Err(error) => Err(error),
        })
        .await
    }

    /// Marks the migration complete; `None` where it was already. Of two callers at the same time one is the first.
    pub async fn complete(&self, now_ms: i64) -> Result<Option<MigrationStatus>, CompletionError> {
        if self.status().await?.state == MigrationState::Completed {
            return Ok(None);
        }
        let status = MigrationStatus::completed(now_ms);
        let path = self.path.clone();
        self.run("written", move || {
            let no_staging_dir = || io::Error::other("the instance has no staging_dir in the configuration");
            let path = path.ok_or_else(no_staging_dir)?;
            let directory = path.parent().ok_or_else(no_staging_dir)?;
            std::fs::create_dir_all(directory)?;
            let mut file = tempfile::NamedTempFile::new_in(directory)?;
            file.write_all(&serde_json::to_vec(&status)?)?;
            file.as_file().sync_all()?;
            match file.persist_noclobber(&path) {
                Ok(_) => {}
                Err(taken) if taken.error.kind() == io::ErrorKind::AlreadyExists && is_complete(&path) => {
                    return Ok(None);
                }
                // A record of an incomplete migration, as a Sidecar may leave it behind.
                Err(taken) => drop(taken.file.persist(&path)?),
            }
            File::open(directory)?.sync_all()?;
            Ok(Some(status))
        })
        .await
    }

    /// Forgets that the migration was complete. True where it was.
    pub async fn clear(&self) -> Result<bool, CompletionError> {
        let Some(path) = self.path.clone() else { return Ok(false) };
        if self.status().await?.state != MigrationState::Completed {
            return Ok(false);
        }
        self.run("removed", move || match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        })
        .await
    }

    async fn run<T: Send + 'static>(
        &self,
        action: &'static str,
        work: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, CompletionError> {
        let done = blocking(work).await.unwrap_or_else(|died| Err(io::Error::other(died.to_string())));
        done.map_err(|cause| CompletionError { path: self.path.clone().unwrap_or_else(|| FILE.into()), action, cause })
    }
}

/// The bytes of a record; what is no regular file is none.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // One byte more than allowed is enough to know, even of a file that never ends.
    open_regular(path)?.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > MAX_BYTES {
        true => Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is larger than {MAX_BYTES} bytes"))),
        false => Ok(bytes),
    }
}

fn is_complete(path: &Path) -> bool {
    let status = read(path).ok().and_then(|bytes| serde_json::from_slice::<MigrationStatus>(&bytes).ok());
    status.is_none_or(|status| status.state == MigrationState::Completed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_migration_is_completed_once_and_the_record_outlives_the_process() {
        let staging = tempfile::tempdir().unwrap();
        let home = staging.path().join("not/there/yet");
        let completion = Completion::new(Some(&home));
        assert_eq!(completion.status().await.unwrap(), MigrationStatus::NOT_COMPLETED);
        assert!(!completion.clear().await.unwrap(), "never completed");
        assert_eq!(completion.complete(7).await.unwrap(), Some(MigrationStatus::completed(7)));
        assert_eq!(completion.complete(8).await.unwrap(), None);
        let text = std::fs::read_to_string(home.join(FILE)).unwrap();
        assert_eq!(text, r#"{"state":"COMPLETED","endTime":7}"#);
        let again = Completion::new(Some(&home));
        assert_eq!(again.status().await.unwrap(), MigrationStatus::completed(7));
        assert!(again.clear().await.unwrap());
        assert_eq!(again.status().await.unwrap(), MigrationStatus::NOT_COMPLETED);
    }

    #[tokio::test]
    async fn a_record_that_says_otherwise_is_replaced_and_one_that_says_nothing_is_an_error() {
        let staging = tempfile::tempdir().unwrap();
        let completion = Completion::new(Some(staging.path()));
        std::fs::write(staging.path().join(FILE), r#"{"state":"NOT_COMPLETED","endTime":null}"#).unwrap();
        assert_eq!(completion.complete(9).await.unwrap(), Some(MigrationStatus::completed(9)));
        std::fs::write(staging.path().join(FILE), "{").unwrap();
        for error in [completion.status().await.err(), completion.complete(1).await.err()] {
            assert!(error.unwrap().to_string().contains(FILE));
        }
    }

    /// A pipe in its place gives nothing and never ends; a socket cannot be opened; a file may be longer than memory.
    #[tokio::test]
    async fn only_a_regular_file_of_a_fair_size_is_a_record() {
        use rustix::fs::{CWD, FileType, mknodat};
        type Make = fn(&Path);
        let staging = tempfile::tempdir().unwrap();
        let completion = Completion::new(Some(staging.path()));
        let path = staging.path().join(FILE);
        let odd: [(&str, Make); 4] = [
            ("it is not a regular file", |path| mknodat(CWD, path, FileType::Fifo, 0o600.into(), 0).unwrap()),
            ("it is not a regular file", |path| std::os::unix::fs::symlink("/dev/zero", path).unwrap()),
            ("(os error", |path| drop(std::os::unix::net::UnixListener::bind(path).unwrap())),
            ("larger than 65536 bytes", |path| File::create(path).unwrap().set_len(1 << 40).unwrap()),
        ];
        for (what, make) in odd {
            make(&path);
            for error in [completion.status().await.err(), completion.complete(1).await.err()] {
                let error = error.unwrap().to_string();
                assert!(error.contains(FILE) && error.contains(what), "{error}");
            }
            assert!(completion.clear().await.is_err(), "what is no record is not removed");
            std::fs::remove_file(&path).unwrap();
        }
        assert_eq!(completion.status().await.unwrap(), MigrationStatus::NOT_COMPLETED);
    }

    #[tokio::test]
    async fn without_a_staging_directory_nothing_can_be_completed() {
        let completion = Completion::new(None);
        assert_eq!(completion.status().await.unwrap(), MigrationStatus::NOT_COMPLETED);
        assert!(completion.complete(1).await.unwrap_err().to_string().contains("staging_dir"));
    }
}
