//! What `ssh://HOST/DIR` names, and the command that makes a manifest of it there. Pure.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

use crate::cli::args::{RemoteArgs, ScanArgs};

/// What an argument that names a directory elsewhere begins with.
const SCHEME: &[u8] = b"ssh://";

/// Where the name of the host goes in a command of one's own.
const HOST: &str = "{host}";

/// A directory on another host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Place {
    /// As the remote shell's command takes it, with the user where one is named.
    pub host: String,
    port: Option<u16>,
    /// Absolute. Every byte stands for itself: nothing is percent-encoded.
    path: Vec<u8>,
}

impl Place {
    /// The place that an argument names; `None` where it is one of this host.
    pub(in crate::cli) fn parse(argument: &OsStr) -> Option<Result<Self, String>> {
        let rest = argument.as_bytes().strip_prefix(SCHEME)?;
        Some(
            Self::of(rest)
                .map_err(|why| format!("{}: {why}; expected ssh://[USER@]HOST[:PORT]/DIR", argument.display())),
        )
    }

    fn of(rest: &[u8]) -> Result<Self, &'static str> {
        let slash = rest.iter().position(|byte| *byte == b'/').ok_or("it names no directory")?;
        let (authority, path) = rest.split_at(slash);
        let authority = std::str::from_utf8(authority).map_err(|_| "the host is not UTF-8")?;
        let (user, address) = match authority.rsplit_once('@') {
            Some((user, address)) => (Some(user), address),
            None => (None, authority),
        };
        let (host, port) = host_and_port(address)?;
        let host = user.map_or(host.to_owned(), |user| format!("{user}@{host}"));
        // Else the remote shell's command takes it for an option.
        let odd = |c: char| c.is_whitespace() || c.is_control();
        if host.starts_with('-') || host.starts_with('@') || host.contains(odd) {
            return Err("that is no name of a host");
        }
        Ok(Self { host, port, path: path.to_owned() })
    }

    /// The command line that runs `twintree manifest` there and has it write to standard output.
    pub(in crate::cli) fn command_line(&self, how: &RemoteArgs, scan: &ScanArgs) -> Result<Vec<OsString>, String> {
        let words = shlex::split(&how.rsh).filter(|words| !words.is_empty());
        let words = words.ok_or_else(|| format!("--rsh {}: no command, or quotes that do not end", how.rsh))?;
        let mut line: Vec<OsString> = words.iter().map(|word| word.replace(HOST, &self.host).into()).collect();
        if let Some(port) = self.port {
            if OsStr::new(&words[0]).as_bytes().rsplit(|byte| *byte == b'/').next() != Some(b"ssh") {
                return Err(format!("port {port}: {} is not known to take one; put it into --rsh", words[0]));
            }
            line.splice(1..1, ["-p".into(), port.to_string().into()]);
        }
        if !words.iter().any(|word| word.contains(HOST)) {
            line.push(self.host.clone().into());
        }
        line.push(OsString::from_vec(self.shell_command(how, scan)?));
        Ok(line)
    }

    /// What the shell there is to run. The version comes first, so that it is known whatever happens then.
    fn shell_command(&self, how: &RemoteArgs, scan: &ScanArgs) -> Result<Vec<u8>, String> {
        let program = quoted(how.remote_program.as_os_str().as_bytes())?;
        let mut command = program.clone();
        command.extend_from_slice(b" --version >&2 && exec ");
        command.extend_from_slice(&program);
        for word in words_of(scan) {
            command.push(b' ');
            command.extend_from_slice(&quoted(word.as_bytes())?);
        }
        command.extend_from_slice(b" -- ");
        command.extend_from_slice(&quoted(&self.path)?);
        Ok(command)
    }
}

fn host_and_port(address: &str) -> Result<(&str, Option<u16>), &'static str> {
    let number = |port: &str| port.parse().ok().filter(|port| *port > 0).ok_or("that is no port");
    let (host, port) = match address.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) => (host, None),
        Some((host, rest)) => (host, Some(number(rest.strip_prefix(':').ok_or("that is no port")?)?)),
        None => match address.split_once(':') {
            Some((host, port)) => (host, Some(number(port)?)),
            None => (address, None),
        },
    };
    if host.is_empty() { Err("it names no host") } else { Ok((host, port)) }
}

/// The options of `twintree manifest` that scan there as this command would here.
fn words_of(scan: &ScanArgs) -> Vec<String> {
    let mut words: Vec<String> = ["manifest", "--quiet", "--relay-progress", "-o", "-"].map(str::to_owned).into();
    let mut option = |name: &str, value: &dyn ToString| words.extend([format!("--{name}={}", value.to_string())]);
    scan.exclude_file.iter().for_each(|pattern| option("exclude-file", pattern));
    scan.exclude_dir.iter().for_each(|pattern| option("exclude-dir", pattern));
    scan.keyspace.iter().for_each(|name| option("keyspace", name));
    scan.threads.iter().for_each(|threads| option("threads", threads));
    scan.read_limit.iter().for_each(|limit| option("read-limit", &format!("{limit}B/s")));
    if scan.direct {
        words.push("--direct".to_owned());
    }
    words
}

