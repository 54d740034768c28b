mod backends;
mod beside;
mod blocking;
mod disk;
#[cfg(target_os = "linux")]
mod full;
#[cfg(target_os = "linux")]
mod space;
