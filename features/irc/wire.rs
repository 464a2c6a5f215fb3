//! A client's connection: lines in at a pace, lines out with an end to its patience.

use std::io::{Error, ErrorKind};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf};
use tokio::time::{Instant, sleep_until, timeout};
use veche::prelude::*;

use super::caps::Caps;
use super::line::{LINE, Line, Out, TAGS, Wrong};

/// So many lines a client may send at once; then one each [`PACE`]. More are not read until then.
const BURST: u32 = 50;
const PACE: Duration = Duration::from_millis(200);

/// Of a long answer so many bytes wait before some are written.
const MUCH: usize = 64 * 1024;

/// Room for one reading.
const ROOM: usize = 4096;

/// Both sides of a connection.
pub struct Wire {
    reader: ReadHalf<GuestStream>,
    writer: WriteHalf<GuestStream>,
    /// What has come and is no whole line yet.
    came: Vec<u8>,
    /// Whether the line that comes is passed over: its beginning was too long.
    is_over: bool,
    /// What waits to be written.
    out: Vec<u8>,
    /// How much of it is written.
    written: usize,
    /// When a client that sends at the pace alone would be done with what it has sent.
    paid: Instant,
    /// When a line came last.
    pub heard: Instant,
    /// How long the client may take for what it is sent.
    patience: Duration,
}

impl Wire {
    pub fn new(stream: GuestStream, patience: Duration) -> Self {
        let (reader, writer) = tokio::io::split(stream);
        let now = Instant::now();
        Self {
            reader,
            writer,
            came: Vec::new(),
            is_over: false,
            out: Vec::new(),
            written: 0,
            paid: now,
            heard: now,
            patience,
        }
    }

    /// The next line that has something in it; none when the client has closed. Dropping the future loses
    /// nothing.
    ///
    /// # Errors
    /// A line that can't be read; the next one may be.
    pub async fn next(&mut self) -> Result<Option<Line>, Wrong> {
        let credit = PACE * BURST;
        sleep_until(self.paid.checked_sub(credit).unwrap_or(self.paid)).await;
        loop {
            while let Some(end) = self.came.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.came.drain(..=end).collect();
                if std::mem::take(&mut self.is_over) {
                    continue;
                }
                self.heard = Instant::now();
                self.paid = self.paid.max(self.heard) + PACE;
                let line = line.strip_suffix(b"\n").unwrap_or(&line);
                let line = line.strip_suffix(b"\r").unwrap_or(line);
                if let Some(line) = Line::parse(line)? {
                    return Ok(Some(line));
                }
            }
            if self.came.len() >= LINE + TAGS {
                self.came.clear();
                if !std::mem::replace(&mut self.is_over, true) {
                    return Err(Wrong::Long);
                }
            }
            self.came.reserve(ROOM);
            match self.reader.read_buf(&mut self.came).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Ok(None),
            }
        }
    }

    /// Puts a line behind those that wait to be written.
    pub fn push(&mut self, out: &Out, caps: Caps) {
        out.write(caps, &mut self.out);
    }

    /// Whether so much waits to be written that nothing more should be put behind it.
    pub fn has_much(&self) -> bool {
        self.out.len() > MUCH
    }

    /// Writes what waits.
    ///
    /// # Errors
    /// A client that is gone, or does not take it in time.
    pub async fn flush(&mut self) -> Result<(), Error> {
        if self.out.is_empty() {
            return Ok(());
        }
        let patience = self.patience;
        timeout(patience, self.write()).await?
    }

    /// Dropping the future loses nothing, and writes nothing twice.
    async fn write(&mut self) -> Result<(), Error> {
        while self.written < self.out.len() {
            match self.writer.write(&self.out[self.written..]).await? {
                0 => return Err(ErrorKind::WriteZero.into()),
                count => self.written += count,
            }
        }
        self.writer.flush().await?;
        self.written = 0;
        // The allocation is kept for the next lines, unless it has grown beyond the usual.
        self.out.clear();
        self.out.shrink_to(ROOM);
        Ok(())
    }

    /// Says that nothing more comes.
    pub async fn close(&mut self, patience: Duration) {
        let closing = async {
            self.write().await?;
            self.writer.shutdown().await
        };
        // It ends here in any case.
        let _ = timeout(patience, closing).await;
    }
}
