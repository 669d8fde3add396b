//! The command line of twintree.

fn main() {}
