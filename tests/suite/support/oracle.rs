//! The executable statement of the per-file protocol's counters, in one process for many questions.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use serde::Deserialize;
use twintree::model::Counters;

/// Loads the oracle from its file and answers lines of arguments with lines of results. File URLs cross in hex: names
/// need not be text.
const DRIVER: &str = r#"
import contextlib, importlib.util, io, json, os, sys
sys.dont_write_bytecode = True
spec = importlib.util.spec_from_file_location("oracle", sys.argv[1])
oracle = importlib.util.module_from_spec(spec)
spec.loader.exec_module(oracle)
for line in sys.stdin:
    sys.argv = ["oracle"] + json.loads(line)
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        oracle.main()
    answer = json.loads(out.getvalue())
    answer["lists"] = {name: [os.fsencode(url).hex() for url in urls] for name, urls in answer["lists"].items()}
    print(json.dumps(answer), flush=True)
"#;

/// A running oracle.
pub struct Oracle {
    process: Child,
    questions: ChildStdin,
    answers: BufReader<ChildStdout>,
}

/// What a task must report.
#[derive(Debug, Deserialize)]
pub struct Expected {
    pub state: String,
    #[serde(flatten)]
    pub counters: Counters,
    /// The file URLs behind each counter of differences, in hex.
    pub lists: BTreeMap<String, Vec<String>>,
}

impl Oracle {
    pub fn start(file: &Path) -> Self {
        let mut process = Command::new("python3")
            .args(["-X", "utf8", "-c", DRIVER])
            .arg(file)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the oracle needs python3");
        let questions = process.stdin.take().unwrap();
        let answers = BufReader::new(process.stdout.take().unwrap());
        Self { process, questions, answers }
    }

    pub fn ask(&mut self, arguments: &[String]) -> Expected {
        writeln!(self.questions, "{}", serde_json::to_string(arguments).unwrap()).unwrap();
        let mut answer = String::new();
        self.answers.read_line(&mut answer).unwrap();
        serde_json::from_str(&answer).unwrap_or_else(|error| panic!("the oracle does not know: {error}: {answer:?}"))
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
