#![doc = include_str!("../README.md")]

mod body;
mod client;
mod digest;
mod dynamic;
mod error;
mod ext;
mod gzip;
mod head;
mod hook;
#[cfg(any(test, feature = "test-util"))]
mod mock;
mod net;
mod observe;
mod redact;
mod request;
mod resume;
mod retry;
mod settings;
mod shoutcast;
mod stack;
mod timeout;
#[cfg(feature = "__tls")]
mod tls;
mod transport;
mod validator;
mod version;

pub use body::HttpBody;
pub use client::HttpClient;
pub use dynamic::{DynBody, DynNet};
pub use error::{NetError, Phase, Source};
pub use ext::NetExt;
pub use head::{ResponseHead, TransferSource};
pub use hook::{HookError, HookFuture, HookReason, RequestHook};
pub use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
#[cfg(any(test, feature = "test-util"))]
pub use mock::{MockAnswer, MockBody, MockNet, MockStep};
pub use net::{Body, Net, Response};
pub use observe::{NetObserver, ObserveBody, ObserveNet, Transfer, TransferEnd, TransferStats};
pub use redact::RedactedUrl;
pub use request::{ByteRange, Request};
pub use resume::ResumingBody;
pub use retry::{RetryNet, RetryPolicy};
pub use settings::{HttpSettings, NetSettings, ProxySetting, RootCertificate, VersionSetting};
pub use stack::DefaultNet;
pub use timeout::{TimeoutBody, TimeoutNet, Timeouts};
pub use url::Url;
pub use validator::{Sameness, Validator};
