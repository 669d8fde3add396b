//! The program itself as a child process.

use std::path::Path;

use assert_cmd::Command;

/// Exit code, standard output, standard error.
pub type Ended = (i32, String, String);

/// Runs the program.
pub fn twintree(args: &[&str]) -> Ended {
    ended(Command::cargo_bin("twintree").unwrap().args(args))
}

/// Runs the program under limits that shell commands such as `ulimit` set before.
pub fn twintree_after(limits: &str, args: &[&str]) -> Ended {
    let script = format!("{limits} && exec \"$0\" \"$@\"");
    ended(Command::new("sh").args(["-c", &script, env!("CARGO_BIN_EXE_twintree")]).args(args))
}

/// A path as an argument.
pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

fn ended(command: &mut Command) -> Ended {
    let output = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

/// Runs a line of the shell in a directory; `$T` is the program.
pub fn shell(directory: &Path, line: &str) -> Ended {
    ended(Command::new("sh").args(["-c", line]).current_dir(directory).env("T", env!("CARGO_BIN_EXE_twintree")))
}

/// Whether a program is there that takes `--version`.
pub fn is_installed(program: &str) -> bool {
    std::process::Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}
