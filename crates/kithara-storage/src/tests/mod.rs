mod backends;
mod beside;
mod blocking;
mod disk;
#[cfg(target_os = "linux")]
mod full;
mod integrity;
#[cfg(target_os = "linux")]
mod space;
