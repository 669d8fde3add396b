//! Signals that ask a command to end: SIGINT, as Ctrl-C sends it, SIGTERM, and SIGHUP, as a terminal that closes sends it.

use std::sync::mpsc;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

use super::exit_code::{CANCELLED, CommandError};
use crate::scan::Cancel;

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// To end, by a person or by the system.
    End,
    /// To end because the terminal is gone; what runs elsewhere goes on.
    HangUp,
}

/// The signals of this process from now on; none of them ends it by itself any more.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    /// `None` where it is ignored, as `nohup` arranges it, and so stays ignored.
    hang_up: Option<Signal>,
    /// A file grew beyond what the process may write (`ulimit -f`). Received and not looked at: the write fails, as on a full disk, and
    /// what was begun is cleaned up.
    _too_large: Signal,
}

impl Signals {
    /// Call it inside a runtime.
    pub(super) fn listen() -> Result<Self, CommandError> {
        let of = |kind| signal(kind).map_err(|error| CommandError::Failed(format!("signals: {error}")));
        Ok(Self {
            hang_up: (!hang_up_is_ignored()).then(|| of(SignalKind::hangup())).transpose()?,
            interrupt: of(SignalKind::interrupt())?,
            terminate: of(SignalKind::terminate())?,
            _too_large: of(SignalKind::from_raw(rustix::process::Signal::XFSZ.as_raw()))?,
        })
    }

    /// Waits for the next one that asks to end.
    pub(super) async fn end(&mut self) {
        while self.next().await != Asked::End {}
    }

    /// Waits for the next one.
    pub(super) async fn next(&mut self) -> Asked {
        let hang_up = async {
            match &mut self.hang_up {
                Some(hang_up) => hang_up.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => Asked::End,
            _ = self.terminate.recv() => Asked::End,
            _ = hang_up => Asked::HangUp,
        }
    }
}

/// Whether the command is to end, seen from any thread. The first signal asks for that; the second one ends the process at once,
/// for what hangs in a read of a dead disk sees no flag.
#[derive(Clone)]
pub(super) struct Stop {
    cancel: Cancel,
    asked: watch::Receiver<Option<Asked>>,
}

impl Stop {
    /// From now on the signals ask, and end nothing by themselves.
    pub(super) fn on_signals() -> Result<Self, CommandError> {
        let cancel = Cancel::default();
        let (ask, asked) = watch::channel(None);
        let (began, begun) = mpsc::channel();
        let flag = cancel.clone();
        on_a_thread(began, move |signal| {
            if ask.send_replace(Some(signal)).is_some() {
                exit();
            }
            flag.cancel();
        });
        listening(&begun)?;
        Ok(Self { cancel, asked })
    }

    /// Nobody asks.
    #[cfg(test)]
    pub(super) fn never() -> Self {
        Self { cancel: Cancel::default(), asked: watch::channel(None).1 }
    }

    /// The flag that a signal sets.
    pub(super) fn cancel(&self) -> Cancel {
        self.cancel.clone()
    }

    /// Waits for the first signal.
    pub(super) async fn asked(&self) -> Asked {
        let mut asked = self.asked.clone();
        // Copied out of its lock, which must not be held while one waits.
        let signal = asked.wait_for(Option::is_some).await.map(|signal| *signal);
        match signal {
            Ok(signal) => signal.unwrap_or(Asked::End),
            // Nobody listens any more.
            Err(_) => std::future::pending().await,
        }
    }
}

/// For commands that leave nothing behind: from now on each signal ends them with the exit code for that.
pub(super) fn exit_on_signals() -> Result<(), CommandError> {
    let (began, begun) = mpsc::channel();
    on_a_thread(began, |_| exit());
    listening(&begun)
}

fn on_a_thread(began: mpsc::Sender<Result<(), CommandError>>, told: impl Fn(Asked) + Send + 'static) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| CommandError::Failed(format!("no runtime: {error}")));
        let listen = |runtime: &tokio::runtime::Runtime| runtime.block_on(async { Signals::listen() });
        match runtime.and_then(|runtime| listen(&runtime).map(|signals| (runtime, signals))) {
            Err(error) => drop(began.send(Err(error))),
            Ok((runtime, mut signals)) => {
                drop(began.send(Ok(())));
                runtime.block_on(async {
                    loop {
                        told(signals.next().await);
                    }
                });
            }
        }
    });
}

fn listening(begun: &mpsc::Receiver<Result<(), CommandError>>) -> Result<(), CommandError> {
    begun.recv().unwrap_or_else(|_| Err(CommandError::Failed("signals: no thread listens to them".to_owned())))
}

fn exit() {
    std::process::exit(i32::from(CANCELLED));
}

/// Whether whoever started this process has SIGHUP ignored. Told by Linux alone; elsewhere it is taken for no.
fn hang_up_is_ignored() -> bool {
    std::fs::read_to_string("/proc/self/status").is_ok_and(|status| ignores_hang_up(&status))
}

/// Reads the mask `SigIgn`, in which the first bit is SIGHUP (`proc(5)`).
fn ignores_hang_up(status: &str) -> bool {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mask_of_ignored_signals_is_read() {
        assert!(ignores_hang_up("Name:\tx\nSigBlk:\t0000000000000000\nSigIgn:\t0000000000001001\nSigCgt:\t0\n"));
        assert!(!ignores_hang_up("SigIgn:\t0000000000001000\n"));
        for odd in ["", "SigIgn:\n", "SigIgn:\tx\n", "SigCgt:\t1\n"] {
            assert!(!ignores_hang_up(odd), "{odd}");
        }
    }
}
