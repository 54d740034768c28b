//! The layers point downwards: read from `cargo metadata`, so that no document has to be believed.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use cargo_metadata::{DependencyKind, MetadataCommand};

/// Every published crate and its layer. A dependency must stand on a strictly lower one.
const LAYERS: &[(&str, u32)] = &[
    ("kithara-aac", 0),
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