/// As one word for a shell that reads as `sh` does.
fn quoted(word: &[u8]) -> Result<Vec<u8>, String> {
    let quoted = shlex::bytes::try_quote(word).map_err(|_| "a name with a NUL byte cannot be passed on".to_owned())?;
    Ok(quoted.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::process::Command;

    fn place(text: &str) -> Result<Place, String> {
        Place::parse(OsStr::new(text)).unwrap()
    }

    fn line(text: &str, rsh: &str) -> Result<Vec<String>, String> {
        let how = RemoteArgs { rsh: rsh.to_owned(), remote_program: "twintree".into() };
        let line = place(text)?.command_line(&how, &ScanArgs::default())?;
        Ok(line.into_iter().map(|word| word.into_string().unwrap()).collect())
    }

    const COMMAND: &str = "twintree --version >&2 && exec twintree manifest --quiet --relay-progress -o - -- /data";

    #[test]
    fn an_argument_names_a_host_and_a_directory() {
        assert_eq!(Place::parse(OsStr::new("/data")), None);
        assert_eq!(Place::parse(OsStr::new("ssh:/data")), None);
        let parsed =
            |text: &str| place(text).map(|place| (place.host, place.port, String::from_utf8(place.path).unwrap()));
        let is = |host: &str, port, path: &str| Ok((host.to_owned(), port, path.to_owned()));
        assert_eq!(parsed("ssh://node4/data"), is("node4", None, "/data"));
        assert_eq!(parsed("ssh://me@node4:22/a b/%41"), is("me@node4", Some(22), "/a b/%41"));
        assert_eq!(parsed("ssh://[::1]/d"), is("::1", None, "/d"));
        assert_eq!(parsed("ssh://me@[fe80::1]:2022/"), is("me@fe80::1", Some(2022), "/"));
        for odd in [
            "node4",
            "/data",
            "-oProxyCommand=x/d",
            "node4:/d",
            "node4:0/d",
            "node4:x/d",
            ":22/d",
            "@h/d",
            "[::1/d",
            "a b/d",
            "[::1]x/d",
        ] {
            let text = format!("ssh://{odd}");
            let error = parsed(&text).unwrap_err();
            assert!(error.ends_with("expected ssh://[USER@]HOST[:PORT]/DIR"), "{error}");
        }
    }

    #[test]
    fn the_host_stands_behind_the_command_or_where_it_is_wanted() {
        let words =
            |words: &[&str]| Ok(words.iter().map(|word| (*word).to_owned()).chain([COMMAND.to_owned()]).collect());
        assert_eq!(line("ssh://h/data", "ssh"), words(&["ssh", "h"]));
        assert_eq!(
            line("ssh://h:9/data", "/usr/bin/ssh -i 'my key'"),
            words(&["/usr/bin/ssh", "-p", "9", "-i", "my key", "h"])
        );
        let kubectl = "kubectl exec -i {host} -- sh -c";
        assert_eq!(line("ssh://pod-0/data", kubectl), words(&["kubectl", "exec", "-i", "pod-0", "--", "sh", "-c"]));
        for (text, rsh) in [("ssh://h:9/data", kubectl), ("ssh://h/data", ""), ("ssh://h/data", "ssh 'x")] {
            assert!(line(text, rsh).is_err(), "{rsh}");
        }
    }

    #[test]
    fn what_is_scanned_here_is_scanned_there() {
        use clap::Parser as _;
        let arguments = [
            "twintree",
            "manifest",
            "--exclude-file=glob:${DATA_FILE_DIR_0}/*/'x y'",
            "--exclude-dir",
            "-odd",
            "--keyspace=ks",
            "--threads=3",
            "--read-limit=5MiB/s",
            "--direct",
            "-o",
            "-",
            "/data",
        ];
        let parsed = |words: &[String]| match crate::cli::Cli::try_parse_from(words).unwrap().command {
            crate::cli::args::Command::Manifest(args) => args,
            other => panic!("{other:?}"),
        };
        let arguments: Vec<String> = arguments.map(str::to_owned).into();
        let arguments: Vec<String> = arguments
            .iter()
            .map(|word| if word == "--exclude-dir" { "--exclude-dir=-odd".into() } else { word.clone() })
            .filter(|word| word != "-odd")
            .collect();
        let here = parsed(&arguments);
        let mut there = vec!["twintree".to_owned()];
        there.extend(words_of(&here.scan));
        there.push("/data".to_owned());
        let there = parsed(&there);
        assert_eq!(format!("{:?}", there.scan), format!("{:?}", here.scan));
        assert!(there.relay_progress);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        /// A real shell gives every name back.
        #[test]
        fn a_shell_reads_every_name_as_it_is(name in prop::collection::vec(1_u8..=255, 1..20)) {
            let mut script = b"printf %s ".to_vec();
            script.extend_from_slice(&quoted(&name).unwrap());
            let out = Command::new("sh").arg("-c").arg(OsStr::from_bytes(&script)).output().unwrap();
            prop_assert_eq!(out.stdout, name);
        }
    }
}
