//! The layers point downwards: read from `cargo metadata`, so that no document has to be believed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;

use cargo_metadata::{DependencyKind, MetadataCommand};

#[path = "support/imports.rs"]
mod imports;

use imports::Imports;

/// Every published crate and its layer. A dependency must stand on a strictly lower one.
const LAYERS: &[(&str, u32)] = &[
    ("kithara-aac", 0),
    ("kithara-blocking", 0),
    ("kithara-bufpool", 0),
    ("kithara-storage", 1),
    ("kithara-net", 2),
    ("kithara-assets", 2),
    ("kithara-worker", 2),
    ("kithara-stream", 3),
    ("kithara-decode", 4),
    ("kithara-file", 5),
    ("kithara-hls", 5),
    ("kithara", 6),
    ("kithara-play", 6),
];

/// The edges of the architecture's diagram: each must be a dependency that the code uses.
const EDGES: &[(&str, &[&str])] = &[
    ("kithara-file", &["kithara-stream", "kithara-assets", "kithara-net"]),
    ("kithara-hls", &["kithara-stream", "kithara-assets", "kithara-net"]),
    ("kithara-decode", &["kithara-stream", "kithara-bufpool", "kithara-worker"]),
    (
        "kithara-stream",
        &["kithara-storage", "kithara-worker", "kithara-bufpool", "kithara-net", "kithara-assets"],
    ),
    ("kithara-assets", &["kithara-storage"]),
];

/// Crates in which no two modules import each other.
const WITHOUT_CIRCLES: &[&str] = &[
    "kithara-blocking",
    "kithara-bufpool",
    "kithara-storage",
    "kithara-net",
    "kithara-worker",
    "kithara-stream",
];

/// Crates that stand beside the stack, and are no library's normal dependency.
const BESIDE: &[&str] = &["kithara-testkit", "kithara-cli"];

fn layer(name: &str) -> Option<u32> {
    LAYERS.iter().find(|(known, _)| *known == name).map(|(_, layer)| *layer)
}

fn workspace() -> cargo_metadata::Metadata {
    MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap()
}

#[test]
fn crates_depend_only_downwards() {
    for package in workspace().workspace_packages() {
        if BESIDE.contains(&package.name.as_str()) {
            continue;
        }
        let own =
            layer(&package.name).unwrap_or_else(|| panic!("{} has no layer: give it one", package.name));
        for dependency in &package.dependencies {
            let Some(below) = layer(&dependency.name) else { continue };
            if dependency.kind == DependencyKind::Development {
                continue;
            }
            assert!(
                below < own,
                "{} (layer {own}) must not depend on {} (layer {below})",
                package.name,
                dependency.name
            );
        }
    }
}

#[test]
fn testkit_and_tool_are_no_dependency_of_a_library() {
    for package in workspace().workspace_packages() {
        if BESIDE.contains(&package.name.as_str()) {
            continue;
        }
        for dependency in &package.dependencies {
            let beside = BESIDE.contains(&dependency.name.as_str());
            let allowed =
                dependency.name == "kithara-testkit" && dependency.kind == DependencyKind::Development;
            assert!(!beside || allowed, "{} must not depend on {}", package.name, dependency.name);
        }
    }
}

#[test]
fn testkit_knows_no_other_crate_of_ours() {
    let metadata = workspace();
    let testkit =
        metadata.workspace_packages().into_iter().find(|p| p.name.as_str() == "kithara-testkit").unwrap();
    for dependency in &testkit.dependencies {
        assert!(layer(&dependency.name).is_none(), "kithara-testkit must not depend on {}", dependency.name);
    }
}

#[test]
fn every_crate_of_the_workspace_is_covered() {
    let metadata = workspace();
    assert_eq!(metadata.workspace_packages().len(), LAYERS.len() + BESIDE.len());
    assert_eq!(
        metadata.workspace_default_packages().len(),
        metadata.workspace_packages().len(),
        "a plain `cargo test` must cover the workspace"
    );
}

#[test]
fn the_stated_rust_version_is_the_tested_one() {
    let stated = workspace().root_package().unwrap().rust_version.clone().unwrap();
    let output = std::process::Command::new(std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .arg("--version")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let version = text.split_whitespace().nth(1).unwrap();
    let current = cargo_metadata::semver::Version::parse(version).unwrap();
    assert!(stated <= current, "rust-version {stated} is newer than {current}, which builds this");
}

/// All source text of a package.
fn sources(folder: &Path) -> String {
    let mut all = String::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all += &sources(&path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all += &std::fs::read_to_string(path).unwrap();
        }
    }
    all
}

/// Whether a text names a crate: as the beginning of a path or of an import.
fn uses(text: &str, name: &str) -> bool {
    let ident = name.replace('-', "_");
    text.match_indices(&ident).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = &text[at + ident.len()..];
        let begins = !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == '-');
        begins && (after.starts_with("::") || after.starts_with(';') || after.starts_with(" as "))
    })
}

#[test]
fn no_dependency_is_unused() {
    for package in workspace().workspace_packages() {
        let folder = package.manifest_path.parent().unwrap().as_std_path().to_owned();
        // Optional dependencies of the facade are for its examples and benches.
        let places = ["src", "examples", "benches"].map(|place| folder.join(place));
        let text: String = places.iter().filter(|place| place.is_dir()).map(|place| sources(place)).collect();
        for dependency in package.dependencies.iter().filter(|dep| dep.kind == DependencyKind::Normal) {
            let name = dependency.rename.as_deref().unwrap_or(&dependency.name);
            assert!(uses(&text, name), "{} does not use its dependency {name}", package.name);
        }
    }
}

#[test]
fn every_edge_of_the_diagram_is_used() {
    let metadata = workspace();
    for (from, targets) in EDGES {
        let package = metadata.workspace_packages().into_iter().find(|p| p.name.as_str() == *from).unwrap();
        let text = sources(package.manifest_path.parent().unwrap().join("src").as_std_path());
        for to in *targets {
            let is_declared =
                package.dependencies.iter().any(|dep| dep.kind == DependencyKind::Normal && dep.name == **to);
            assert!(is_declared && uses(&text, to), "{from} must use {to}");
        }
    }
}

#[test]
fn no_modules_import_each_other() {
    for package in workspace().workspace_packages() {
        if WITHOUT_CIRCLES.contains(&package.name.as_str()) {
            let folder = package.manifest_path.parent().unwrap().join("src");
            assert_eq!(Imports::read(folder.as_std_path()).find_circle(), None, "{}", package.name);
        }
    }
}
