//! A real `sshd` on a loopback address, with keys of its own, and the client's side of it.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::material::missing;

/// Where Debian has it; it wants to be started by its whole path.
const SSHD: &str = "/usr/sbin/sshd";

/// The server; it ends with this.
pub struct Sshd {
    home: tempfile::TempDir,
    server: Child,
    /// The port on 127.0.0.1.
    pub port: u16,
}

impl Sshd {
    /// Starts one that lets this user in by key; `None`, said, where there is no sshd.
    pub fn start() -> Option<Self> {
        if !Path::new(SSHD).is_file() {
            missing("sshd", "it is not installed");
            return None;
        }
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        for name in ["host", "user"] {
            let made =
                Command::new("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-f"]).arg(path(name)).status();
            assert!(made.unwrap().success());
        }
        fs::copy(path("user.pub"), path("authorized")).unwrap();
        // Only root's sshd wants it, and Debian makes it when the system starts.
        let _ = fs::create_dir_all("/run/sshd");
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
        let home_path = home.path().display();
        let server = format!(
            "ListenAddress 127.0.0.1:{port}\nHostKey {home_path}/host\nAuthorizedKeysFile {home_path}/authorized\n\
             PidFile none\nUsePAM no\nStrictModes no\nPasswordAuthentication no\nPermitRootLogin yes\nMaxStartups 100\n"
        );
        let client = format!(
            "Host *\n IdentityFile {home_path}/user\n IdentitiesOnly yes\n UserKnownHostsFile {home_path}/known\n \
             StrictHostKeyChecking accept-new\n BatchMode yes\n LogLevel ERROR\n"
        );
        fs::write(path("server.conf"), server).unwrap();
        fs::write(path("client.conf"), client).unwrap();
        let log = fs::File::create(path("log")).unwrap();
        let server = Command::new(SSHD)
            .args(["-D", "-e", "-f"])
            .arg(path("server.conf"))
            .stdin(Stdio::null())
            .stderr(log)
            .spawn();
        let sshd = Self { server: server.unwrap(), port, home };
        sshd.wait();
        Some(sshd)
    }

    fn wait(&self) {
        let begun = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, self.port)).is_err() {
            let log = fs::read_to_string(self.home.path().join("log")).unwrap_or_default();
            assert!(begun.elapsed() < Duration::from_secs(20), "sshd does not listen: {log}");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Ends it; its files, with those of the client, stay as long as what this gives.
    pub fn stop(mut self) -> tempfile::TempDir {
        let _ = self.server.kill();
        let _ = self.server.wait();
        std::mem::replace(&mut self.home, tempfile::tempdir().unwrap())
    }

    /// The remote shell that reaches it.
    pub fn rsh(&self) -> String {
        format!("ssh -F {}", self.home.path().join("client.conf").display())
    }

    /// What names a directory behind it.
    pub fn url(&self, directory: &Path) -> PathBuf {
        let mut url = std::ffi::OsString::from(format!("ssh://127.0.0.1:{}", self.port));
        url.push(directory);
        url.into()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

/// A program that does what a script says.
pub fn script(path: &Path, lines: &str) -> PathBuf {
    fs::write(path, format!("#!/bin/sh\n{lines}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_owned()
}
