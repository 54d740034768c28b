//! A persistent, evicting, pinned store of downloaded resources
