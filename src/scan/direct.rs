//! Reading around the page cache, so that it is the media that are read and a database's cache is left alone.

use std::fs::File;
use std::io;

/// To which offsets, lengths and addresses of direct reads are rounded, in bytes: what every common device accepts.
pub(super) const ALIGNMENT: usize = 4096;

/// Switches an open file to direct reads; false where its file system has none.
#[cfg(target_os = "linux")]
pub(super) fn enable(file: &File) -> bool {
    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};
    fcntl_getfl(file).and_then(|flags| fcntl_setfl(file, flags | OFlags::DIRECT)).is_ok()
}

#[cfg(not(target_os = "linux"))]
pub(super) fn enable(_: &File) -> bool {
    false
}

/// Reads at least `enough` bytes into an aligned buffer whose length is a multiple of [`ALIGNMENT`], and at most `most`; fewer
/// where the file ends before. `None` where the file system refuses direct reads after all; the file is then switched back.
#[cfg(target_os = "linux")]
pub(super) fn read(
    file: &File,
    buffer: &mut [u8],
    enough: usize,
    most: usize,
    offset: u64,
) -> io::Result<Option<usize>> {
    use std::os::unix::fs::FileExt as _;

    use rustix::fs::{OFlags, fcntl_getfl, fcntl_setfl};

    use super::page_cache::retried;

    let padded = most.next_multiple_of(ALIGNMENT);
    let mut filled = 0;
    while filled < enough {
        match retried(|| file.read_at(&mut buffer[filled..padded], offset + filled as u64)) {
            // The end: only there is a length no multiple, and a further read from there would be refused.
            Ok(0) => break,
            Ok(read) if read % ALIGNMENT != 0 => {
                filled += read;
                break;
            }
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {
                let flags = fcntl_getfl(file)?;
                fcntl_setfl(file, flags - OFlags::DIRECT)?;
                return Ok(None);
            }
            Err(error) => return Err(error),
        }
    }
    Ok(Some(filled.min(most)))
}

#[cfg(not(target_os = "linux"))]
pub(super) fn read(_: &File, _: &mut [u8], _: usize, _: usize, _: u64) -> io::Result<Option<usize>> {
    Ok(None)
}
