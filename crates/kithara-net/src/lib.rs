#![doc = include_str!("../README.md")]

mod body;
mod client;
mod dynamic;
mod entity;
mod error;
mod ext;
mod fingerprint;
mod gzip;
mod head;
mod hook;
#[cfg(any(test, feature = "test-util"))]
mod mock;
mod net;
mod observe;
mod options;
mod overlap;
mod policy;
mod redact;
mod request;
mod retry;
mod retry_body;
mod shoutcast;
mod stack;
mod timeout;
#[cfg(feature = "__tls")]
mod tls;
mod transport;
mod validator;

pub use body::HttpBody;
pub use client::HttpClient;
pub use dynamic::{DynBody, DynNet};
pub use entity::EntityGuard;
pub use error::{NetError, Phase, Source};
pub use ext::NetExt;
pub use head::{ResponseHead, TransferSource};
pub use hook::{HookError, HookFuture, HookReason, RequestHook};
pub use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
#[cfg(any(test, feature = "test-util"))]
pub use mock::{MockAnswer, MockBody, MockNet, MockStep};
pub use net::{Body, Net, Response};
pub use observe::{NetObserver, ObserveBody, ObserveNet, Transfer, TransferEnd, TransferStats};
pub use options::{HttpOptions, NetOptions, ProxySetting, RootCertificate, VersionSetting};
pub use policy::RetryPolicy;
pub use redact::RedactedUrl;
pub use request::{ByteRange, Request};
pub use retry::RetryNet;
pub use retry_body::RetryBody;
pub use stack::DefaultNet;
pub use timeout::{TimeoutBody, TimeoutNet, Timeouts};
pub use url::Url;
pub use validator::{EntityMatch, Validator};
