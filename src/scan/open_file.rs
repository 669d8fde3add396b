//! Opening a file that a client names, below a root and nowhere else.
//!
//! Where a name leads is decided by the kernel while it resolves it, never by comparing texts: a link that is swapped in
//! at the last moment cannot lead out either.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, fstat, openat, statat};
use rustix::io::Errno;

use super::beneath::RootHandle;
use super::entries::describe;
use super::identity::FileIdentity;
use crate::model::{Name, RelPath};

/// Why a file was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenFailure {
    /// There is nothing of that name.
    #[error("there is no such file")]
    NotFound,
    /// A symbolic link on the way leads out of the root, or cannot be shown to stay in it.
    #[error("a symbolic link leads out of the root")]
    Escapes,
    /// It is a directory.
    #[error("it is a directory")]
    Directory,
    /// It is a pipe, socket or device, which is never opened.
    #[error("{0}")]
    Special(&'static str),
    /// The system refused.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// How often a name is resolved again that changes while the kernel resolves it.
const ATTEMPTS: usize = 8;

/// Opens nothing: the descriptor only names what is there.
#[cfg(target_os = "linux")]
const LOOK: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// NONBLOCK: a pipe that takes the file's place between the look and the call must not hang the caller.
const READ: OFlags = OFlags::RDONLY.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

impl RootHandle {
    /// Opens the regular file at `path` for reading. Symbolic links are followed, with relative and absolute targets, as long as
    /// what they come to lies below the root.
    pub fn open_file(&self, path: &RelPath) -> Result<File, OpenFailure> {
        match open_resolved(self.as_fd(), path) {
            Err(OpenFailure::Io(error)) if matches!(Errno::from_io_error(&error), Some(Errno::NOSYS | Errno::PERM)) => {
                open_without_links(self, path)
            }
            opened => opened,
        }
    }
}

/// The way to the file is tried beneath the root first. A link with an absolute target leaves it by the kernel's account, even
/// where it leads back: then what the way comes to is opened, beneath the root once more and through no link at all.
#[cfg(target_os = "linux")]
fn open_resolved(root: BorrowedFd<'_>, path: &RelPath) -> Result<File, OpenFailure> {
    use rustix::fs::ResolveFlags;
    match open_beneath(root, path, ResolveFlags::empty()) {
        Err(OpenFailure::Escapes) => {
            let real = real_path(root, path).ok_or(OpenFailure::Escapes)?;
            open_beneath(root, &real, ResolveFlags::NO_SYMLINKS)
        }
        opened => opened,
    }
}

/// Where a way ends that may go through links outside of the root; `None` where that cannot be told, and where it ends outside.
/// Nothing is opened for reading, and the answer proves nothing: the way may be another one by now.
#[cfg(target_os = "linux")]
fn real_path(root: BorrowedFd<'_>, path: &RelPath) -> Option<RelPath> {
    use rustix::fs::{CWD, ResolveFlags, openat2, readlinkat};
    use std::os::fd::AsRawFd as _;
    let end = openat2(root, path.as_bytes(), LOOK, Mode::empty(), ResolveFlags::NO_MAGICLINKS).ok()?;
    // Both as the kernel knows them now, so that a root that is reached through a link itself has its real name too.
    let [root, end] =
        [root, end.as_fd()].map(|fd| readlinkat(CWD, format!("/proc/self/fd/{}", fd.as_raw_fd()), Vec::new()));
    relative(root.ok()?.as_bytes(), end.ok()?.as_bytes())
}

/// The part of an absolute path below the root at `root`; `None` where it lies elsewhere.
fn relative(root: &[u8], path: &[u8]) -> Option<RelPath> {
    let below = path.strip_prefix(root.strip_suffix(b"/").unwrap_or(root))?;
    RelPath::new(below.strip_prefix(b"/")?).ok()
}

/// Opens a file on a way that never leaves the root, and through no link where `refused` says so.
#[cfg(target_os = "linux")]
fn open_beneath(root: BorrowedFd<'_>, path: &RelPath, refused: rustix::fs::ResolveFlags) -> Result<File, OpenFailure> {
    settled(|| resolve(root, path, LOOK, refused), || resolve(root, path, READ, refused))
}

/// A look through a descriptor that reads nothing comes first, so that only what is a regular file is opened. What was
/// opened must be what was looked at.
fn settled(
    mut look: impl FnMut() -> Result<OwnedFd, OpenFailure>,
    mut open: impl FnMut() -> Result<OwnedFd, OpenFailure>,
) -> Result<File, OpenFailure> {
    for _ in 0..ATTEMPTS {
        let looked_at = look()?;
        let before = check_regular(looked_at.as_fd())?;
        let opened = open()?;
        let after = check_regular(opened.as_fd())?;
        if before.same_file(&after) {
            return Ok(File::from(opened));
        }
    }
    Err(OpenFailure::Io(io::Error::other("it was replaced again and again while it was opened")))
}

#[cfg(target_os = "linux")]
fn resolve(
    root: BorrowedFd<'_>,
    path: &RelPath,
    flags: OFlags,
    refused: rustix::fs::ResolveFlags,
) -> Result<OwnedFd, OpenFailure> {
    use rustix::fs::{ResolveFlags, openat2};
    let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | refused;
    for _ in 0..ATTEMPTS {
        match openat2(root, path.as_bytes(), flags, Mode::empty(), beneath) {
            // A name on the way was renamed just now, so the kernel cannot tell whether the way stayed beneath.
            Err(Errno::AGAIN) => {}
            opened => return opened.map_err(failure),
        }
    }
    Err(failure(Errno::AGAIN))
}

#[cfg(not(target_os = "linux"))]
fn open_resolved(_: BorrowedFd<'_>, _: &RelPath) -> Result<File, OpenFailure> {
    Err(failure(Errno::NOSYS))
}

/// Older kernels, sandboxes that forbid the call, other systems: a call for each name, and no link is followed, since
/// nothing there can show where it leads.
fn open_without_links(root: &RootHandle, path: &RelPath) -> Result<File, OpenFailure> {
    let name = path.names().last().and_then(|name| Name::new(name).ok()).ok_or(OpenFailure::Directory)?;
    let mut parent = root.open_directory(&RelPath::root())?;
    for ancestor in path.parent().iter().flat_map(RelPath::names) {
        refuse_link(parent.as_fd(), ancestor)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        parent = openat(&parent, ancestor, flags, Mode::empty()).map_err(failure)?;
    }
    refuse_link(parent.as_fd(), name.as_bytes())?;
    let stat = statat(&parent, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW).map_err(failure)?;
    regular(FileType::from_raw_mode(stat.st_mode))?;
    let opened = openat(&parent, name.as_bytes(), READ | OFlags::NOFOLLOW, Mode::empty()).map_err(failure)?;
    check_regular(opened.as_fd())?;
    Ok(File::from(opened))
}

fn refuse_link(directory: BorrowedFd<'_>, name: &[u8]) -> Result<(), OpenFailure> {
    let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(failure)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Symlink => Err(OpenFailure::Escapes),
        _ => Ok(()),
    }
}

