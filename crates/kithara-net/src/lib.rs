//! HTTP for media: ranges, resuming bodies, retries and timeouts as layers
