//! Differences as comma-separated values (RFC 4180), a line for each.

use super::units::printable;
use crate::protocol::{DifferenceBody, EvidenceBody};

/// The columns.
const HEADER: [&str; 13] = [
    "fileUrl",
    "pathHex",
    "kind",
    "side",
    "reason",
    "detail",
    "sourceType",
    "sourceSize",
    "sourceLastModifiedTime",
    "sourceDigests",
    "destinationType",
    "destinationSize",
    "destinationLastModifiedTime",
];

/// The differences below a line of column names. Control characters in names are escaped, and stand exactly in `pathHex`.
pub fn csv(differences: &[DifferenceBody]) -> String {
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let header = HEADER.into_iter().chain(["destinationDigests"]);
    // A vector takes whatever is written.
    let _ = writer.write_record(header);
    for difference in differences {
        let _ = writer.write_record(row(difference));
    }
    String::from_utf8(writer.into_inner().unwrap_or_default()).unwrap_or_default()
}

fn row(difference: &DifferenceBody) -> Vec<String> {
    let text = |text: &Option<String>| text.as_deref().map(printable).unwrap_or_default();
    let exact = difference.file_url.chars().any(char::is_control).then(|| {
        let path = difference.file_url.split('/').skip(7).collect::<Vec<_>>().join("/");
        hex::encode(path)
    });
    let mut row = vec![
        printable(&difference.file_url),
        difference.path_hex.clone().or(exact).unwrap_or_default(),
        difference.kind.name().to_owned(),
        text(&difference.side),
        difference.reason.map(|reason| reason.to_string()).unwrap_or_default(),
        text(&difference.detail),
    ];
    for evidence in [&difference.source, &difference.destination] {
        row.extend(columns(evidence.as_ref()));
    }
    row
}

fn columns(evidence: Option<&EvidenceBody>) -> [String; 4] {
    let Some(evidence) = evidence else { return Default::default() };
    let kind = evidence.file_type.map(|kind| format!("{kind:?}").to_uppercase());
    let digests: Vec<String> = evidence.digests.iter().map(|(algorithm, text)| format!("{algorithm}:{text}")).collect();
    [
        kind.unwrap_or_default(),
        evidence.size.map(|size| size.to_string()).unwrap_or_default(),
        evidence.last_modified_time.map(|time| time.to_string()).unwrap_or_default(),
        printable(&digests.join(" ")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::DifferenceKind;

    #[test]
    fn names_keep_their_place_whatever_is_in_them() {
        let difference = DifferenceBody {
            file_url: "/api/v1/live-migration/files/data/0/a,\"b\"\n.db".to_owned(),
            path_hex: None,
            kind: DifferenceKind::MissingAtSource,
            side: None,
            reason: None,
            detail: None,
            source: None,
            destination: None,
        };
        let text = csv(&[difference]);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 2);
        let escaped = r#""/api/v1/live-migration/files/data/0/a,""b""\n.db",612c2262220a2e6462,missing-at-source,"#;
        assert_eq!(lines[1], format!("{escaped},,,,,,,,,,"));
        assert_eq!(lines[0].split(',').count(), 14);
    }
}
