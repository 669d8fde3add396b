//! When the terminal is to say that a task has trouble, with its source or with the disk it is kept on. Pure.

/// After so many looks without trouble, the same cause is news again.
const LOOKS_TO_FORGET: u32 = 20;

/// What was said so far.
#[derive(Debug, Default)]
pub(super) struct TroubleRemarks {
    said: Option<String>,
    looks_without: u32,
}

impl TroubleRemarks {
    /// What is to be said after a look at the status: each cause once, though the time that is left is another one each time,
    /// and a request or two may succeed in between.
    pub(super) fn look<'a>(&mut self, trouble: Option<&'a str>) -> Option<&'a str> {
        let Some(trouble) = trouble else {
            self.looks_without += 1;
            if self.looks_without >= LOOKS_TO_FORGET {
                self.said = None;
            }
            return None;
        };
        self.looks_without = 0;
        // The time stands behind the last semicolon.
        let cause = trouble.rsplit_once(';').map_or(trouble, |(cause, _)| cause);
        if self.said.as_deref() == Some(cause) {
            return None;
        }
        self.said = Some(cause.to_owned());
        Some(trouble)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_cause_is_said_once() {
        let mut remarks = TroubleRemarks::default();
        let mut said = |trouble: Option<&'static str>| remarks.look(trouble).is_some();
        assert!(!said(None));
        assert!(said(Some("refused; trying for 9 s more")));
        assert!(!said(Some("refused; trying for 8 s more")));
        assert!(said(Some("reset; trying for 8 s more")));
        assert!(!said(None));
        assert!(!said(Some("reset; trying for 7 s more")), "it was away for a moment only");
        (0..LOOKS_TO_FORGET).for_each(|_| assert!(!said(None)));
        assert!(said(Some("reset; trying for 9 s more")), "it was well for long");
    }
}
