//! Which module of a folder uses which: read from the sources, so that circles show.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use regex::Regex;

use crate::{code, sources, src};

/// A module by the names on its way from the crate's root.
type Module = Vec<String>;

/// The modules below `folder` that use each other in a circle, one line for each circle and folder; empty where there is none.
pub(crate) fn circles(folder: &str) -> Vec<String> {
    let files = sources(&src().join(folder)).into_iter().map(|path| (module(&path), code(&path))).collect();
    circles_among(&files)
}

/// The same for modules given as texts.
fn circles_among(files: &BTreeMap<Module, String>) -> Vec<String> {
    let renamed = re_exports(files);
    let mut uses: BTreeMap<Module, BTreeMap<String, BTreeSet<String>>> = BTreeMap::new();
    for (module, code) in files {
        let is_folder = files.keys().any(|other| other.len() > module.len() && other.starts_with(module));
        for used in paths(code, module)
            .into_iter()
            .chain(is_folder.then(|| children(code, module, files)).into_iter().flatten())
        {
            let owner = owner(used, files, &renamed);
            let common = module.iter().zip(&owner).take_while(|(a, b)| a == b).count();
            let node = |of: &Module| of.get(common).cloned().unwrap_or_else(|| "mod".to_owned());
            if *module != owner {
                let folder = module[..common].to_vec();
                uses.entry(folder).or_default().entry(node(module)).or_default().insert(node(&owner));
            }
        }
    }
    uses.iter().filter_map(|(folder, uses)| Some(format!("{}: {}", folder.join("/"), circle(uses)?))).collect()
}

/// `src/scan/cache/store.rs` is `scan::cache::store`, `src/scan/mod.rs` is `scan`.
fn module(path: &Path) -> Module {
    let relative = path.strip_prefix(src()).expect("below src").with_extension("");
    let names = relative.iter().map(|name| name.to_string_lossy().into_owned());
    names.filter(|name| name != "mod").collect()
}

/// Everything a file names below `super::` or `crate::`, as the way from the crate's root.
fn paths(code: &str, module: &Module) -> Vec<Module> {
    // What may be used from where is said with `pub(in ...)`, and uses nothing.
    let code = Regex::new(r"pub\((in [\w:]+|super|crate)\)").expect("a pattern").replace_all(code, "pub");
    let begin = Regex::new(r"\b(crate::|(?:super::)+)").expect("a pattern");
    let mut found = Vec::new();
    for begun in begin.find_iter(&code) {
        let up = begun.as_str().matches("super::").count();
        let base = if up == 0 { Vec::new() } else { module[..module.len().saturating_sub(up)].to_vec() };
        expand(&code[begun.end()..], base, &mut found);
    }
    found
}

/// The paths that follow: a name, names in a row, or several in braces. Returns where they end.
fn expand(code: &str, base: Module, found: &mut Vec<Module>) -> usize {
    if !code.starts_with('{') {
        let length = code.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(code.len());
        let mut way = base;
        if length > 0 && &code[..length] != "self" {
            way.push(code[..length].to_owned());
        }
        if code[length..].starts_with("::") {
            return length + 2 + expand(&code[length + 2..], way, found);
        }
        found.push(way);
        return length;
    }
    let mut at = 1;
    while at < code.len() && !code[at..].starts_with('}') {
        let blank = code[at..].find(|c: char| c != ',' && !c.is_whitespace()).unwrap_or(code.len() - at);
        at += blank;
        if at < code.len() && !code[at..].starts_with('}') {
            at += expand(&code[at..], base.clone(), found).max(1);
        }
    }
    at + 1
}

/// What a folder's own file uses of its modules, besides handing their items on.
fn children(code: &str, module: &Module, files: &BTreeMap<Module, String>) -> Vec<Module> {
    let handed_on = Regex::new(r"pub(\([^)]*\))? use [^;]*;").expect("a pattern");
    let code = handed_on.replace_all(code, "");
    let below = files.keys().filter(|other| other.len() == module.len() + 1 && other.starts_with(module));
    let used = below.filter(|child| {
        let name = child.last().map(String::as_str).unwrap_or_default();
        Regex::new(&format!(r"(^|[^\w:]|self::){name}::")).expect("a pattern").is_match(&code)
    });
    used.cloned().collect()
}

