//! One request and its answer.

use std::future::{Future, poll_fn};
use std::io;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::body::{Incoming, Watched};
use super::conn::{Connection, close, refusal};
use super::crowd::Place;
use super::framing::Framing;
use super::head::Head;
use super::input::Input;
use super::response::{self, Asked, Coding, Content};
use super::wire::Wire;
use super::{Body, Chunk, Peer, Problem, Request, RequestId, Response, Service, Source};

/// How long an unread body is read away for the sake of keeping the connection.
const DISCARD_TIME: Duration = Duration::from_secs(2);

/// Room for chunks that is kept from one write to the next.
const KEEP: usize = 16;

/// Where a connection's read side is.
pub(super) enum Reading {
    /// Here, and no body is known of.
    Bare(Input),
    /// Here, with what is left of a body.
    Here(Box<Incoming>),
    /// With the request's body.
    Lent(oneshot::Receiver<Box<Incoming>>),
    /// The body was lost, not dropped.
    Lost,
}

impl Reading {
    /// Waits for the read side.
    pub(super) async fn back(self) -> Option<Input> {
        match self {
            Self::Bare(input) => Some(input),
            Self::Here(incoming) => Some(incoming.input),
            Self::Lent(lent) => lent.await.ok().map(|incoming| incoming.input),
            Self::Lost => None,
        }
    }

    /// Whether the read side is here and has nothing in it, so that it can be left alone.
    fn is_bare(&self) -> bool {
        match self {
            Self::Bare(input) => input.is_quiet(),
            Self::Here(incoming) => incoming.is_done() && incoming.input.is_quiet(),
            Self::Lent(_) | Self::Lost => false,
        }
    }

    /// Whether a body was not read to its end.
    pub(super) fn is_in_body(&mut self) -> bool {
        self.look();
        match self {
            Self::Here(incoming) => !incoming.is_done(),
            Self::Bare(_) | Self::Lent(_) | Self::Lost => false,
        }
    }

    /// Takes the read side back if the body has been dropped.
    fn look(&mut self) {
        if let Self::Lent(lent) = self {
            match lent.try_recv() {
                Ok(incoming) => *self = Self::Here(incoming),
                Err(oneshot::error::TryRecvError::Empty) => {}
                Err(oneshot::error::TryRecvError::Closed) => *self = Self::Lost,
            }
        }
    }

    /// Whether the next request may be found; a body that the response still reads may be read to
    /// its end.
    fn may_be_kept(&self) -> bool {
        match self {
            Self::Bare(_) | Self::Lent(_) => true,
            Self::Here(incoming) => incoming.may_be_kept(),
            Self::Lost => false,
        }
    }

    /// Watches the peer, as far as the read side is here.
    fn poll_watch(&mut self, cx: &mut Context<'_>) -> Poll<Watched> {
        if let Self::Lent(lent) = self {
            match Pin::new(lent).poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Ok(incoming)) => *self = Self::Here(incoming),
                Poll::Ready(Err(_)) => *self = Self::Lost,
            }
        }
        match self {
            Self::Here(incoming) => incoming.poll_watch(cx),
            _ => Poll::Pending,
        }
    }

    /// Reads away what is left of the body. What comes back is the read side at the next request,
    /// or the reading that can only be closed.
    async fn settle(mut self) -> Result<Input, Self> {
        self.look();
        let settled = timeout(DISCARD_TIME, async {
            if let Self::Lent(lent) = &mut self {
                self = lent.await.map_or(Self::Lost, Self::Here);
            }
            match &mut self {
                Self::Here(incoming) => incoming.is_done() || incoming.discard().await,
                Self::Bare(_) => true,
                Self::Lent(_) | Self::Lost => false,
            }
        })
        .await
        .unwrap_or(false);
        match self {
            Self::Here(incoming) if settled => Ok(incoming.input),
            Self::Bare(input) => Ok(input),
            other => Err(other),
        }
    }
}

/// What follows in a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// What was given, and perhaps more.
    More,
    /// What was given, and the end.
    End,
    /// Nothing now: it can leave its task.
    Leave,
}

