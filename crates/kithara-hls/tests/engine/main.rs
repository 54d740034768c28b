//! The engine against servers that fail: who is asked next, what is heard instead, and that nothing waits for ever.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod damage;
mod expiry;
mod failover;
mod forgetting;
mod formats;
mod growing;
mod joining;
mod keys;
mod lengths;
mod live;
mod passing;
mod seeking;
mod slow;
mod support;
