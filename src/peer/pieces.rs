//! What is asked for a piece of a file, and what the answers say: whether they are of the state of the file that is being fetched.
//! Pure.

use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, ETAG, HeaderMap, HeaderName, HeaderValue, IF_RANGE, RANGE};

/// The headers that ask for the rest of a file; none where nothing came yet. Without a strong validator the range stands
/// alone: a date or a weak validator would promise what it cannot hold.
pub(super) fn rest_of(bytes: u64, tag: Option<&HeaderValue>) -> HeaderMap {
    let mut headers = HeaderMap::new();
    // Digits are a header's value.
    if bytes > 0
        && let Ok(range) = HeaderValue::try_from(format!("bytes={bytes}-"))
    {
        headers.insert(RANGE, range);
        headers.extend(tag.map(|tag| (IF_RANGE, tag.clone())));
    }
    headers
}

/// An `ETag` that changes with every byte; a weak one may stay.
fn strong_tag(headers: &HeaderMap) -> Option<HeaderValue> {
    let tag = headers.get(ETAG)?;
    let quoted = |text: &[u8]| text.len() >= 2 && text.starts_with(b"\"") && text.ends_with(b"\"");
    quoted(tag.as_bytes()).then(|| tag.clone())
}

/// Whether an answer says that the file is still that of this validator and this size. Pure.
pub(super) fn is_still(status: StatusCode, headers: &HeaderMap, tag: &HeaderValue, size: u64) -> bool {
    let same_size = match status {
        StatusCode::NOT_MODIFIED => return true,
        StatusCode::PARTIAL_CONTENT => text(headers, CONTENT_RANGE) == Some(&format!("bytes 0-0/{size}")),
        StatusCode::OK => text(headers, CONTENT_LENGTH).is_none_or(|length| length == size.to_string()),
        _ => false,
    };
    // A source that knows no conditions says what it is.
    same_size && strong_tag(headers).as_ref() == Some(tag)
}

/// The size of a file that has no byte in the range asked for, where the answer names it.
fn without_such_a_range(headers: &HeaderMap) -> Option<u64> {
    text(headers, CONTENT_RANGE)?.strip_prefix("bytes */")?.parse().ok()
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

/// What the bytes of an answer are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// None: all came before, and only the end of the answer was missing.
    Nothing,
    /// The rest of what came so far.
    Rest,
    /// The file from its first byte on, and its validator.
    Beginning(Option<HeaderValue>),
    /// A part of something else.
    Neither,
    /// A file of another size than was listed.
    OtherSize(String),
}

/// What an answer of this head brings, asked for the rest of what was fetched. Pure.
pub(super) fn follows(
    status: StatusCode,
    headers: &HeaderMap,
    bytes: u64,
    tag: Option<&HeaderValue>,
    size: u64,
) -> Follows {
    match status {
        StatusCode::PARTIAL_CONTENT => {
            let expected = format!("bytes {}-{}/{size}", bytes, size.saturating_sub(1));
            let same_range = text(headers, CONTENT_RANGE) == Some(&expected);
            match bytes > 0 && same_range && strong_tag(headers).as_ref() == tag {
                true => Follows::Rest,
                false => Follows::Neither,
            }
        }
        StatusCode::RANGE_NOT_SATISFIABLE => match without_such_a_range(headers) {
            Some(now) if now != size => Follows::OtherSize(now.to_string()),
            Some(_) if bytes == size => Follows::Nothing,
            _ => Follows::Neither,
        },
        _ => match text(headers, CONTENT_LENGTH) {
            Some(length) if length != size.to_string() => Follows::OtherSize(length.to_owned()),
            _ => Follows::Beginning(strong_tag(headers)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// So many bytes, of a state with this validator.
    type Fetched = (u64, Option<&'static str>);

    fn after(status: u16, headers: &[(&'static str, &'static str)], (bytes, tag): Fetched) -> Follows {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_static(value)));
        let tag = tag.map(HeaderValue::from_static);
        follows(StatusCode::from_u16(status).unwrap(), &headers.collect(), bytes, tag.as_ref(), 100)
    }

    #[test]
    fn only_the_rest_of_the_same_state_is_the_rest() {
        let half = (50, Some("\"a\""));
        let range = ("content-range", "bytes 50-99/100");
        assert_eq!(after(206, &[range, ("etag", "\"a\"")], half), Follows::Rest);
        for other in [
            &[range, ("etag", "\"b\"")][..],
            &[range, ("etag", "W/\"a\"")],
            &[range],
            &[("etag", "\"a\"")],
            &[("content-range", "bytes 0-99/100"), ("etag", "\"a\"")],
            &[("content-range", "bytes 50-100/101"), ("etag", "\"a\"")],
            &[("content-range", "bytes 50-99/*"), ("etag", "\"a\"")],
        ] {
            assert_eq!(after(206, other, half), Follows::Neither, "{other:?}");
        }
        // A source that names no validator: its listing decides in the end.
        assert_eq!(after(206, &[range], (50, None)), Follows::Rest);
        assert_eq!(after(206, &[range, ("etag", "\"a\"")], (50, None)), Follows::Neither);
        let whole = ("content-range", "bytes 0-99/100");
        assert_eq!(after(206, &[whole], (0, None)), Follows::Neither, "nobody asked for a part");
    }

    #[test]
    fn the_whole_file_begins_again_with_its_own_validator() {
        let half = (50, Some("\"a\""));
        let tag = |tag| Follows::Beginning(Some(HeaderValue::from_static(tag)));
        assert_eq!(after(200, &[("content-length", "100"), ("etag", "\"b\"")], half), tag("\"b\""));
        assert_eq!(after(200, &[("etag", "\"a\"")], half), tag("\"a\""));
        for weak in ["W/\"a\"", "a", "\""] {
            assert_eq!(after(200, &[("etag", weak)], half), Follows::Beginning(None), "{weak}");
        }
        assert_eq!(after(200, &[("content-length", "99")], half), Follows::OtherSize("99".to_owned()));
    }

    #[test]
    fn no_rest_is_the_end_where_all_bytes_came_and_the_size_is_the_listed_one() {
        let (all, half) = ((100, Some("\"a\"")), (50, Some("\"a\"")));
        let range = |size| [("content-range", size)];
        assert_eq!(after(416, &range("bytes */100"), all), Follows::Nothing);
        assert_eq!(after(416, &range("bytes */100"), half), Follows::Neither);
        assert_eq!(after(416, &range("bytes */99"), all), Follows::OtherSize("99".to_owned()));
        for other in ["bytes */*", "bytes */", "bytes 0-99/100", "*/100", "bytes */99999999999999999999"] {
            assert_eq!(after(416, &range(other), all), Follows::Neither, "{other}");
        }
        assert_eq!(after(416, &[], all), Follows::Neither);
        // The length is that of the refusal.
        assert_eq!(after(416, &[("content-length", "100")], all), Follows::Neither);
    }

    #[test]
    fn a_continued_request_names_the_state_it_continues() {
        let tag = HeaderValue::from_static("\"a\"");
        assert!(rest_of(0, Some(&tag)).is_empty());
        let headers = rest_of(7, Some(&tag));
        assert_eq!((&headers[RANGE], &headers[IF_RANGE]), (&HeaderValue::from_static("bytes=7-"), &tag));
        let headers = rest_of(7, None);
        assert_eq!((headers.len(), &headers[RANGE]), (1, &HeaderValue::from_static("bytes=7-")));
    }
}