impl<S: Service> Connection<S> {
    /// Has a request answered. Nothing comes back when the connection was closed.
    pub(super) async fn exchange(
        mut self,
        head: Head,
        mut input: Input,
        id: RequestId,
    ) -> Option<(Self, Input)> {
        // The head's bytes live on in its fields; what holds them is not to be held twice.
        input.release();
        let asked = Asked {
            method: head.method.clone(),
            version: head.version,
            id,
        };
        let keeps_alive = head.keeps_alive;
        let (mut asks, mut go_ahead) = (None, None);
        if head.expects_continue && head.framing != Framing::Length(0) {
            let (sender, receiver) = oneshot::channel();
            (asks, go_ahead) = (Some(sender), Some(receiver));
        }
        let (limits, shutdown) = (&self.hall.limits, &self.hall.shutdown);
        let incoming = Box::new(Incoming::new(input, head.framing, asks, limits, shutdown));
        let (body, mut reading) = if incoming.is_done() {
            (Body::empty(), Reading::Here(incoming))
        } else {
            let (body, lent) = Body::lend(incoming);
            (body, Reading::Lent(lent))
        };

        let mut request = Request::new(body);
        *request.method_mut() = head.method;
        *request.uri_mut() = head.target;
        *request.version_mut() = head.version;
        *request.headers_mut() = head.headers;
        let (client, is_proxied) = self.hall.crowd.client(self.peer, request.headers());
        request.extensions_mut().insert(Peer {
            address: client,
            is_proxied,
        });
        let response = match self.admit(client) {
            Ok(()) => self.call(request, &mut go_ahead).await.ok()?,
            Err(problem) => refusal(problem, client),
        };
        // From here on there is no 100 any more.
        drop(go_ahead);

        reading.look();
        let close_after = !keeps_alive || self.hall.shutdown.is_on() || !reading.may_be_kept();
        self.output.begin();
        let (parts, payload) = response.into_parts();
        let answer = response::answer(&asked, &parts, payload, close_after);
        drop(parts);
        self.output.queue.push(answer.head);
        self.conclude(answer.content, answer.close, reading).await
    }

    /// Counts what a proxy's client holds open while it is answered. Whoever comes by themselves
    /// is counted by their connection.
    fn admit(&mut self, client: IpAddr) -> Result<(), Problem> {
        if self.hall.crowd.is_proxy(self.peer.ip()) {
            self.place = Place::default();
            self.place = self.hall.crowd.take(client)?;
        }
        Ok(())
    }

    /// Goes on with a stream that has been away.
    pub(super) async fn resume(
        mut self,
        rest: Bytes,
        source: Box<dyn Source>,
        closes: bool,
        input: Input,
    ) -> Option<(Self, Input)> {
        self.output.queue.push(rest);
        let coding = Coding::Chunked;
        let content = Content::Stream { coding, source };
        let (limits, shutdown) = (&self.hall.limits, &self.hall.shutdown);
        let incoming = Incoming::new(input, Framing::Length(0), None, limits, shutdown);
        let reading = Reading::Here(Box::new(incoming));
        self.conclude(content, closes, reading).await
    }

    /// Writes what is left of an answer, and finds the next request. Nothing comes back when the
    /// connection was closed, or has left this task.
    async fn conclude(
        mut self,
        content: Content,
        closes: bool,
        mut reading: Reading,
    ) -> Option<(Self, Input)> {
        let ends_with_connection = matches!(
            content,
            Content::Stream {
                coding: Coding::UntilClose,
                ..
            }
        );
        match self.send(content, &mut reading).await {
            Ok(None) => {}
            Ok(Some(source)) => {
                self.leave(source, closes, reading).await;
                return None;
            }
            Err(error) => {
                tracing::debug!(peer = %self.peer, %error, "an answer was broken off");
                if ends_with_connection {
                    self.output.break_off();
                }
                return None;
            }
        }

        if !closes {
            match reading.settle().await {
                Ok(input) => return Some((self, input)),
                Err(unsettled) => reading = unsettled,
            }
        }
        close(&mut self.output, reading).await;
        None
    }

    /// Calls the service, and sends `100 Continue` when its reading of the body asks for it.
    async fn call(
        &mut self,
        request: Request,
        go_ahead: &mut Option<oneshot::Receiver<()>>,
    ) -> io::Result<Response> {
        let mut call = self.hall.service.call(request);
        let response = loop {
            let Some(asked) = go_ahead else {
                break call.await;
            };
            tokio::select! {
                biased;
                response = &mut call => break response,
                asked = asked => {
                    *go_ahead = None;
                    if asked.is_ok() {
                        let interim = Bytes::from_static(b"HTTP/1.1 100 Continue\r\n\r\n");
                        self.output.queue.push(interim);
                        self.output.flush().await?;
                    }
                }
            }
        };
        if response.status().is_informational() {
            tracing::error!(status = %response.status(), "the service gave an interim response");
            return Ok(Problem::new(
                StatusCode::INTERNAL_SERVER_ERROR,
                "internal",
                "the server has failed to answer",
            )
            .into_response());
        }
        Ok(response)
    }

