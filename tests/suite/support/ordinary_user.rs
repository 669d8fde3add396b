//! Work without the privilege to read what permissions forbid.

/// Runs `work` in a thread that permissions hinder, as they do not hinder root, and with it every thread and program
/// that starts from there. `work` is told whether that succeeded.
pub fn as_ordinary_user(work: impl FnOnce(bool) + Send) {
    let run = || {
        give_up_privileges();
        let hindered = permissions_hinder();
        if !hindered {
            eprintln!("not tested: unreadable files, since this user's privileges cannot be given up");
        }
        work(hindered);
    };
    std::thread::scope(|scope| {
        if let Err(panic) = scope.spawn(run).join() {
            std::panic::resume_unwind(panic);
        }
    });
}

/// Best effort; [`permissions_hinder`] tells what came of it.
#[cfg(target_os = "linux")]
fn give_up_privileges() {
    use rustix::thread::{
        CapabilitySet, capabilities, remove_capability_from_bounding_set, set_capabilities, set_no_new_privs,
    };
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // A program started as root gets back what the bounding set holds, unless it may gain nothing by being started.
    // The latter needs no privilege of its own, so it holds where the bounding set cannot be changed.
    for capability in [CapabilitySet::DAC_OVERRIDE, CapabilitySet::DAC_READ_SEARCH] {
        let _ = remove_capability_from_bounding_set(capability);
    }
    let _ = set_no_new_privs(true);
    if let Ok(mut sets) = capabilities(None) {
        for set in [&mut sets.effective, &mut sets.permitted, &mut sets.inheritable] {
            set.remove(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
        }
        let _ = set_capabilities(None, sets);
    }
}

#[cfg(not(target_os = "linux"))]
fn give_up_privileges() {}

/// Whether neither this thread nor a program it starts can read a file of mode 000.
fn permissions_hinder() -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    use std::process::{Command, Stdio};
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(0o000)).unwrap();
    let program = Command::new("cat").arg(file.path()).stderr(Stdio::null()).status().unwrap();
    std::fs::read(file.path()).is_err() && !program.success()
}
