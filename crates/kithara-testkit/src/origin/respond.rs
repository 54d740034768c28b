use std::{convert::Infallible, future, sync::Arc};

use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use tokio::time::Instant;

use super::{
    Reply, Resource, Shared,
    body::{Interleaver, Script, ScriptedBody},
    connection::Connection,
    control::{Command, Controlled},
    gzip,
    link::Link,
    log::{InFlight, Received},
    range::{Part, Selection, select},
    reply::Framing,
    shared::Step,
};
use crate::clock;

const CHUNK: usize = 16 * 1024;

/// Answers one request.
pub(super) async fn respond(
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    request: Request<Incoming>,
) -> Result<Response<ScriptedBody>, Infallible> {
    let (head, _) = request.into_parts();
    let in_flight = shared.received(&head, connection.id);
    let (reply, control) = match shared.step(&in_flight.received) {
        Step::Reply(reply) => (*reply, None),
        Step::Control(control) => await_head(control, &in_flight.received).await,
    };
    match Instant::now().checked_add(reply.latency) {
        Some(deadline) => clock::sleep_until(deadline).await,
        None => future::pending().await,
    }
    if let Some(gate) = &reply.gate {
        gate.pass().await;
    }
    if let Some(cut) = reply.cut_before_head {
        connection.cut(cut);
        future::pending::<()>().await;
    }
    if let Some(raw) = &reply.raw {
        connection.send_raw(raw.clone());
        return Ok(Response::new(ScriptedBody::empty(in_flight)));
    }
    Ok(Answer { shared, connection, reply, control }.response(in_flight))
}

type Commands = tokio::sync::mpsc::UnboundedReceiver<Command>;
/// The test's further commands, and the first one if it was about the body.
type Control = (Commands, Option<Command>);

/// Waits until the test says anything: the head goes out with it.
async fn await_head(control: Controlled, received: &Received) -> (Reply, Option<Control>) {
    let Controlled { mut commands, arrived } = control;
    let _ = arrived.send(received.clone());
    match commands.recv().await {
        Some(Command::Head(reply, done)) => {
            let _ = done.send(());
            (*reply, Some((commands, None)))
        }
        Some(Command::Cut(cut, done)) => {
            let _ = done.send(());
            (Reply::ok().cut_before_head(cut), None)
        }
        first => (Reply::ok(), first.map(|first| (commands, Some(first)))),
    }
}

struct Answer {
    shared: Arc<Shared>,
    connection: Arc<Connection>,
    reply: Reply,
    control: Option<Control>,
}

impl Answer {
    fn response(mut self, in_flight: InFlight) -> Response<ScriptedBody> {
        let received = in_flight.received.clone();
        let found = self.reply.resource.take().or_else(|| self.shared.resource(received.path()));
        let resource = match found {
            Some(resource) if matches!(*received.method(), Method::GET | Method::HEAD) => resource,
            Some(_) => self.instead(StatusCode::METHOD_NOT_ALLOWED),
            None => self.instead(StatusCode::NOT_FOUND),
        };
        let ranges = resource.ranges && !self.reply.ignore_range;
        let selection = select(&resource, &received, ranges, self.reply.shift_range);
        // A scripted error replaces the resource; a condition of the request does not apply to it.
        let status = self.reply.status.unwrap_or(selection.status);
        received.set_status(status.as_u16());
        let mut headers = standard_headers(&resource, &selection, received.path());
        // HTTP gives these no body, whatever the script says.
        let body = match status {
            StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED => None,
            _ => self.body(&resource, &selection, &received, &mut headers),
        };
        self.apply_overrides(&mut headers);
        let mut response = Response::new(match body {
            Some(script) if *received.method() == Method::GET => ScriptedBody::new(script, in_flight),
            _ => ScriptedBody::empty(in_flight),
        });
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        if self.reply.framing == Framing::CloseDelimited && received.version() <= Version::HTTP_11 {
            *response.version_mut() = Version::HTTP_10;
        }
        response
    }

    fn instead(&mut self, status: StatusCode) -> Resource {
        self.reply.status.get_or_insert(status);
        Resource::new(format!("{status}\n"))
            .content_type("text/plain")
            .etag(None)
            .last_modified(None)
            .without_ranges()
    }

    /// The body, and the headers that speak about its length and form. None where there is nothing to send.
    fn body(
        &mut self,
        resource: &Resource,
        selection: &Selection,
        received: &Received,
        headers: &mut HeaderMap,
    ) -> Option<Script> {
        let icy = self.reply.icy.take().filter(|_| received.header("icy-metadata") == Some("1"));
        let (mut content, mut part) = (resource.content.clone(), selection.part.clone());
        if self.reply.gzip {
            headers.insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
            if let Some(packed) = gzip::pack(&content, &part) {
                part = Part { start: 0, end: Some(packed.len() as u64) };
                content = packed.into();
            }
        }
        let length = part.end.map(|end| end.saturating_sub(part.start)).filter(|_| icy.is_none());
        let declared = match self.reply.framing {
            Framing::Right => length,
            Framing::Chunked | Framing::CloseDelimited => None,
            Framing::Declared(bytes) => Some(bytes),
        };
        if let Some(declared) = declared {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(declared));
        }
        if let Some(icy) = &icy {
            headers.insert("icy-metaint", HeaderValue::from(icy.interval));
        }
        // Nothing to send, nothing to wait for: no body at all, which HTTP/1 wants for a 304.
        if length == Some(0) && declared.is_none_or(|bytes| bytes == 0) && self.control.is_none() {
            return None;
        }
        let is_h2 = received.version() >= Version::HTTP_2;
        let (control, first) = self.control.take().unzip();
        Some(Script {
            content,
            start: part.start,
            end: part.end,
            chunk_size: self.reply.chunk_size.unwrap_or(CHUNK),
            own_link: Link::new(self.reply.bandwidth),
            stalls: std::mem::take(&mut self.reply.stalls),
            pauses: std::mem::take(&mut self.reply.pauses),
            cut: self.reply.cut,
            is_short: !is_h2 && declared > length,
            icy: icy.map(Interleaver::new),
            control,
            first: first.flatten(),
            taken: None,
            is_h2,
            connection: Arc::clone(&self.connection),
            shared: Arc::clone(&self.shared),
        })
    }

    fn apply_overrides(&self, headers: &mut HeaderMap) {
        for name in &self.reply.removed {
            headers.remove(name);
        }
        for name in self.reply.headers.keys() {
            headers.remove(name);
            for value in self.reply.headers.get_all(name) {
                headers.append(name, value.clone());
            }
        }
    }
}

fn standard_headers(resource: &Resource, selection: &Selection, path: &str) -> HeaderMap {
    let mut headers = resource.headers.clone();
    let mut set = |name: HeaderName, value: Option<&str>| {
        if let Some(Ok(value)) = value.filter(|value| !value.is_empty()).map(HeaderValue::from_str) {
            headers.insert(name, value);
        }
    };
    set(header::CONTENT_TYPE, Some(&resource.type_at(path)));
    set(header::ETAG, resource.etag.as_deref());
    set(header::LAST_MODIFIED, resource.date().as_deref());
    set(header::ACCEPT_RANGES, resource.ranges.then_some("bytes"));
    set(header::CONTENT_RANGE, selection.content_range.as_deref());
    headers
}