/// Where the items really stand that a folder's own file hands on.
fn re_exports(files: &BTreeMap<Module, String>) -> BTreeMap<Module, Module> {
    let hands_on = Regex::new(r"pub(?:\([^)]*\))? use (?:self::)?(\w+)::([^;]*);").expect("a pattern");
    let mut renamed = BTreeMap::new();
    for (module, code) in files {
        for found in hands_on.captures_iter(code) {
            let child = [&module[..], &[found[1].to_owned()]].concat();
            let mut items = Vec::new();
            expand(&found[2], Vec::new(), &mut items);
            // A module and an item may have one name; what goes on below the name is the module's.
            let named = items.iter().map(|item| ([&module[..], item].concat(), [&child[..], item].concat()));
            renamed.extend(named.filter(|(name, _)| files.contains_key(&child) && !files.contains_key(name)));
        }
    }
    renamed
}

/// The module in which the thing at the end of a path stands.
fn owner(mut path: Module, files: &BTreeMap<Module, String>, renamed: &BTreeMap<Module, Module>) -> Module {
    let shown = |path: &Module| {
        (1..=path.len())
            .rev()
            .find_map(|length| renamed.get(&path[..length]).map(|to| [&to[..], &path[length..]].concat()))
    };
    // Handed on at most once by each folder on the way.
    for _ in 0..files.len() {
        let Some(real) = shown(&path) else { break };
        path = real;
    }
    while !path.is_empty() && !files.contains_key(&path) {
        path.pop();
    }
    path
}

/// Some circle, written as a way.
fn circle(uses: &BTreeMap<String, BTreeSet<String>>) -> Option<String> {
    fn walk<'a>(
        uses: &'a BTreeMap<String, BTreeSet<String>>,
        way: &mut Vec<&'a str>,
        done: &mut BTreeSet<&'a str>,
    ) -> bool {
        let last = *way.last().expect("a begin");
        for next in uses.get(last).into_iter().flatten() {
            if let Some(begin) = way.iter().position(|name| name == next) {
                way.drain(..begin);
                way.push(next);
                return true;
            }
            if !done.contains(next.as_str()) {
                way.push(next);
                if walk(uses, way, done) {
                    return true;
                }
                way.pop();
            }
        }
        done.insert(last);
        false
    }
    let mut done = BTreeSet::new();
    uses.keys().find_map(|begin| {
        let mut way = vec![begin.as_str()];
        (!done.contains(begin.as_str()) && walk(uses, &mut way, &mut done)).then(|| way.join(" -> "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let module = |name: &str| name.split("::").map(str::to_owned).collect();
        circles_among(&files.iter().map(|(name, code)| (module(name), (*code).to_owned())).collect())
    }

    #[test]
    fn a_circle_is_found_however_it_is_written() {
        let clean =
            [("f", "mod a; mod b; pub use a::{A, Other};"), ("f::a", "use super::b::B;"), ("f::b", "use std::x;")];
        assert_eq!(found(&clean), Vec::<String>::new());
        for back in [
            "use super::a::A;",
            "use super::{c::C, a};",
            "use crate::f::a::A;",
            "use crate::{e::E, f::{c, a::{A, Z}}};",
            "fn b() { super::a::go() }",
            // By the name that the folder hands on.
            "use super::A;",
            "use crate::f::{self, Other};",
        ] {
            let files = [clean[0], clean[1], ("f::b", back), ("f::c", "")];
            assert_eq!(found(&files), ["f: a -> b -> a"], "{back}");
        }
        assert_eq!(
            found(&[clean[0], clean[1], ("f::b", "pub(in crate::f::a) fn b() {} pub(super) fn c() {}")]).len(),
            0
        );
    }

    #[test]
    fn a_folder_is_one_module_outside_and_its_own_graph_inside() {
        let files = [
            ("f", "mod a; mod g;"),
            ("f::a", "use super::g::own;"),
            ("f::g", "mod x; use x::X; pub fn own() {}"),
            ("f::g::x", "use super::own; use crate::f::a::A;"),
        ];
        assert_eq!(found(&files), ["f: a -> g -> a", "f/g: mod -> x -> mod"]);
    }
}
