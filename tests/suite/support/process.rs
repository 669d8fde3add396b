//! The program itself as a child process.

use std::io::Read as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// The program with its arguments, in an environment that does not change its output.
pub fn twintree() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_twintree"));
    command.env_remove("RUST_LOG");
    command
}

/// Whether SIGHUP reaches programs that are started here. Where it is ignored, as under `nohup`, they ignore it as well.
pub fn hang_ups_arrive() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap_or_default();
    let ignored = u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 1 == 1);
    if ignored {
        super::material::missing("sighup", "whoever started these tests has SIGHUP ignored");
    }
    !ignored
}

/// A port that was free a moment ago.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A child that does not outlive the test.
pub struct Process(Child);

impl Process {
    /// Starts a command; what it prints can be read once it has ended.
    pub fn start(mut command: Command) -> Self {
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Starts `serve` with this configuration and waits until the service answers at `port`.
    pub fn serve(config: &Path, port: u16) -> Self {
        let mut command = twintree();
        command.args(["serve", "--config"]).arg(config);
        Self::listening(command, port)
    }

    /// Starts a command and waits until it answers at `port`.
    pub fn listening(command: Command, port: u16) -> Self {
        let mut process = Self::start(command);
        for _ in 0..1000 {
            if let Some(status) = process.0.try_wait().unwrap() {
                panic!("the service ended with {status}: {}", process.errors());
            }
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                return process;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the service does not listen");
    }

    /// Waits until SIGTERM no longer ends the process by itself, and so the other signals are listened to as well.
    pub fn wait_until_it_listens_to_signals(&mut self) {
        for _ in 0..3000 {
            let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap_or_default();
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap_or_default();
            // The first bit is signal 1 (proc(5)).
            if u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & (1 << 14) != 0) {
                return;
            }
            if let Some(status) = self.0.try_wait().unwrap() {
                panic!("the program ended with {status}: {}", self.errors());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the program does not listen to signals");
    }

    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.0), signal).unwrap();
    }

    pub fn id(&self) -> u32 {
        self.0.id()
    }

    /// Waits for the end; one that does not come within half a minute fails the test.
    pub fn wait(&mut self) -> ExitStatus {
        for _ in 0..3000 {
            if let Some(status) = self.0.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the process does not end");
    }

    /// Waits until this text was written to standard output; what was read until then is gone.
    pub fn wait_for_output(&mut self, text: &str) {
        read_until(self.0.stdout.as_mut().unwrap(), text);
    }

    /// The same of standard error.
    pub fn wait_for_errors(&mut self, text: &str) {
        read_until(self.0.stderr.as_mut().unwrap(), text);
    }

    /// What an ended process said on standard error.
    pub fn errors(&mut self) -> String {
        let mut text = String::new();
        self.0.stderr.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// What an ended process said on standard output.
    pub fn output(&mut self) -> String {
        let mut text = String::new();
        self.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }
}

fn read_until(mut from: impl std::io::Read, text: &str) {
    let mut said = Vec::new();
    while !said.ends_with(text.as_bytes()) {
        let mut byte = [0];
        let read = from.read(&mut byte).unwrap();
        assert_eq!(read, 1, "{text:?} was not said, but: {}", String::from_utf8_lossy(&said));
        said.push(byte[0]);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
