//! Kithara.
