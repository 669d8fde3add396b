//! The manifest exchange: the destination's request and the frames of the source's stream.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::frame::{Frame, FrameError, FrameReader};
use super::source_failure::SourceFailure;
use crate::manifest::{
    DirectoriesError, Directory, DirectoryIndex, Identity, MAX_DIRECTORIES_IN_A_RECORD, SubtreeHash, Writer,
    decode_directories, decode_problem, encode_directories,
};
use crate::model::{Blake3Digest, Problem, Provenance};

/// The versions of the extension routes that this program speaks, lowest and highest.
pub const SPOKEN_VERSIONS: (u32, u32) = (3, 3);

/// The versions this program speaks, for a person.
pub fn spoken_versions() -> String {
    match SPOKEN_VERSIONS {
        (lowest, highest) if lowest == highest => format!("version {highest}"),
        (lowest, highest) => format!("versions {lowest} to {highest}"),
    }
}

/// The highest version that both sides speak; `None` where there is none.
pub fn common_version((lowest, highest): (u32, u32)) -> Option<u32> {
    let (own_lowest, own_highest) = SPOKEN_VERSIONS;
    let best = highest.min(own_highest);
    (best >= lowest && best >= own_lowest).then_some(best)
}

/// The body of `POST /manifests`, as JSON. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ManifestRequest {
    /// The lowest version the destination speaks.
    pub lowest_version: u32,
    /// The highest one.
    pub highest_version: u32,
    /// The roots wanted, such as `data/0`; `None` for all the source has.
    #[serde(default)]
    pub roots: Option<Vec<String>>,
    /// The fingerprint of the destination's exclusion rules, in hex. The source answers with its own.
    #[serde(default)]
    pub rules_fingerprint: Option<String>,
    /// The keyspaces and tables the task is restricted to; `None` for everything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub keyspaces: Option<Vec<String>>,
    /// The task's `maxConcurrency`.
    pub max_concurrency: u32,
    /// The destination's task, for the source's log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub task: Option<Uuid>,
    /// The manifest an interrupted stream was of; the source goes on with it where it still has it.
    #[serde(default)]
    pub resume: Option<Uuid>,
}

/// One frame of the stream.
#[derive(Debug, Clone)]
pub enum ManifestFrame {
    /// The first frame.
    Hello(Hello),
    /// At least one a second.
    Progress(ProgressFrame),
    /// A root begins; its directories follow.
    Root(RootFrame),
    /// Directories of the root that began last, in pre-order.
    Directories(Vec<Directory>),
    /// All roots and directories were sent.
    MetadataEnd,
    /// Directories whose content is known.
    Content(Vec<FinishedDirectory>),
    /// Where the content came from; comes once, right before the end.
    Provenance(Provenance),
    /// The last frame of a complete stream.
    End(End),
    /// The last frame of a stream that failed.
    Error(SourceFailure),
}

/// Who answers, and with what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The version of this stream.
    pub protocol_version: u32,
    /// The name under which the source keeps the manifest.
    pub manifest_id: [u8; 16],
    /// What is being scanned.
    pub identity: Identity,
}

/// How far the source is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ProgressFrame {
    /// Files found so far.
    pub files_total: u64,
    /// Their bytes.
    pub bytes_total: u64,
    /// Files hashed.
    pub files_hashed: u64,
    /// Bytes hashed.
    pub bytes_hashed: u64,
}

/// The head of a root.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RootFrame {
    /// The number of the directory type.
    pub directory_type: u8,
    /// The index within the type.
    pub index: u32,
    /// How many directories follow; `None` for a root that is absent on disk.
    pub directories: Option<u32>,
}

/// A directory whose content is known.
#[derive(Debug, Clone)]
pub struct FinishedDirectory {
    /// The root's number in the stream.
    pub root: u32,
    /// The directory in it.
    pub directory: DirectoryIndex,
    /// Its content hash.
    pub hash: SubtreeHash,
    /// What was found to be wrong with the directory itself only by now, such as that it changed; then it has no hash.
    pub problem: Option<Problem>,
}

/// What the whole stream must have come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Files.
    pub files: u64,
    /// Directories.
    pub directories: u64,
    /// Bytes.
    pub bytes: u64,
    /// The instance's metadata hash.
    pub metadata: Option<[u8; 32]>,
    /// The instance's content hash.
    pub content: Option<[u8; 32]>,
}

