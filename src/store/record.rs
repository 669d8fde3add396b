//! Records that carry their own check. A record is bound to its place: one that was moved elsewhere, or belongs to another
//! owner, fails its check as a damaged one does. Pure.

/// What a record begins with.
const MAGIC: [u8; 4] = *b"twtr";

/// The version that is written. A record of a later one whose check passes was written by a later program.
const VERSION: u16 = 1;

/// Magic, version, kind, a spare byte, and the length of the body.
const FIXED: usize = 12;

/// Bytes of the check: enough that no accident passes.
const CHECK: usize = 16;

/// The bytes before the body. How a check is made must stay the same in every version.
const HEAD: usize = FIXED + CHECK;

/// The context string of the check, in BLAKE3's key-derivation mode.
const CONTEXT: &str = "twintree state record, check of place and bytes";

/// Where a record belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place<'a> {
    /// What owns it, such as the id of a task.
    pub owner: &'a str,
    /// What it is of that owner.
    pub kind: u8,
    /// Which of several it is.
    pub position: u64,
}

/// Why bytes are no record of a place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Not what was written there.
    #[error("it is damaged: its check does not fit")]
    Damaged,
    /// Sound, and of a later version than this program reads.
    #[error("it is of version {0}, and this twintree reads version {VERSION}")]
    Later(u16),
}

/// The bytes of a record of this place.
pub fn record(place: Place<'_>, body: &[u8]) -> Vec<u8> {
    versioned(VERSION, place, body)
}

/// The body of the record that `bytes` begin with, and what comes after it.
pub fn unpack<'a>(place: Place<'_>, bytes: &'a [u8]) -> Result<(&'a [u8], &'a [u8]), Fault> {
    let (fixed, rest) = bytes.split_first_chunk::<FIXED>().ok_or(Fault::Damaged)?;
    let (written, rest) = rest.split_first_chunk::<CHECK>().ok_or(Fault::Damaged)?;
    let [m0, m1, m2, m3, v0, v1, kind, _, lengths @ ..] = fixed;
    let length = usize::try_from(u32::from_le_bytes(*lengths)).map_err(|_| Fault::Damaged)?;
    let (body, after) = rest.split_at_checked(length).ok_or(Fault::Damaged)?;
    if [*m0, *m1, *m2, *m3] != MAGIC || *kind != place.kind || check(place, fixed, body) != *written {
        return Err(Fault::Damaged);
    }
    // Only now is the version worth anything.
    match u16::from_le_bytes([*v0, *v1]) {
        VERSION => Ok((body, after)),
        later if later > VERSION => Err(Fault::Later(later)),
        _ => Err(Fault::Damaged),
    }
}

fn versioned(version: u16, place: Place<'_>, body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEAD + body.len());
    bytes.extend_from_slice(&MAGIC);
    bytes.extend_from_slice(&version.to_le_bytes());
    bytes.extend_from_slice(&[place.kind, 0]);
    // A body of four gigabytes is never written; one would fail its check and be damaged, not altered.
    bytes.extend_from_slice(&u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    let check = check(place, &bytes, body);
    bytes.extend_from_slice(&check);
    bytes.extend_from_slice(body);
    bytes
}

fn check(place: Place<'_>, fixed: &[u8], body: &[u8]) -> [u8; CHECK] {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(&(place.owner.len() as u64).to_le_bytes());
    hasher.update(place.owner.as_bytes());
    hasher.update(&place.position.to_le_bytes());
    hasher.update(fixed);
    hasher.update(body);
    let mut check = [0; CHECK];
    hasher.finalize_xof().fill(&mut check);
    check
}

#[cfg(test)]
pub(crate) fn of_a_later_version(place: Place<'_>, body: &[u8]) -> Vec<u8> {
    versioned(VERSION + 1, place, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLACE: Place<'_> = Place { owner: "a task", kind: 1, position: 7 };

    #[test]
    fn every_flipped_bit_and_every_cut_is_seen() {
        let bytes = record(PLACE, b"body");
        assert_eq!(unpack(PLACE, &bytes), Ok((&b"body"[..], &[][..])));
        assert_eq!(unpack(PLACE, &[&bytes[..], b"more"].concat()), Ok((&b"body"[..], &b"more"[..])));
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(unpack(PLACE, &damaged), Err(Fault::Damaged), "bit {bit}");
        }
        (0..bytes.len()).for_each(|cut| assert_eq!(unpack(PLACE, &bytes[..cut]), Err(Fault::Damaged), "{cut}"));
    }

    #[test]
    fn a_record_belongs_to_one_place() {
        let bytes = record(PLACE, b"body");
        for other in [
            Place { owner: "another", ..PLACE },
            Place { owner: "a tas", ..PLACE },
            Place { kind: 2, ..PLACE },
            Place { position: 8, ..PLACE },
        ] {
            assert_eq!(unpack(other, &bytes), Err(Fault::Damaged), "{other:?}");
        }
    }

    #[test]
    fn a_later_version_is_named_only_where_the_check_passes() {
        let mut bytes = of_a_later_version(PLACE, b"body");
        assert_eq!(unpack(PLACE, &bytes), Err(Fault::Later(VERSION + 1)));
        bytes[HEAD] ^= 1;
        assert_eq!(unpack(PLACE, &bytes), Err(Fault::Damaged));
        assert_eq!(unpack(PLACE, &versioned(0, PLACE, b"body")), Err(Fault::Damaged));
    }
}
