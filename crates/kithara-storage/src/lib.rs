//! Positioned I/O on one resource, and waiting for byte ranges of it
