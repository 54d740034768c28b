//! Async and blocking workers that feed a bounded channel
