//! A page for each comparison, with all of its differences. Read and written piece by piece: nobody holds them all.

use std::io;
use std::path::{Path, PathBuf};

use super::written::Written;
use crate::cli::streamed::Kept;
use crate::model::short;
use crate::net::{CallError, TaskClient};
use crate::protocol::ReportBody;
use crate::report::{html_of, html_rows};
use crate::work::blocking;

/// Where the pages of comparisons stand, below the directory of reports.
const FOLDER: &str = "comparisons";

/// How much of a comparison's name stands in that of its page, in characters.
const MAX_NAME: usize = 60;

/// How many differences are turned into text at once.
const STEP: u64 = 500;

/// The directory of reports.
#[derive(Debug, Clone)]
pub(super) struct PageFolder(PathBuf);

/// Why there is no page.
pub(super) enum PageError {
    /// The differences did not come.
    Call(CallError),
    /// It could not be written.
    Disk(String),
}

impl PageFolder {
    /// Makes the directory where it is not there.
    pub(super) fn prepare(directory: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(directory.join(FOLDER))?;
        Ok(Self(directory.to_owned()))
    }

    /// The directory itself.
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

/// The name of a comparison's page. It is the same in every run, and no two comparisons share one.
fn file_name(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_') { c } else { '_' };
    let readable: String = name.chars().take(MAX_NAME).map(plain).collect();
    let hash = blake3::hash(name.as_bytes());
    format!("{}-{}.html", readable.trim_start_matches('.'), hex::encode(&hash.as_bytes()[..8]))
}

/// A page that is being written.
struct Page {
    file: Written,
    behind: String,
    link: String,
}

impl Page {
    fn begin(folder: &PageFolder, name: &str, report: &ReportBody) -> Result<Self, String> {
        let file = file_name(name);
        let (before, behind) = html_of(name, report);
        let written = Written::begin(&folder.0.join(FOLDER).join(&file)).map_err(|error| said(folder, &error))?;
        let mut page = Self { file: written, behind, link: format!("{FOLDER}/{file}") };
        page.add(&before)?;
        Ok(page)
    }

    fn add(&mut self, text: &str) -> Result<(), String> {
        self.file.add(text).map_err(|error| error.to_string())
    }

    /// Puts it in its place, and returns how it is linked to.
    fn finish(mut self) -> Result<String, String> {
        let behind = std::mem::take(&mut self.behind);
        self.add(&behind)?;
        self.file.finish().map_err(|error| error.to_string())?;
        Ok(self.link)
    }
}

fn said(folder: &PageFolder, error: &io::Error) -> String {
    format!("{}: {error}", short(&folder.0.to_string_lossy()))
}

/// Writes the page of a task that has ended; `first` is its report with the first of its differences.
pub(super) async fn of_task(
    folder: &PageFolder,
    name: &str,
    client: &TaskClient,
    id: &str,
    first: &ReportBody,
) -> Result<String, PageError> {
    let mut page = Page::begin(folder, name, first).map_err(PageError::Disk)?;
    let mut rows = html_rows(&first.differences);
    let mut shown = first.differences.len() as u64;
    loop {
        page = writing(move || page.add(&rows).map(|()| page)).await?;
        if shown >= first.differences_total {
            break;
        }
        let mut next = client.report_page(id, shown).await.map_err(PageError::Call)?.differences;
        // The first total holds, whatever comes beyond it.
        next.truncate(usize::try_from(first.differences_total - shown).unwrap_or(usize::MAX));
        if next.is_empty() {
            let cause = "the report ends before its last difference".to_owned();
            return Err(PageError::Call(CallError::Malformed { endpoint: client.endpoint().clone(), cause }));
        }
        shown += next.len() as u64;
        rows = html_rows(&next);
    }
    writing(move || page.finish()).await
}

async fn writing<T: Send + 'static>(
    write: impl FnOnce() -> Result<T, String> + Send + 'static,
) -> Result<T, PageError> {
    let written = blocking(write).await.map_err(|died| PageError::Disk(died.to_string()))?;
    written.map_err(PageError::Disk)
}

/// Writes the page of a comparison that was made here.
pub(super) fn of_pair(folder: &PageFolder, name: &str, report: &ReportBody, kept: &Kept<'_>) -> Result<String, String> {
    let mut page = Page::begin(folder, name, report)?;
    let mut offset = 0;
    while offset < report.differences_total {
        let rows = kept.page(offset, STEP)?;
        if rows.is_empty() {
            break;
        }
        offset += rows.len() as u64;
        page.add(&html_rows(&rows))?;
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_name_of_its_own_that_is_no_way_out() {
        let names = ["../../etc/passwd", "a/b", "a_b", "", ".", "node4:9043", "é\n", &"x".repeat(500)].map(file_name);
        for (at, name) in names.iter().enumerate() {
            assert!(!name.starts_with('.') && !name.contains('/') && name.is_ascii() && name.len() < 100, "{name}");
            assert!(!names[..at].contains(name));
        }
        assert!(names[5].starts_with("node4_9043-"));
        assert_eq!(file_name("a/b"), file_name("a/b"));
    }
}
