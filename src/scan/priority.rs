//! Which threads come first where all cores are busy.

/// How far a thread steps back: each step of nice(2) takes a fifth of its share of a busy core, five take two thirds.
const STEPS: i32 = 5;

/// The last step there is.
const LAST: i32 = 19;

/// Lets the other threads of the process come first, and those of its control group, for as long as the calling thread lives; those that it
/// starts begin where it stands. Alone on a core it is as fast as ever.
pub fn give_way() {
    // On Linux this concerns the calling thread alone. Where it is refused others only wait longer.
    #[cfg(target_os = "linux")]
    if let Ok(now) = rustix::process::getpriority_process(None) {
        let _ = rustix::process::setpriority_process(None, (now + STEPS).min(LAST));
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> i32 {
        rustix::process::getpriority_process(None).unwrap()
    }

    #[test]
    fn a_thread_steps_back_alone_and_those_it_starts_with_it() {
        let before = now();
        let [own, started] = std::thread::spawn(|| {
            give_way();
            [now(), std::thread::spawn(now).join().unwrap()]
        })
        .join()
        .unwrap();
        assert_eq!((own, started, now()), ((before + STEPS).min(LAST), own, before));
    }
}
