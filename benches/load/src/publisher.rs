//! A connection that publishes: one request at a time, each with its answer.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::Problem;
use crate::protocol::{self, Kind, To};

/// How long a request may take before the run is called failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// One that publishes texts.
pub struct Publisher {
    kind: Kind,
    stream: TcpStream,
    /// What has arrived and is not part of an answer yet.
    buffer: Vec<u8>,
    /// Its token, where the server has users; else its name.
    token: String,
}

impl Publisher {
    /// Connects, and becomes the user where the server has users.
    ///
    /// # Errors
    /// Where the server is not there, or refuses.
    pub async fn open(kind: Kind, addr: SocketAddr, user: &str) -> Result<Self, Problem> {
        let mut publisher = Self::bare(kind, addr).await?;
        if kind == Kind::Veche {
            publisher.token = publisher.make_user(user).await?;
        } else {
            user.clone_into(&mut publisher.token);
        }
        let greeting = kind.greeting(user);
        if !greeting.is_empty() {
            publisher.ask(&greeting).await?;
        }
        Ok(publisher)
    }

    /// Connects, and says nothing yet.
    ///
    /// # Errors
    /// Where the server is not there.
    pub async fn bare(kind: Kind, addr: SocketAddr) -> Result<Self, Problem> {
        let stream = TcpStream::connect(addr).await?;
        stream.set_nodelay(true)?;
        let (buffer, token) = (Vec::with_capacity(8192), String::new());
        Ok(Self {
            kind,
            stream,
            buffer,
            token,
        })
    }

    /// Makes a user of veche, and gives the token.
    ///
    /// # Errors
    /// Where the server refuses.
    pub async fn make_user(&mut self, user: &str) -> Result<String, Problem> {
        let answer = self.ask(&protocol::connect(user)).await?;
        protocol::token(&answer).ok_or_else(|| "there is no token in the answer".into())
    }

    /// Publishes a text; returns once the server has answered.
    ///
    /// # Errors
    /// Where the server refuses, or ends the connection.
    pub async fn publish(&mut self, to: To, text: &str) -> Result<(), Problem> {
        let request = self.kind.publish(to, &self.token, text);
        self.ask(&request).await.map(drop)
    }

    /// Sends a request, and waits for its answer.
    ///
    /// # Errors
    /// Where the answer is a refusal, or does not come.
    pub async fn ask(&mut self, request: &str) -> Result<Vec<u8>, Problem> {
        let late = |_| format!("no answer within {PATIENCE:?}");
        timeout(PATIENCE, self.exchange(request))
            .await
            .map_err(late)?
    }

    /// Sends so many requests at once, and waits for all their answers, which are dropped.
    ///
    /// # Errors
    /// Where one is a refusal, or does not come.
    pub async fn ask_all(&mut self, requests: &str, count: u64) -> Result<(), Problem> {
        let late = |_| format!("no answer within {PATIENCE:?}");
        let all = async {
            self.exchange(requests).await?;
            for _ in 1..count {
                self.next_answer().await?;
            }
            Ok(())
        };
        timeout(PATIENCE, all).await.map_err(late)?
    }

    async fn exchange(&mut self, request: &str) -> Result<Vec<u8>, Problem> {
        self.stream.write_all(request.as_bytes()).await?;
        self.next_answer().await
    }

    async fn next_answer(&mut self) -> Result<Vec<u8>, Problem> {
        loop {
            if let Some(length) = self.kind.answer(&self.buffer)? {
                return Ok(self.buffer.drain(..length).collect());
            }
            if self.stream.read_buf(&mut self.buffer).await? == 0 {
                return Err("the server closed a publisher's connection".into());
            }
        }
    }
}