const HELLO: u32 = 1;
const PROGRESS: u32 = 2;
const ROOT: u32 = 3;
const DIRECTORIES: u32 = 4;
const METADATA_END: u32 = 5;
const CONTENT: u32 = 6;
const PROVENANCE: u32 = 7;
const END: u32 = 8;
const ERROR: u32 = 9;

impl Frame for ManifestFrame {
    fn write(&self) -> (u32, Writer) {
        let record = Writer::default();
        match self {
            Self::Hello(hello) => (HELLO, hello.write(record)),
            Self::Progress(progress) => (PROGRESS, progress.write(record)),
            Self::Root(root) => (ROOT, root.write(record)),
            Self::Directories(directories) => (DIRECTORIES, encode_directories(directories.iter(), record)),
            Self::MetadataEnd => (METADATA_END, record),
            Self::Content(finished) => (CONTENT, write_content(finished, record)),
            Self::Provenance(provenance) => (PROVENANCE, write_provenance(provenance, record)),
            Self::End(end) => (END, end.write(record)),
            Self::Error(failure) => (ERROR, failure.write(record)),
        }
    }

    fn read(kind: u32, fields: &mut FrameReader) -> Result<Option<Self>, FrameError> {
        Ok(Some(match kind {
            HELLO => Self::Hello(Hello::read(fields)?),
            PROGRESS => Self::Progress(ProgressFrame::read(fields)?),
            ROOT => Self::Root(RootFrame::read(fields)?),
            DIRECTORIES => Self::Directories(decode_directories(fields)?),
            METADATA_END => Self::MetadataEnd,
            CONTENT => Self::Content(read_content(fields)?),
            PROVENANCE => Self::Provenance(read_provenance(fields)?),
            END => Self::End(End::read(fields)?),
            ERROR => Self::Error(SourceFailure::read(fields)?),
            _ => return Ok(None),
        }))
    }
}

impl Hello {
    fn write(&self, record: Writer) -> Writer {
        let record = record.with(1, &self.protocol_version).with_bytes(2, self.manifest_id);
        self.identity.write(record)
    }

    fn read(fields: &mut FrameReader) -> Result<Self, FrameError> {
        Ok(Self {
            protocol_version: fields.required(1)?,
            manifest_id: fields.bytes(2)?.try_into().map_err(|_| FrameError::Fields)?,
            identity: Identity::read(fields)?,
        })
    }
}

impl ProgressFrame {
    fn write(&self, record: Writer) -> Writer {
        let Self { files_total, bytes_total, files_hashed, bytes_hashed } = self;
        record.with(1, files_total).with(2, bytes_total).with(3, files_hashed).with(4, bytes_hashed)
    }

    fn read(fields: &mut FrameReader) -> Result<Self, FrameError> {
        Ok(Self {
            files_total: fields.required(1)?,
            bytes_total: fields.required(2)?,
            files_hashed: fields.required(3)?,
            bytes_hashed: fields.required(4)?,
        })
    }
}

impl RootFrame {
    fn write(&self, record: Writer) -> Writer {
        let Self { directory_type, index, directories } = self;
        record.with(1, directory_type).with(2, index).with_some(3, directories.as_ref())
    }

    fn read(fields: &mut FrameReader) -> Result<Self, FrameError> {
        Ok(Self { directory_type: fields.required(1)?, index: fields.required(2)?, directories: fields.optional(3)? })
    }
}

/// A directory's state among those whose content is known.
const UNPROVEN: u8 = 0;
const PROVEN: u8 = 1;
const PROBLEM: u8 = 2;

/// Columns: root numbers, directories, states, the hashes of the proven ones, the problems of those that have one.
fn write_content(finished: &[FinishedDirectory], record: Writer) -> Writer {
    let roots: Vec<u32> = finished.iter().map(|one| one.root).collect();
    let directories: Vec<u32> = finished.iter().map(|one| one.directory.0).collect();
    let state = |one: &FinishedDirectory| match (&one.problem, one.hash.digest()) {
        (Some(_), _) => PROBLEM,
        (None, Some(_)) => PROVEN,
        (None, None) => UNPROVEN,
    };
    let states: Vec<u8> = finished.iter().map(state).collect();
    let proven = finished.iter().filter(|one| one.problem.is_none()).filter_map(|one| one.hash.digest());
    let hashes: Vec<u8> = proven.flat_map(|digest| digest.0).collect();
    let problems = finished.iter().filter_map(|one| one.problem.as_ref());
    let problems: Vec<(u8, &str)> = problems.map(|problem| (problem.reason.code(), problem.detail.as_str())).collect();
    record.with(1, &roots).with(2, &directories).with_bytes(3, states).with_bytes(4, hashes).with(5, &problems)
}

