//! What a result amounts to, in a sentence: the same in every output. Pure.

use super::task_state::{Progress, TaskState};
use crate::model::{Counters, Scope, grouped};

/// What a headline is made of.
#[derive(Debug, Clone, Copy)]
pub struct Headline<'a> {
    /// Where the task stands.
    pub state: TaskState,
    /// What was counted.
    pub counters: &'a Counters,
    /// Why it failed or was cancelled.
    pub message: Option<&'a str>,
    /// What it speaks of, where that is known.
    pub scope: Option<&'a Scope>,
    /// Some files were not read: digests of earlier reads stand for them.
    pub trusting: bool,
    /// Files whose content was not compared, because metadata elsewhere differs.
    pub content_not_compared: u64,
    /// How far the work is.
    pub progress: &'a Progress,
}

impl Headline<'_> {
    /// The sentence, such as `equal within ks001; snapshots left out; 259 files proven, 271 entries in all`. May quote what the
    /// other side sent.
    pub fn text(&self) -> String {
        let Counters { files_matched, metadata_matched, .. } = self.counters;
        match self.state {
            TaskState::NotStarted | TaskState::InProgress => self.within("not finished", &self.how_far()),
            TaskState::Completed if *files_matched == 0 => self.within("there was not a single file to compare", ""),
            TaskState::Completed => {
                let (verdict, files) = match (self.trusting, self.checksums()) {
                    (true, _) => ("equal, trusting digests of earlier reads".to_owned(), "files"),
                    (false, Some(checksums)) => (format!("equal by {checksums} of a checksum list"), "files"),
                    (false, None) => ("equal".to_owned(), "files proven"),
                };
                self.within(&verdict, &format!("{files_matched} {files}, {metadata_matched} entries in all"))
            }
            TaskState::Failed | TaskState::Cancelled => {
                let by = self.checksums().map(|checksums| format!("compared by {checksums} of a checksum list"));
                let more: Vec<String> = by.into_iter().chain(not_compared(self.content_not_compared)).collect();
                self.within(self.message.unwrap_or("not proven equal"), &more.join("; "))
            }
        }
    }

    fn within(&self, what: &str, more: &str) -> String {
        let text = self.scope.map_or_else(|| what.to_owned(), |scope| scope.headline(what));
        if more.is_empty() { text } else { format!("{text}; {more}") }
    }

    /// The algorithm that equality rests on, where that is another one than a manifest's.
    fn checksums(&self) -> Option<&str> {
        self.scope?.limits.checksums.as_deref()
    }

    fn how_far(&self) -> String {
        let Progress { files_total, files_hashed, source_files_total, source_files_hashed, .. } = self.progress;
        format!(
            "{} of {} files read here, {} of {} at the source",
            grouped(*files_hashed),
            grouped(*files_total),
            grouped(*source_files_hashed),
            grouped(*source_files_total)
        )
    }
}

/// Says that the content of so many files was not compared, and how to have it; `None` for none.
pub fn not_compared(files: u64) -> Option<String> {
    (files > 0).then(|| format!("content of {} files was not compared: add --keep-going", grouped(files)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{RootId, ScopeLimits, SourceRules};

    fn text(state: TaskState, scope: Option<&Scope>, trusting: bool, content_not_compared: u64) -> String {
        let counters = Counters { files_matched: 3, metadata_matched: 5, ..Counters::default() };
        let progress = Progress { files_total: 6003, files_hashed: 1203, ..Progress::default() };
        let message = (state == TaskState::Failed).then_some("1 with other metadata");
        let counters = &counters;
        let progress = &progress;
        Headline { state, counters, message, scope, trusting, content_not_compared, progress }.text()
    }

    #[test]
    fn every_state_has_its_sentence_and_the_scope_stands_in_each() {
        let scope = Scope {
            roots: vec![RootId::DATA_0],
            selection: Some(vec!["ks".to_owned()]),
            files_excluded: vec![],
            directories_excluded: vec![],
            source_rules: SourceRules::Same,
            limits: ScopeLimits::default(),
        };
        let limits = ScopeLimits { checksums: Some("MD5".to_owned()), ..ScopeLimits::default() };
        let by_md5 = Scope { limits, ..scope.clone() };
        assert_eq!(
            text(TaskState::Completed, Some(&by_md5), false, 0),
            "equal by MD5 of a checksum list within ks; 3 files, 5 entries in all"
        );
        assert_eq!(
            text(TaskState::Failed, Some(&by_md5), false, 0),
            "1 with other metadata within ks; compared by MD5 of a checksum list"
        );
        let scope = Some(&scope);
        assert_eq!(text(TaskState::Completed, None, false, 0), "equal; 3 files proven, 5 entries in all");
        assert_eq!(text(TaskState::Completed, scope, false, 0), "equal within ks; 3 files proven, 5 entries in all");
        assert_eq!(
            text(TaskState::Completed, scope, true, 0),
            "equal, trusting digests of earlier reads within ks; 3 files, 5 entries in all"
        );
        assert_eq!(
            text(TaskState::Failed, scope, false, 6003),
            "1 with other metadata within ks; content of 6,003 files was not compared: add --keep-going"
        );
        assert_eq!(
            text(TaskState::InProgress, scope, false, 0),
            "not finished within ks; 1,203 of 6,003 files read here, 0 of 0 at the source"
        );
        assert_eq!(text(TaskState::Cancelled, None, false, 0), "not proven equal");
    }
}