    /// Lets a stream's socket go from its task.
    async fn leave(self, source: Box<dyn Source>, closes: bool, reading: Reading) {
        let Some(input) = reading.back().await else {
            return;
        };
        match self.output.rejoin(input) {
            Ok(socket) => {
                let from = (self.peer, self.place);
                source.leave(Wire::new(socket, from, closes, self.hall.away));
            }
            Err(error) => tracing::debug!(peer = %self.peer, %error, "a stream can not leave"),
        }
    }

    /// Writes the rest of an answer. An error means that the connection is no longer of use. What
    /// comes back is a stream that leaves its task.
    async fn send(
        &mut self,
        content: Content,
        reading: &mut Reading,
    ) -> io::Result<Option<Box<dyn Source>>> {
        match content {
            Content::Nothing => {}
            Content::Whole(bytes) => self.output.queue.push(bytes),
            Content::Stream { coding, source } => {
                return self.stream(coding, source, reading).await;
            }
        }
        self.output.flush().await?;
        Ok(None)
    }

    /// Writes a stream: asks for all that waits, writes it with one gathered write, and again.
    async fn stream(
        &mut self,
        coding: Coding,
        mut source: Box<dyn Source>,
        reading: &mut Reading,
    ) -> io::Result<Option<Box<dyn Source>>> {
        let endless = source.endless();
        self.output.is_endless = endless;
        let mut left = match coding {
            Coding::Length(length) => length,
            _ => u64::MAX,
        };
        let mut chunks: Vec<Chunk> = Vec::new();
        let mut shutdown = self.hall.shutdown.clone();
        let mut drain = pin!(shutdown.wait());
        let mut gone = false;
        loop {
            let next = poll_fn(|cx| {
                if !gone && let Poll::Ready(watched) = reading.poll_watch(cx) {
                    gone = true;
                    if let Watched::Broken = watched {
                        return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                    }
                }
                // What waits is still written: it may be all that the client wants.
                let ends = endless && (gone || drain.as_mut().poll(cx).is_ready());
                match source.poll_chunks(cx, &mut chunks) {
                    Poll::Ready(Ok(true)) if !ends => Poll::Ready(Ok(Next::More)),
                    Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
                    Poll::Pending if !ends => {
                        let may_leave = endless
                            && coding == Coding::Chunked
                            && reading.is_bare()
                            && source.may_leave();
                        if may_leave {
                            Poll::Ready(Ok(Next::Leave))
                        } else {
                            Poll::Pending
                        }
                    }
                    Poll::Ready(Ok(_)) | Poll::Pending => Poll::Ready(Ok(Next::End)),
                }
            });
            // The head, if it still waits, goes with what the source has, or else alone.
            let next = if self.output.queue.is_empty() {
                next.await?
            } else {
                let mut next = pin!(next);
                match poll_fn(|cx| Poll::Ready(next.as_mut().poll(cx))).await {
                    Poll::Ready(next) => next?,
                    Poll::Pending => {
                        self.output.flush().await?;
                        next.await?
                    }
                }
            };
            for chunk in chunks.drain(..) {
                let length = chunk.data().len() as u64;
                left = left
                    .checked_sub(length)
                    .ok_or_else(|| wrong_length("longer"))?;
                match coding {
                    Coding::Chunked => chunk.into_framed(&mut self.output.queue),
                    _ => self.output.queue.push(chunk.into_data()),
                }
            }
            chunks.shrink_to(KEEP);
            if next == Next::End {
                match coding {
                    Coding::Chunked => self.output.queue.push(Bytes::from_static(b"0\r\n\r\n")),
                    Coding::Length(_) if left > 0 => return Err(wrong_length("shorter")),
                    _ => {}
                }
            }
            self.output.flush().await?;
            match next {
                Next::More => tokio::task::consume_budget().await,
                Next::Leave => return Ok(Some(source)),
                Next::End => return Ok(None),
            }
        }
    }
}

fn wrong_length(how: &str) -> io::Error {
    io::Error::other(format!("the source's body is {how} than it told"))
}
