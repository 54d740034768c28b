//! The application's say in each request: [`RequestHook`].

use std::future::Future;
use std::pin::Pin;

use http::StatusCode;

use crate::request::Request;

/// What a hook's failure is.
pub type HookError = Box<dyn std::error::Error + Send + Sync>;

/// The future of a hook.
pub type HookFuture<'a> = Pin<Box<dyn Future<Output = Result<Request, HookError>> + Send + 'a>>;

/// Why the hook is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum HookReason {
    /// A request is about to be sent (a retry and a resumption are requests too).
    Send,
    /// The server refused with 401, 403 or 410: the token may have expired. Asked once for each request; a second
    /// refusal is the caller's error.
    Refused(StatusCode),
    /// A redirect leads to the URL of the request; headers for another origin are gone already.
    Redirected,
}

/// Rewrites URL and headers of each request: signs it, adds a token that expires, picks a mirror. It is given the
/// request as the caller made it, on a refusal too, never its own earlier answer; after a redirect with the new URL.
///
/// Closures that return a future are hooks:
/// ```
/// use kithara_net::{HookReason, NetOptions, Request};
/// let settings = NetOptions::default().with_hook(|mut request: Request, reason: HookReason| async move {
///     let token = if reason == HookReason::Send { "cached" } else { "fresh" };
///     request.url.query_pairs_mut().append_pair("token", token);
///     Ok(request)
/// });
/// # let _ = settings;
/// ```
///
/// The time that a hook takes counts towards the response-head limit. Dropping the request drops the future.
pub trait RequestHook: Send + Sync + 'static {
    /// The request to send instead.
    ///
    /// # Errors
    /// An error ends the request with [`NetError::Hook`](crate::NetError::Hook); it is not retried.
    fn prepare(&self, request: Request, reason: HookReason) -> HookFuture<'_>;
}

impl<F, Fut> RequestHook for F
where
    F: Fn(Request, HookReason) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Request, HookError>> + Send + 'static,
{
    fn prepare(&self, request: Request, reason: HookReason) -> HookFuture<'_> {
        Box::pin(self(request, reason))
    }
}
