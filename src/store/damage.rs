//! What a bad disk makes of bytes, for tests.

use crate::random::Random;

/// Damages bytes in one of five ways, with pages of this size, and says how.
pub(crate) fn damage(bytes: &mut Vec<u8>, page: usize, random: &mut Random) -> String {
    let at = random.below(bytes.len());
    let page = at / page * page..(at / page * page + page).min(bytes.len());
    let how = match random.below(5) {
        0 | 1 => {
            bytes[at] ^= 1 << random.below(8);
            "bit"
        }
        2 => {
            bytes[page].fill(0);
            "zeroed page"
        }
        3 => {
            let noise = random.bytes(page.len());
            bytes[page].copy_from_slice(&noise);
            "page of noise"
        }
        _ => {
            bytes.truncate(at);
            "cut"
        }
    };
    format!("{how} at {at}")
}
