//! Sharded, bounded pools of reusable buffers
