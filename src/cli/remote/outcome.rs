//! What the end of a remote command means. Pure.

use crate::model::printable;

/// The exit code of a shell that finds no program.
const NOT_FOUND: i32 = 127;

/// The exit code of a shell that may not run a program.
const NOT_RUN: i32 = 126;

/// The exit code of `ssh` where the connection fails or breaks (ssh(1)).
const CONNECTION: i32 = 255;

/// What is known of a remote command that did not bring a whole manifest.
pub(super) struct Failed<'a> {
    /// The host.
    pub host: &'a str,
    /// What was run there.
    pub program: String,
    /// Its exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// The version that the program there named.
    pub version: Option<&'a str>,
    /// The last line that it wrote to standard error.
    pub last_line: Option<&'a str>,
    /// What is wrong with what came.
    pub manifest: String,
}

/// In one line why there is no manifest of a host.
pub(super) fn failure(failed: &Failed<'_>) -> String {
    let Failed { host, program, code, version, last_line, manifest } = failed;
    let here = env!("CARGO_PKG_VERSION");
    let other = version.filter(|version| *version != here);
    let cause = match (code, version) {
        (Some(NOT_FOUND), None) => format!("there is no {program} there (--remote-program says where it is)"),
        (Some(NOT_RUN), None) => format!("{program} cannot be run there"),
        (Some(CONNECTION), _) => "the connection failed or broke".to_owned(),
        (Some(0), None) => manifest.clone(),
        (Some(code), None) => format!("the remote command ended with {code} before {program} said its version"),
        (Some(0 | 3), Some(_)) => manifest.clone(),
        (Some(code), Some(_)) => format!("twintree manifest ended there with {code}"),
        (None, _) => "a signal ended the remote command".to_owned(),
    };
    let version =
        other.map_or_else(String::new, |other| format!("; twintree there is version {other}, this is {here}"));
    let said = last_line.map_or_else(String::new, |line| format!(": {}", printable(line)));
    format!("{host}: {cause}{version}{said}")
}

/// The version that a line of `twintree --version` names.
pub(super) fn version_in(line: &str) -> Option<&str> {
    let version = line.strip_prefix(concat!(env!("CARGO_PKG_NAME"), " "))?;
    let plain = |c: char| c.is_ascii_alphanumeric() || ".-+".contains(c);
    (version.starts_with(|c: char| c.is_ascii_digit()) && version.chars().all(plain)).then_some(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: Option<i32>, version: Option<&str>, last_line: Option<&str>) -> String {
        let program = "twintree".to_owned();
        failure(&Failed { host: "node4", program, code, version, last_line, manifest: "cut off".to_owned() })
    }

    #[test]
    fn each_end_has_its_cause_and_what_was_said_last() {
        let here = Some(env!("CARGO_PKG_VERSION"));
        let is = |text: String, expected: &str| assert_eq!(text, expected);
        is(
            said(Some(127), None, Some("sh: twintree: not found")),
            "node4: there is no twintree there (--remote-program says where it is): sh: twintree: not found",
        );
        is(
            said(Some(255), None, Some("ssh: connect to host node4 port 22: Connection refused")),
            "node4: the connection failed or broke: ssh: connect to host node4 port 22: Connection refused",
        );
        is(said(Some(0), here, None), "node4: cut off");
        is(
            said(Some(2), here, Some("twintree: /data: No such file")),
            "node4: twintree manifest ended there with 2: twintree: /data: No such file",
        );
        let other = said(Some(2), Some("0.0.9"), Some("error: unexpected argument"));
        assert!(other.contains("; twintree there is version 0.0.9, this is "), "{other}");
        is(said(None, here, None), "node4: a signal ended the remote command");
        is(
            said(Some(1), None, Some("\u{1b}[2J")),
            "node4: the remote command ended with 1 before twintree said its version: \\u{1b}[2J",
        );
    }

    #[test]
    fn a_line_of_the_version_is_told_from_others() {
        assert_eq!(version_in("twintree 0.1.0"), Some("0.1.0"));
        assert_eq!(version_in("twintree 1.2.3-rc.1+x"), Some("1.2.3-rc.1+x"));
        for other in ["twintree: 1", "twintree ", "twintree something could not be read", "Welcome", ""] {
            assert_eq!(version_in(other), None, "{other}");
        }
    }
}
