#![doc = include_str!("../README.md")]

pub use kithara_assets as assets;
pub use kithara_bufpool as bufpool;
pub use kithara_decode as decode;
pub use kithara_file as file;
pub use kithara_hls as hls;
pub use kithara_net as net;
pub use kithara_storage as storage;
pub use kithara_stream as stream;
pub use kithara_worker as worker;
