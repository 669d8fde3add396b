//! Lists of `hashdeep`: a header that names the columns, then a line for each file. Pure.

use super::error::{ListError, ListFault};
use super::list::{ChecksumList, ListKind, ListedFile};
use super::reading::Reading;
use crate::model::{ChecksumAlgorithm, ContentDigest};

/// What such a list begins with.
pub(super) const MAGIC: &[u8] = b"%%%% HASHDEEP-";

/// What the line that names the columns begins with.
const COLUMNS: &[u8] = b"%%%% ";

/// A column of digests.
type Column = Option<ChecksumAlgorithm>;

pub(super) fn read(bytes: &[u8], reading: &Reading<'_>) -> Result<ChecksumList, ListError> {
    let mut columns: Option<Vec<Column>> = None;
    let mut files = Vec::new();
    for (number, line) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() || line.starts_with(b"#") || line.starts_with(MAGIC) {
            continue;
        }
        let parsed = match (line.strip_prefix(COLUMNS), &columns) {
            (Some(header), None) => parse_columns(header).map(|found| columns = Some(found)),
            (None, Some(columns)) => file(line, columns, reading).map(|file| files.push(file)),
            _ => Err(ListFault::Form),
        };
        parsed.map_err(|fault| fault.in_line(number))?;
    }
    ChecksumList::new(ListKind::Hashdeep, files)
}

/// `size,md5,sha256,filename`; columns of other algorithms are not looked at.
fn parse_columns(header: &[u8]) -> Result<Vec<Column>, ListFault> {
    let columns = header.strip_prefix(b"size,").and_then(|rest| rest.strip_suffix(b",filename"));
    let names = std::str::from_utf8(columns.ok_or(ListFault::Form)?).map_err(|_| ListFault::Form)?;
    let columns: Vec<Column> = names.split(',').map(|name| name.parse().ok()).collect();
    let known = || columns.iter().flatten();
    let twice = ChecksumAlgorithm::ALL.into_iter().find(|one| known().filter(|known| *known == one).count() > 1);
    twice.map_or(Ok(columns.clone()), |algorithm| Err(ListFault::Column(algorithm)))
}

fn file(line: &[u8], columns: &[Column], reading: &Reading<'_>) -> Result<ListedFile, ListFault> {
    // A name may hold commas; it is what stands behind the columns.
    let mut fields = line.splitn(columns.len() + 2, |byte| *byte == b',');
    let mut field = || fields.next().ok_or(ListFault::Form);
    let size = std::str::from_utf8(field()?).ok().and_then(|size| size.parse().ok()).ok_or(ListFault::Size)?;
    let mut digests: Vec<ContentDigest> = Vec::new();
    for column in columns {
        let value = field()?;
        if let Some(algorithm) = column {
            let digest = hex::decode(value).ok().and_then(|value| algorithm.digest(&value));
            digests.push(digest.ok_or(ListFault::Value(*algorithm))?);
        }
    }
    Ok(ListedFile { path: reading.path(field()?)?, size: Some(size), digests })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksums::read;

    #[test]
    fn columns_are_those_that_the_header_names() {
        let (md5, sha256) = ("d41d8cd98f00b204e9800998ecf8427e", "0".repeat(64));
        let text = format!(
            "%%%% HASHDEEP-1.0\n%%%% size,md5,sha256,tiger,filename\n## Invoked from: /tmp\n## $ hashdeep -rl .\n## \n\
             12,{md5},{sha256},{},./a, b\n0,{md5},{sha256},x,./c\n",
            "1".repeat(48)
        );
        let list = read(text.as_bytes(), &Reading::default()).unwrap();
        let names: Vec<_> = list.files().iter().map(|file| (file.path.to_string(), file.size)).collect();
        assert_eq!(names, [("a, b".to_owned(), Some(12)), ("c".to_owned(), Some(0))]);
        assert_eq!(list.algorithms(), [ChecksumAlgorithm::Sha256, ChecksumAlgorithm::Md5]);
        assert!(list.has_sizes());
        let refused = |text: &str| read(text.as_bytes(), &Reading::default()).unwrap_err();
        assert_eq!(refused("%%%% HASHDEEP-1.0\n1,x\n"), ListFault::Form.in_line(2));
        let twice = "%%%% HASHDEEP-1.0\n%%%% size,md5,sha1,md5,filename\n";
        assert_eq!(refused(twice), ListFault::Column(ChecksumAlgorithm::Md5).in_line(2));
        let head = "%%%% HASHDEEP-1.0\n%%%% size,md5,filename\n";
        assert_eq!(refused(head), ListFault::Empty.of_all());
        assert_eq!(refused(&format!("{head}x,{md5},a\n")), ListFault::Size.in_line(3));
        assert_eq!(refused(&format!("{head}1,{md5}0,a\n")), ListFault::Value(ChecksumAlgorithm::Md5).in_line(3));
        assert_eq!(refused(&format!("{head}1,{md5}\n")), ListFault::Form.in_line(3));
        assert_eq!(refused(&format!("{head}1,{md5},/tmp/a\n")), ListFault::Absolute.in_line(3));
    }
}
