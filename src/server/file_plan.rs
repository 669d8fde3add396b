//! What of a file a request gets: all, a part, or nothing because the client has it already. Pure.

use axum::http::HeaderMap;
use axum::http::header::RANGE;
use headers::{
    ETag, HeaderMapExt as _, IfMatch, IfModifiedSince, IfNoneMatch, IfRange, IfUnmodifiedSince, LastModified,
};

use crate::scan::ServedFile;

/// What to answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FilePlan {
    /// 200.
    All,
    /// 206: so many bytes from `start` on.
    Part { start: u64, length: u64 },
    /// 304.
    NotModified,
    /// 412.
    PreconditionFailed,
    /// 416.
    Unsatisfiable,
}

/// The validators of a file.
pub(super) struct Validators {
    pub tag: ETag,
    pub modified: LastModified,
}

impl Validators {
    /// `None` never happens for a tag of visible ASCII; without validators every condition would be unanswerable.
    pub(super) fn of(file: &ServedFile) -> Option<Self> {
        let tag = format!("\"{}\"", file.tag).parse().ok()?;
        Some(Self { tag, modified: LastModified::from(file.modified) })
    }
}

/// Decides by RFC 9110, sections 13 and 14. Several ranges at once, whatever they are, are answered with the whole file, as the RFC
/// allows.
pub(super) fn plan(request: &HeaderMap, file: &ServedFile, validators: &Validators) -> FilePlan {
    match (request.typed_get::<IfMatch>(), request.typed_get::<IfUnmodifiedSince>()) {
        (Some(condition), _) if !condition.precondition_passes(&validators.tag) => return FilePlan::PreconditionFailed,
        (None, Some(condition)) if !condition.precondition_passes(file.modified) => {
            return FilePlan::PreconditionFailed;
        }
        _ => {}
    }
    match (request.typed_get::<IfNoneMatch>(), request.typed_get::<IfModifiedSince>()) {
        (Some(condition), _) if !condition.precondition_passes(&validators.tag) => return FilePlan::NotModified,
        (None, Some(condition)) if !condition.is_modified(file.modified) => return FilePlan::NotModified,
        _ => {}
    }
    let changed = |condition: IfRange| condition.is_modified(Some(&validators.tag), Some(&validators.modified));
    if request.typed_get::<IfRange>().is_some_and(changed) {
        return FilePlan::All;
    }
    let Some(range) = request.get(RANGE).and_then(|value| value.to_str().ok()) else { return FilePlan::All };
    // A header that says nothing we understand is as if it were not there.
    let Ok(ranges) = http_range_header::parse_range_header(range) else { return FilePlan::All };
    if ranges.len() > 1 {
        return FilePlan::All;
    }
    match ranges.validate(file.size).as_deref() {
        Ok([range]) => FilePlan::Part { start: *range.start(), length: range.end() - range.start() + 1 },
        // The end of an empty file is all of it.
        Ok(_) => FilePlan::All,
        Err(_) => FilePlan::Unsatisfiable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{Duration, UNIX_EPOCH};

    fn planned(size: u64, headers: &[(&'static str, &'static str)]) -> FilePlan {
        let modified = UNIX_EPOCH + Duration::from_millis(1_707_193_655_406);
        let file = ServedFile { size, tag: "a-b".to_owned(), modified };
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        plan(&headers, &file, &Validators::of(&file).unwrap())
    }

    #[test]
    fn ranges() {
        let range = |range| planned(100, &[("range", range)]);
        let part = |start, length| FilePlan::Part { start, length };
        assert_eq!(range("bytes=0-9"), part(0, 10));
        assert_eq!(range("bytes=90-"), part(90, 10));
        assert_eq!(range("bytes=90-1000"), part(90, 10), "an end beyond the file is cut");
        assert_eq!(range("bytes=-10"), part(90, 10));
        assert_eq!(range("bytes=-1000"), part(0, 100), "a suffix longer than the file is the file");
        assert_eq!(range("bytes=99-99"), part(99, 1));
        for nothing in ["bytes=100-", "bytes=100-200", "bytes=-0"] {
            assert_eq!(range(nothing), FilePlan::Unsatisfiable, "{nothing}");
        }
        let several = ["bytes=0-1,5-6", "bytes=0-9,5-15,8-20", "bytes=0-1,500-600", "bytes=500-,600-", "bytes=-0,0-"];
        let unknown = ["lines=1-2", "bytes=x", "bytes", "bytes=9-3", "bytes=--1", ""];
        for ignored in several.into_iter().chain(unknown) {
            assert_eq!(range(ignored), FilePlan::All, "{ignored}");
        }
        for nothing in ["bytes=0-", "bytes=0-9", "bytes=-0"] {
            assert_eq!(planned(0, &[("range", nothing)]), FilePlan::Unsatisfiable, "{nothing}");
        }
        assert_eq!(planned(0, &[("range", "bytes=-5")]), FilePlan::All, "the last five bytes of nothing are nothing");
        assert_eq!(planned(0, &[]), FilePlan::All);
    }

    #[test]
    fn conditions() {
        let (before, then) = ("Tue, 06 Feb 2024 04:27:34 GMT", "Tue, 06 Feb 2024 04:27:35 GMT");
        let one = |name, value| planned(100, &[(name, value)]);
        assert_eq!(one("if-none-match", "\"a-b\""), FilePlan::NotModified);
        assert_eq!(one("if-none-match", "\"other\""), FilePlan::All);
        assert_eq!(one("if-match", "\"other\""), FilePlan::PreconditionFailed);
        assert_eq!(one("if-match", "\"a-b\""), FilePlan::All);
        assert_eq!(one("if-modified-since", then), FilePlan::NotModified);
        assert_eq!(one("if-modified-since", before), FilePlan::All);
        assert_eq!(one("if-unmodified-since", before), FilePlan::PreconditionFailed);
        assert_eq!(one("if-unmodified-since", then), FilePlan::All);
        let resumed = |value| planned(100, &[("if-range", value), ("range", "bytes=50-")]);
        assert_eq!(resumed("\"a-b\""), FilePlan::Part { start: 50, length: 50 });
        assert_eq!(resumed("\"other\""), FilePlan::All, "the file is another now: from the start");
    }
}
