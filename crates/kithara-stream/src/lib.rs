//! Byte orchestration: sources, prefetch, and async bytes as Read + Seek
