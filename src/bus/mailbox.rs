//! What waits for one stream. It holds a bounded queue; a stream that does not read is put back
//! on the log from where it is, so that it costs nothing and misses nothing.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::Frame;
use crate::log::{ClientId, Pos, UserId};

/// The queue between the hub and one stream.
pub(crate) struct Mailbox {
    /// Whose stream it is.
    pub(crate) user: UserId,
    /// Of which client.
    pub(crate) client: ClientId,
    limit: usize,
    state: Mutex<State>,
}

struct State {
    queue: VecDeque<Arc<Frame>>,
    /// Not following the hub: the stream reads the log.
    behind: bool,
    /// What the stream had from the log already.
    from: Pos,
    closed: bool,
    waker: Option<Waker>,
}

/// What a stream finds in its mailbox.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// The frames were moved out.
    Frames,
    /// It must read the log first.
    Behind,
    /// The client or the server is leaving.
    Closed,
}

/// Whether a stream has left its mailbox.
#[derive(Debug)]
pub(crate) enum Left {
    /// It has, and this waited for it.
    With(Vec<Arc<Frame>>),
    /// It had from the log already what the hub is still to publish.
    NotYet,
    /// It must ask its mailbox itself, since it is behind or ends.
    Never,
}

impl Mailbox {
    /// A mailbox of a stream that starts behind.
    pub(crate) fn new(user: UserId, client: ClientId, limit: usize) -> Self {
        let state = State {
            queue: VecDeque::new(),
            behind: true,
            from: 0,
            closed: false,
            waker: None,
        };
        Self {
            user,
            client,
            limit,
            state: Mutex::new(state),
        }
    }

    /// Puts a frame in; one too many puts the stream behind.
    pub(crate) fn push(&self, frame: &Arc<Frame>) {
        let mut state = self.lock();
        let is_live = frame.pos == 0;
        // The log tells again what has a position, and only that.
        let had = !is_live && (state.behind || frame.pos <= state.from);
        // What only shows that a stream is alive can't wait for long.
        let is_idle = frame.is_comment() && !state.queue.is_empty();
        if state.closed || had || is_idle {
            return;
        }
        if state.queue.len() < self.limit {
            state.queue.push_back(Arc::clone(frame));
        } else if !is_live {
            state.fall_behind();
        }
        state.wake();
    }

    /// Follows the hub from `pos` on.
    pub(crate) fn go_live(&self, pos: Pos) {
        let mut state = self.lock();
        state.behind = false;
        state.from = pos;
    }

    /// Whether the stream follows the hub and has had all.
    pub(crate) fn is_idle(&self) -> bool {
        let state = self.lock();
        state.queue.is_empty() && !state.behind && !state.closed
    }

    /// Has a stream leave its mailbox, where the hub has come as far as `published`.
    pub(super) fn leave(&self, published: Pos) -> Left {
        let mut state = self.lock();
        if state.behind || state.closed {
            return Left::Never;
        }
        if published < state.from {
            return Left::NotYet;
        }
        state.waker = None;
        Left::With(std::mem::take(&mut state.queue).into())
    }

    /// Puts the stream back on the log.
    pub(crate) fn fall_behind(&self) {
        let mut state = self.lock();
        state.fall_behind();
        state.wake();
    }

    /// Ends the stream.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.wake();
    }

    /// Takes all that waits, or waits.
    pub(crate) fn poll_take(&self, cx: &mut Context<'_>, out: &mut Vec<Arc<Frame>>) -> Poll<Taken> {
        let mut state = self.lock();
        if !state.queue.is_empty() {
            out.extend(state.queue.drain(..));
            // An idle stream gives its memory back.
            state.queue = VecDeque::new();
            return Poll::Ready(Taken::Frames);
        }
        if state.closed {
            return Poll::Ready(Taken::Closed);
        }
        if state.behind {
            return Poll::Ready(Taken::Behind);
        }
        if !state
            .waker
            .as_ref()
            .is_some_and(|waker| waker.will_wake(cx.waker()))
        {
            state.waker = Some(cx.waker().clone());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn fall_behind(&mut self) {
        self.queue.retain(|frame| frame.pos == 0);
        self.queue.shrink_to_fit();
        self.behind = true;
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::bus::Event;

    fn frame(pos: Pos) -> Arc<Frame> {
        let event = Event::new("test", json!({}));
        Arc::new(if pos == 0 {
            Frame::live(&event)
        } else {
            Frame::new(pos, "c", &event)
        })
    }

    fn take(mailbox: &Mailbox) -> (Poll<Taken>, Vec<Pos>) {
        let mut out = Vec::new();
        let taken = mailbox.poll_take(&mut Context::from_waker(Waker::noop()), &mut out);
        (taken, out.iter().map(|frame| frame.pos).collect())
    }

    fn mailbox() -> Mailbox {
        Mailbox::new(UserId(1), ClientId::nil(), 2)
    }

    #[test]
    fn a_stream_starts_on_the_log_and_skips_what_it_had_from_there() {
        let mailbox = mailbox();
        mailbox.push(&frame(4));
        assert_eq!(take(&mailbox), (Poll::Ready(Taken::Behind), vec![]));
        mailbox.go_live(5);
        mailbox.push(&frame(5));
        mailbox.push(&frame(6));
        assert_eq!(take(&mailbox), (Poll::Ready(Taken::Frames), vec![6]));
        assert_eq!(take(&mailbox), (Poll::Pending, vec![]));
    }

    #[test]
    fn one_frame_too_many_puts_the_stream_back_on_the_log() {
        let mailbox = mailbox();
        mailbox.go_live(0);
        for pos in 1..=3 {
            mailbox.push(&frame(pos));
        }
        assert_eq!(take(&mailbox), (Poll::Ready(Taken::Behind), vec![]));
    }

    #[test]
    fn what_only_those_present_see_reaches_a_stream_that_still_reads_the_log() {
        let mailbox = mailbox();
        mailbox.push(&frame(0));
        assert_eq!(take(&mailbox), (Poll::Ready(Taken::Frames), vec![0]));
        mailbox.go_live(0);
        for pos in [0, 1, 2] {
            mailbox.push(&frame(pos));
        }
        assert_eq!(take(&mailbox), (Poll::Ready(Taken::Frames), vec![0]));
        assert_eq!(take(&mailbox), (Poll::Ready(Taken::Behind), vec![]));
    }

    #[test]
    fn a_full_queue_drops_what_only_those_present_see() {
        let mailbox = mailbox();
        mailbox.go_live(0);
        for pos in [1, 2, 0] {
            mailbox.push(&frame(pos));
        }
        assert_eq!(take(&mailbox), (Poll::Ready(Taken::Frames), vec![1, 2]));
    }

    #[test]
    fn a_closed_stream_still_gets_what_waited() {
        let mailbox = mailbox();
        mailbox.go_live(0);
        mailbox.push(&frame(1));
        mailbox.close();
        assert_eq!(take(&mailbox), (Poll::Ready(Taken::Frames), vec![1]));
        assert_eq!(take(&mailbox), (Poll::Ready(Taken::Closed), vec![]));
    }
}
