mod backends;
mod blocking;
mod disk;
#[cfg(target_os = "linux")]
mod full;
