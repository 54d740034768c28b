//! The two traits that every layer speaks: [`Net`] and [`Body`].

use std::future::Future;

use bytes::Bytes;

use crate::error::NetError;
use crate::head::ResponseHead;
use crate::request::Request;

/// Something that answers requests: the client itself, or a layer around one.
pub trait Net: Clone + Send + Sync + 'static {
    /// The body of its responses.
    type Body: Body;

    /// Sends the request and waits for the head of the response. Dropping the future cancels the request.
    ///
    /// # Errors
    /// Any [`NetError`]. A status that brings no entity is [`NetError::Status`] (416:
    /// [`NetError::RangeNotSatisfiable`]); 304 is one only when the request was not conditional.
    fn open(&self, request: Request) -> impl Future<Output = Result<Response<Self::Body>, NetError>> + Send;
}

/// The body of a response, pulled chunk by chunk. Dropping it cancels the transfer.
#[doc(alias = "ByteStream")]
pub trait Body: Send + 'static {
    /// The next bytes (never empty), or `None` at the end. Cancel-safe: a dropped future loses nothing.
    ///
    /// `None` comes only where the protocol has an end: at the declared length, at the last chunk of a chunked body,
    /// at the end of an HTTP/2 stream, or at the close of a connection whose body nothing else delimits; the last is
    /// no proof ([`is_complete`](Self::is_complete)).
    ///
    /// # Errors
    /// [`NetError`]; after an error every further call gives an error or `None` with `is_complete() == false`.
    fn next_chunk(&mut self) -> impl Future<Output = Result<Option<Bytes>, NetError>> + Send;

    /// True once the end was reached **and** the protocol proves that no byte is missing. Only such a body may be
    /// committed as complete.
    fn is_complete(&self) -> bool;
}

/// Head and body of a response.
#[derive(Debug)]
pub struct Response<B> {
    /// Status, headers and what they mean.
    pub head: ResponseHead,
    /// The bytes that follow.
    pub body: B,
}

impl<B> Response<B> {
    /// The same head before another body.
    pub fn map_body<C>(self, map: impl FnOnce(B) -> C) -> Response<C> {
        Response { head: self.head, body: map(self.body) }
    }
}
