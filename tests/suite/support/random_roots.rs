//! A random root on both sides, with the faults between them.

use std::path::Path;

use super::disk::{Entries, Node, Target, Time, set_time, write};
use super::random::Random;
use super::random_faults::{ANY, Fault, OF_CONTENT, plant};
use super::random_trees::{OUTSIDE, Palette, time};

/// How much the two sides differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Likeness {
    Same,
    SameMetadata,
    Any,
}

/// Directories for more than one batch of a branch request.
fn wide_tree(byte: u8) -> Entries {
    let file = || Node::File { bytes: vec![byte], time: Time { seconds: 1, nanoseconds: 0 }, unreadable: false };
    let directory = || Node::Directory(Entries::from([(b"f".to_vec(), file())]));
    (0..300).map(|number| (format!("t{number}").into_bytes(), directory())).collect()
}

/// What the two sides have as a root; `None` where it is absent. `here` is the source's, seen from the directory of both.
pub fn differing_trees(
    here: &str,
    likeness: Likeness,
    random: &mut Random,
    palette: Palette,
) -> (Option<Entries>, Option<Entries>) {
    if random.percent(5) {
        // To the counters a root that is absent is one without entries.
        return if random.percent(50) { (None, None) } else { (None, Some(Entries::new())) };
    }
    if random.percent(1) {
        let byte = if likeness == Likeness::Same { 1 } else { 2 };
        return (Some(wide_tree(1)), Some(wide_tree(byte)));
    }
    let mut source = palette.directory(random, here.as_bytes(), 0);
    let mut destination = source.clone();
    let (faults, count): (&[Fault], _) = match likeness {
        Likeness::Same => (&[Fault::SameMillisecond], random.below(3)),
        Likeness::SameMetadata => (&OF_CONTENT, random.below(5)),
        Likeness::Any => (&ANY, random.below(8)),
    };
    for _ in 0..count {
        let fault = *random.pick(faults);
        if fault == Fault::Unreadable && !palette.unreadable {
            continue;
        }
        plant(fault, if random.percent(50) { &mut source } else { &mut destination }, random, palette);
    }
    let mut present = |tree| (likeness != Likeness::Any || !random.percent(4)).then_some(tree);
    (present(source), present(destination))
}

/// A root may itself be a symbolic link.
pub fn write_root(tree: Option<&Entries>, home: &Path, base: &Path, random: &mut Random) {
    std::fs::create_dir_all(home.parent().unwrap()).unwrap();
    let Some(tree) = tree else { return };
    if random.percent(5) {
        let real = home.with_extension("real");
        write(tree, &real, base);
        std::os::unix::fs::symlink(real.file_name().unwrap(), home).unwrap();
    } else {
        write(tree, home, base);
    }
}

/// Three files of one size and time, of which one has other bytes, and a directory that no listing may enter.
pub fn write_outside(base: &Path, random: &mut Random) {
    let time = time(random);
    let file = |bytes: &[u8]| Node::File { bytes: bytes.to_vec(), time, unreadable: false };
    let never = Node::Directory(Entries::from([
        (b"never".to_vec(), file(b"listed")),
        (b"up".to_vec(), Node::Link(Target::Relative(b"..".to_vec()))),
    ]));
    let nodes = [file(b"one"), file(b"one"), file(b"two"), never];
    let name = |path: &[u8]| path.strip_prefix(b"outside/").unwrap().to_vec();
    let entries = OUTSIDE.iter().map(|path| name(path)).zip(nodes).collect();
    write(&entries, &base.join("outside"), base);
    set_time(&base.join("outside/directory"), time);
}
