//! A stream's socket outside its task. Thousands of streams that mostly wait cost little when one
//! thread writes to their sockets; each comes back to a task of its own for all that is not
//! writing what everybody gets.

use std::io::{self, IoSlice, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};

use bytes::Bytes;
use tokio::sync::mpsc;

use super::Source;
use super::crowd::Place;

/// What the accept loop hears of connections that are away from their tasks.
pub(super) enum Away {
    /// One has left its task.
    Left,
    /// It comes back.
    Back(Box<Return>),
    /// It is closed.
    Closed,
}

/// A stream that comes back to a task.
pub(super) struct Return {
    pub(super) socket: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) place: Place,
    /// Whether the connection is closed after the stream.
    pub(super) closes: bool,
    /// What is to be written before the source is asked again.
    pub(super) rest: Bytes,
    pub(super) source: Box<dyn Source>,
}

/// The socket of a stream in the chunked coding, between two chunks. It does not block. Dropping
/// it closes the connection.
pub struct Wire {
    /// None once it was given back.
    socket: Option<TcpStream>,
    peer: SocketAddr,
    place: Place,
    closes: bool,
    home: mpsc::UnboundedSender<Away>,
}

impl Wire {
    pub(super) fn new(
        socket: TcpStream,
        (peer, place): (SocketAddr, Place),
        closes: bool,
        home: mpsc::UnboundedSender<Away>,
    ) -> Self {
        // A server that has ended counts nothing any more.
        let _ = home.send(Away::Left);
        Self {
            socket: Some(socket),
            peer,
            place,
            closes,
            home,
        }
    }

    /// Writes what the socket takes, whole chunks with their frames (see [`super::Chunk::wire`]).
    ///
    /// # Errors
    /// `WouldBlock` when it takes nothing now; any other error is the connection's end.
    pub fn write(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut socket = self.socket()?;
        let written = match pieces {
            // One piece spares the kernel the list.
            [piece] => socket.write(piece)?,
            pieces => socket.write_vectored(pieces)?,
        };
        if written == 0 && pieces.iter().any(|piece| !piece.is_empty()) {
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(written)
    }

    /// Gives the connection back to a task, which writes `rest`, the end of a chunk that was
    /// written in part, and then what the source has.
    pub fn give_back(mut self, rest: Bytes, source: Box<dyn Source>) {
        if let Some(socket) = self.socket.take() {
            let back = Return {
                socket,
                peer: self.peer,
                place: std::mem::take(&mut self.place),
                closes: self.closes,
                rest,
                source,
            };
            // A server that has ended closes it.
            let _ = self.home.send(Away::Back(Box::new(back)));
        }
    }

    /// What to wait on for its readiness.
    ///
    /// # Errors
    /// `NotConnected` when it was given back, which can't be seen from outside.
    pub fn fd(&self) -> io::Result<BorrowedFd<'_>> {
        Ok(self.socket()?.as_fd())
    }

    /// A socket of its own, without a server.
    #[cfg(test)]
    pub(crate) fn lone(socket: TcpStream, peer: SocketAddr) -> Self {
        let (home, _) = mpsc::unbounded_channel();
        Self::new(socket, (peer, Place::default()), true, home)
    }

    fn socket(&self) -> io::Result<&TcpStream> {
        self.socket
            .as_ref()
            .ok_or_else(|| io::ErrorKind::NotConnected.into())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if self.socket.is_some() {
            // As above.
            let _ = self.home.send(Away::Closed);
        }
    }
}
