mod backends;
mod disk;
#[cfg(target_os = "linux")]
mod full;
