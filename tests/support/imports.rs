//! The import graph of a crate, read from its sources: which module uses which.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// Modules by their path (`""` is the crate's root), and the modules that each imports.
pub struct Imports(BTreeMap<String, BTreeSet<String>>);

impl Imports {
    /// Reads the sources below `src`; test modules do not count.
    pub fn read(src: &Path) -> Self {
        let mut sources = BTreeMap::new();
        collect(src, &mut Vec::new(), &mut sources);
        let names: BTreeSet<String> = sources.keys().cloned().collect();
        let root = sources.get("").cloned().unwrap_or_default();
        let graph = sources.iter().filter(|(module, _)| !module.is_empty());
        Self(graph.map(|(module, text)| (module.clone(), imports_of(module, text, &names, &root))).collect())
    }

    /// A circle of modules that import each other, if there is one.
    pub fn find_circle(&self) -> Option<Vec<String>> {
        let mut done = BTreeSet::new();
        self.0.keys().find_map(|module| self.follow(module, &mut Vec::new(), &mut done))
    }

    fn follow(
        &self,
        module: &str,
        path: &mut Vec<String>,
        done: &mut BTreeSet<String>,
    ) -> Option<Vec<String>> {
        if let Some(at) = path.iter().position(|other| other == module) {
            return Some(path[at..].to_vec());
        }
        if !done.insert(module.to_owned()) {
            return None;
        }
        path.push(module.to_owned());
        let found = self.0.get(module)?.iter().find_map(|next| {
            // A module on the path is looked at again: it closes the circle.
            if path.contains(next) {
                self.follow(next, path, &mut BTreeSet::new())
            } else {
                self.follow(next, path, done)
            }
        });
        path.pop();
        found
    }
}

fn collect(folder: &Path, at: &mut Vec<String>, sources: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        if path.is_dir() {
            at.push(name);
            collect(&path, at, sources);
            at.pop();
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let is_own = matches!(name.as_str(), "mod" | "lib" | "main");
            let parts: Vec<String> = at.iter().cloned().chain((!is_own).then_some(name)).collect();
            if !parts.iter().any(|part| part == "tests") {
                sources.insert(parts.join("::"), code(&std::fs::read_to_string(&path).unwrap()));
            }
        }
    }
}

/// The text without comments and without what follows the test module.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

/// The modules that `module` names by `crate::`, `super::` or `self::`.
fn imports_of(module: &str, text: &str, names: &BTreeSet<String>, root: &str) -> BTreeSet<String> {
    let own: Vec<&str> = module.split("::").collect();
    let mut found = BTreeSet::new();
    for path in paths(text) {
        let mut parts: Vec<&str> = path.split("::").map(str::trim).collect();
        let mut base = match parts[0] {
            "crate" => Vec::new(),
            _ => own.clone(),
        };
        while matches!(parts.first(), Some(&("crate" | "self" | "super"))) {
            if parts.remove(0) == "super" {
                base.pop();
            }
        }
        base.extend(parts);
        let known =
            (1..=base.len()).rev().map(|len| base[..len].join("::")).find(|name| names.contains(name));
        let target = known.or_else(|| exported_by(root, base.first()?, names));
        found.extend(target.filter(|target| target != module && !target.is_empty()));
    }
    found
}

/// The module whose item `name` the crate's root exports.
fn exported_by(root: &str, name: &str, names: &BTreeSet<String>) -> Option<String> {
    let exports = root.split(';').filter_map(|item| item.split_once("use ")).map(|(_, path)| path);
    exports.flat_map(expand).find_map(|path| {
        let (module, item) = path.rsplit_once("::")?;
        let module = module.trim();
        (item.trim() == name && names.contains(module)).then(|| module.to_owned())
    })
}

/// Every path that begins with `crate`, `super` or `self`, with its braces expanded.
fn paths(text: &str) -> Vec<String> {
    let mut all = Vec::new();
    for begin in ["crate::", "super::", "self::"] {
        for (at, _) in text.match_indices(begin) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
                continue;
            }
            let mut depth = 0;
            let end = text[at..].find(|c: char| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                depth < 0 || (depth == 0 && !(c.is_alphanumeric() || "_:{}".contains(c)))
            });
            all.extend(expand(&text[at..at + end.unwrap_or(text.len() - at)]));
        }
    }
    all
}

/// `a::{b, c::{d, e}}` as `a::b`, `a::c::d`, `a::c::e`.
fn expand(path: &str) -> Vec<String> {
    let Some((before, rest)) = path.split_once('{') else { return vec![path.trim().to_owned()] };
    let inner = rest.rsplit_once('}').map_or(rest, |(inner, _)| inner);
    let mut depth = 0;
    let items = inner.split(|c: char| {
        depth += i32::from(c == '{') - i32::from(c == '}');
        c == ',' && depth == 0
    });
    items
        .filter(|item| !item.trim().is_empty())
        .flat_map(|item| expand(&format!("{before}{}", item.trim())))
        .collect()
}

#[test]
fn a_circle_is_found_and_a_chain_is_not() {
    let graph = |edges: &[(&str, &str)]| {
        let mut map: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (from, to) in edges {
            map.entry((*from).to_owned()).or_default().insert((*to).to_owned());
            map.entry((*to).to_owned()).or_default();
        }
        Imports(map)
    };
    assert_eq!(graph(&[("a", "b"), ("b", "c"), ("a", "c")]).find_circle(), None);
    assert!(graph(&[("a", "b"), ("b", "c"), ("c", "b")]).find_circle().is_some());
    let names = ["a", "b", "b::c"].map(str::to_owned).into_iter().collect();
    let text = "use crate::b::{c::{D, E}, F};\nuse super::G;";
    let found = imports_of("a", text, &names, "pub use b::c::{G, H};");
    assert_eq!(found.into_iter().collect::<Vec<_>>(), ["b", "b::c"]);
}
