//! Media fixtures, a scripted HTTP origin and signal measurements for Kithara's tests

pub mod media;
