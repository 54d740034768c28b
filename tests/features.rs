//! The features: what a crate that is taken alone can do, read from `cargo metadata`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use cargo_metadata::{MetadataCommand, Package};

/// The crates that open URLs.
const PROTOCOLS: &[&str] = &["kithara", "kithara-file", "kithara-hls"];

fn protocols() -> Vec<Package> {
    let metadata = MetadataCommand::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"))
        .no_deps()
        .exec()
        .unwrap();
    let found: Vec<Package> =
        metadata.packages.into_iter().filter(|package| PROTOCOLS.contains(&package.name.as_str())).collect();
    assert_eq!(found.len(), PROTOCOLS.len());
    found
}

#[test]
fn a_protocol_crate_alone_has_tls_and_every_codec_to_offer() {
    for package in protocols() {
        for (feature, below) in [
            ("default", "rustls"),
            ("rustls", "kithara-net/rustls"),
            ("aws-lc", "kithara-net/aws-lc"),
            ("opus", "kithara-decode/opus"),
            ("fdk-aac", "kithara-decode/fdk-aac"),
        ] {
            let enables = package.features.get(feature);
            assert!(
                enables.is_some_and(|enables| enables.iter().any(|enabled| enabled == below)),
                "{}: `{feature}` does not enable `{below}`",
                package.name
            );
        }
    }
}

#[test]
fn tls_can_be_left_out() {
    for package in protocols() {
        for dependency in &package.dependencies {
            let carries_tls =
                ["kithara-net", "kithara-file", "kithara-hls"].contains(&dependency.name.as_str());
            assert!(
                !carries_tls || !dependency.uses_default_features,
                "{}: `--no-default-features` would still have the TLS of {}",
                package.name,
                dependency.name
            );
        }
    }
}