fn read_content(fields: &mut FrameReader) -> Result<Vec<FinishedDirectory>, FrameError> {
    let (roots, directories): (Vec<u32>, Vec<u32>) = (fields.required(1)?, fields.required(2)?);
    let (states, hashes) = (fields.bytes(3)?, fields.bytes(4)?);
    let problems: Vec<(u8, String)> = fields.required(5)?;
    if roots.len() != states.len() || directories.len() != states.len() {
        return Err(FrameError::Fields);
    }
    if states.len() > MAX_DIRECTORIES_IN_A_RECORD {
        return Err(DirectoriesError::TooMany(states.len()).into());
    }
    let (mut hashes, mut problems) = (hashes.chunks_exact(32), problems.into_iter());
    let mut finished = Vec::with_capacity(states.len());
    for ((root, directory), state) in roots.into_iter().zip(directories).zip(states) {
        let hash = || hashes.next().and_then(|hash| hash.try_into().ok()).map(Blake3Digest).ok_or(FrameError::Fields);
        let (hash, problem) = match state {
            UNPROVEN => (SubtreeHash::Unproven, None),
            PROVEN => (SubtreeHash::Proven({ hash }()?), None),
            PROBLEM => (SubtreeHash::Unproven, Some(decode_problem(problems.next().ok_or(FrameError::Fields)?)?)),
            _ => return Err(FrameError::Fields),
        };
        finished.push(FinishedDirectory { root, directory: DirectoryIndex(directory), hash, problem });
    }
    match hashes.next().is_none() && hashes.remainder().is_empty() && problems.next().is_none() {
        true => Ok(finished),
        false => Err(FrameError::Fields),
    }
}

fn write_provenance(from: &Provenance, record: Writer) -> Writer {
    let read = record
        .with(1, &from.page_cache_bytes)
        .with(2, &from.media_bytes)
        .with(3, &from.direct_bytes)
        .with(4, &from.unknown_bytes);
    read.with(5, &from.linked_files)
        .with(6, &from.linked_bytes)
        .with(7, &from.trusted_files)
        .with(8, &from.trusted_bytes)
        .with(9, &from.audited_files)
        .with_some(10, (from.unrecordable_files > 0).then_some(&from.unrecordable_files))
        .with_some(11, (from.reads_in_flight > 0).then_some(&from.reads_in_flight))
}

fn read_provenance(fields: &mut FrameReader) -> Result<Provenance, FrameError> {
    Ok(Provenance {
        page_cache_bytes: fields.required(1)?,
        media_bytes: fields.required(2)?,
        direct_bytes: fields.required(3)?,
        unknown_bytes: fields.required(4)?,
        linked_files: fields.required(5)?,
        linked_bytes: fields.required(6)?,
        trusted_files: fields.required(7)?,
        trusted_bytes: fields.required(8)?,
        audited_files: fields.required(9)?,
        unrecordable_files: fields.optional(10)?.unwrap_or_default(),
        reads_in_flight: fields.optional(11)?.unwrap_or_default(),
    })
}

impl End {
    fn write(&self, record: Writer) -> Writer {
        let Self { files, directories, bytes, metadata, content } = self;
        let sums = record.with(1, files).with(2, directories).with(3, bytes);
        sums.with_some(4, metadata.as_ref()).with_some(5, content.as_ref())
    }

    fn read(fields: &mut FrameReader) -> Result<Self, FrameError> {
        Ok(Self {
            files: fields.required(1)?,
            directories: fields.required(2)?,
            bytes: fields.required(3)?,
            metadata: fields.optional(4)?,
            content: fields.optional(5)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_in_the_highest_version_that_both_speak() {
        let (lowest, highest) = SPOKEN_VERSIONS;
        assert_eq!(common_version((lowest, highest)), Some(highest));
        assert_eq!(common_version((1, highest + 9)), Some(highest));
        assert_eq!(common_version((lowest, lowest)), Some(lowest));
        assert_eq!(common_version((highest + 1, highest + 9)), None);
        assert_eq!(common_version((1, lowest - 1)), None);
        assert_eq!(common_version((highest, lowest - 1)), None, "a range that is none");
    }
}