fn check_regular(file: BorrowedFd<'_>) -> Result<FileIdentity, OpenFailure> {
    let stat = fstat(file).map_err(failure)?;
    regular(FileType::from_raw_mode(stat.st_mode))?;
    Ok(FileIdentity::of(&stat))
}

fn regular(kind: FileType) -> Result<(), OpenFailure> {
    match kind {
        FileType::RegularFile => Ok(()),
        FileType::Directory => Err(OpenFailure::Directory),
        other => Err(OpenFailure::Special(describe(other))),
    }
}

/// A loop of links, a name below a file, and a name too long for the system name nothing.
fn failure(errno: Errno) -> OpenFailure {
    match errno {
        Errno::XDEV => OpenFailure::Escapes,
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG => OpenFailure::NotFound,
        // What the look found to be a regular file, and is a socket or an unconnected pipe now.
        Errno::NXIO => OpenFailure::Special("it is no longer a regular file"),
        other => OpenFailure::Io(other.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    type Opener = fn(&RootHandle, &RelPath) -> Result<File, OpenFailure>;

    fn outcome(open: Opener, root: &RootHandle, path: &str) -> String {
        match open(root, &RelPath::new(path.as_bytes()).unwrap()) {
            Ok(mut file) => {
                let mut text = String::new();
                file.read_to_string(&mut text).unwrap();
                text
            }
            Err(failure) => failure.to_string(),
        }
    }

    #[test]
    fn only_regular_files_beneath_the_root_are_opened() {
        let tmp = tempfile::tempdir().unwrap();
        let home = tmp.path().join("root");
        fs::create_dir_all(home.join("dir")).unwrap();
        fs::write(home.join("dir/file"), "inside").unwrap();
        fs::write(tmp.path().join("secret"), "outside").unwrap();
        symlink("dir/file", home.join("link")).unwrap();
        symlink("dir", home.join("linked")).unwrap();
        symlink("../secret", home.join("out")).unwrap();
        symlink("..", home.join("up")).unwrap();
        symlink(home.join("dir/file"), home.join("absolute")).unwrap();
        symlink(home.join("dir"), home.join("absolute-dir")).unwrap();
        symlink(tmp.path().join("alias/dir/file"), home.join("by-alias")).unwrap();
        symlink("../alias/absolute", home.join("out-and-in")).unwrap();
        symlink(tmp.path().join("secret"), home.join("absolute-out")).unwrap();
        symlink(tmp.path().join("root-beside/file"), home.join("beside")).unwrap();
        symlink(&home, home.join("itself")).unwrap();
        symlink(home.join("none"), home.join("absolute-none")).unwrap();
        symlink(tmp.path().join("none"), home.join("absolute-none-outside")).unwrap();
        symlink("/proc/self/root", home.join("magic")).unwrap();
        fs::create_dir(tmp.path().join("root-beside")).unwrap();
        fs::write(tmp.path().join("root-beside/file"), "outside").unwrap();
        symlink(&home, tmp.path().join("alias")).unwrap();
        symlink("loop", home.join("loop")).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, home.join("pipe"), FileType::Fifo, 0o600.into(), 0).unwrap();
        symlink(home.join("pipe"), home.join("absolute-pipe")).unwrap();
        // The root itself is reached through a link.
        let root = RootHandle::open(&tmp.path().join("alias")).unwrap();
        let escapes = OpenFailure::Escapes.to_string();
        let missing = OpenFailure::NotFound.to_string();
        let by_kernel: Opener = |root, path| open_resolved(root.as_fd(), path);
        let kernel_can = !matches!(by_kernel(&root, &RelPath::new(b"dir/file").unwrap()), Err(OpenFailure::Io(_)));
        for (open, follows) in [(by_kernel, true), (open_without_links as Opener, false)] {
            if follows && !kernel_can {
                continue;
            }
            let outcome = |path| outcome(open, &root, path);
            assert_eq!(outcome("dir/file"), "inside");
            for path in
                ["link", "linked/file", "absolute", "absolute-dir/file", "by-alias", "out-and-in", "itself/link"]
            {
                assert_eq!(outcome(path), if follows { "inside" } else { &escapes }, "{path}");
            }
            let secret = format!("magic{}/secret", tmp.path().display());
            for path in ["out", "up/secret", "absolute-out", "beside", "itself/out", "itself/up/secret", &secret] {
                assert_eq!(outcome(path), escapes, "{path}");
            }
            // What is outside is not even told to be there or not.
            for path in ["absolute-none", "absolute-none-outside"] {
                assert_eq!(outcome(path), escapes, "{path}");
            }
            let (of_link, of_pipe) = (OpenFailure::Directory.to_string(), "it is a named pipe".to_owned());
            assert_eq!(&outcome("absolute-dir"), if follows { &of_link } else { &escapes });
            assert_eq!(&outcome("absolute-pipe"), if follows { &of_pipe } else { &escapes });
            assert_eq!(outcome("loop"), if follows { missing.as_str() } else { &escapes });
            for path in ["none", "dir/none", "dir/file/below"] {
                assert_eq!(outcome(path), missing, "{path}");
            }
            assert_eq!(outcome("dir"), OpenFailure::Directory.to_string());
            assert_eq!(outcome("pipe"), "it is a named pipe");
        }
    }

    #[test]
    fn what_was_opened_is_what_was_looked_at() {
        let tmp = tempfile::tempdir().unwrap();
        let file = |name: &str| {
            fs::write(tmp.path().join(name), name).unwrap();
            tmp.path().join(name)
        };
        let [one, other] = [file("one"), file("other")];
        let descriptor = |path: &std::path::Path| Ok(OwnedFd::from(File::open(path).unwrap()));
        let looks = std::cell::Cell::new(0);
        let look = || {
            looks.set(looks.get() + 1);
            descriptor(if looks.get() == 1 { &one } else { &other })
        };
        let mut text = String::new();
        settled(look, || descriptor(&other)).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!((looks.get(), text.as_str()), (2, "other"), "swapped between the first look and the call");
        let swapped = settled(|| descriptor(&one), || descriptor(&other)).unwrap_err();
        assert!(swapped.to_string().starts_with("it was replaced"), "{swapped}");
    }

    #[test]
    fn a_path_lies_below_a_root_by_whole_names() {
        let below = |root: &str, path: &str| relative(root.as_bytes(), path.as_bytes()).map(|path| path.to_string());
        assert_eq!(below("/a/root", "/a/root/x/y").as_deref(), Some("x/y"));
        assert_eq!(below("/", "/x").as_deref(), Some("x"));
        for path in ["/a/root-beside/x", "/a", "/a/roo", "/x", "(unreachable)/a/root/x", "/a/root"] {
            assert_eq!(below("/a/root", path), None, "{path}");
        }
    }
}
