//! What is said to each kind of server: the same load, in the protocol that it speaks.

use clap::ValueEnum;

use crate::Problem;

/// The servers that the load can be put on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// veche: users, tokens, durable posts, server-sent events.
    Veche,
    /// A server of the peers' folder: `GET /events`, `POST /send` with the text as it is.
    Sse,
    /// nginx with nchan: `GET /sub/NAME`, `POST /pub/NAME`.
    Nchan,
    /// Redis: `SUBSCRIBE` and `PUBLISH`.
    Redis,
    /// Redis's streams: `XADD`, which its append-only file makes durable.
    RedisXadd,
    /// NATS: `SUB` and `PUB`.
    Nats,
    /// NATS's streams, which keep what is published.
    Jetstream,
}

/// Where a text goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum To {
    /// To every stream.
    Everybody,
    /// To where no stream listens: another chat or channel, of this number.
    Aside(usize),
}

/// How the answer to a request says where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Http,
    Resp,
    Nats,
}

impl Kind {
    fn framing(self) -> Framing {
        match self {
            Self::Veche | Self::Sse | Self::Nchan => Framing::Http,
            Self::Redis | Self::RedisXadd => Framing::Resp,
            Self::Nats | Self::Jetstream => Framing::Nats,
        }
    }

    /// What a publisher says first; there is no answer to wait for where it is empty.
    /// `name` is the publisher's own, by which JetStream answers it and no other.
    pub fn greeting(self, name: &str) -> String {
        match self {
            Self::Nats => "CONNECT {\"verbose\":true}\r\n".to_owned(),
            // Without an answer to each line, for the stream's own comes.
            Self::Jetstream => {
                format!("CONNECT {{\"verbose\":false}}\r\nSUB {name} 1\r\nPING\r\n")
            }
            _ => String::new(),
        }
    }

    /// What makes the place that keeps the texts, where the server needs to be told.
    pub fn setup(self, name: &str) -> Option<String> {
        let stream = r#"{"name":"posts","subjects":["all","aside.*"],"storage":"file"}"#;
        (self == Self::Jetstream).then(|| {
            format!(
                "PUB $JS.API.STREAM.CREATE.posts {name} {}\r\n{stream}\r\n",
                stream.len()
            )
        })
    }

    /// The request that publishes a text; `token` is the publisher's.
    pub fn publish(self, to: To, token: &str, text: &str) -> String {
        let length = text.len();
        match (self, to) {
            (Self::Veche, to) => {
                let to = match to {
                    To::Everybody => "common".to_owned(),
                    To::Aside(number) => format!("@publisher16-{number}"),
                };
                let body = format!("{{\"to\":\"{to}\",\"text\":\"{text}\"}}");
                post("/send", token, &body)
            }
            (Self::Sse, To::Everybody) => plain("/send", text),
            (Self::Sse, To::Aside(_)) => plain("/aside", text),
            (Self::Nchan, To::Everybody) => plain("/pub/all", text),
            (Self::Nchan, To::Aside(number)) => plain(&format!("/pub/aside{number}"), text),
            (Self::Redis, to) => {
                let to = name(to);
                format!(
                    "*3\r\n$7\r\nPUBLISH\r\n${}\r\n{to}\r\n${length}\r\n{text}\r\n",
                    to.len()
                )
            }
            (Self::RedisXadd, to) => {
                let to = name(to);
                format!(
                    "*5\r\n$4\r\nXADD\r\n${}\r\n{to}\r\n$1\r\n*\r\n$4\r\ntext\r\n${length}\r\n{text}\r\n",
                    to.len()
                )
            }
            (Self::Nats, to) => format!("PUB {} {length}\r\n{text}\r\n", name(to)),
            (Self::Jetstream, to) => format!("PUB {} {token} {length}\r\n{text}\r\n", name(to)),
        }
    }

    /// The request that opens a stream, and what has arrived once it is open.
    ///
    /// # Errors
    /// Where this kind has no streams.
    pub fn subscribe(self, token: &str) -> Result<(String, &'static str), Problem> {
        Ok(match self {
            Self::Veche => {
                let more = format!("Authorization: Bearer {token}\r\n");
                (stream("/events", &more), "event: hello\n")
            }
            Self::Sse => (stream("/events", ""), "\r\n\r\n"),
            Self::Nchan => (stream("/sub/all", ""), "\r\n\r\n"),
            Self::Redis => (
                "*2\r\n$9\r\nSUBSCRIBE\r\n$3\r\nall\r\n".to_owned(),
                ":1\r\n",
            ),
            Self::Nats => {
                let lines = "CONNECT {\"verbose\":false}\r\nSUB all 1\r\nPING\r\n";
                (lines.to_owned(), "PONG\r\n")
            }
            Self::RedisXadd | Self::Jetstream => {
                return Err("this kind of server is for posts alone".into());
            }
        })
    }

    /// How long the answer at the front of these bytes is; none where it is not whole yet.
    ///
    /// # Errors
    /// Where the answer is a refusal, or none that can be read.
    pub fn answer(self, bytes: &[u8]) -> Result<Option<usize>, Problem> {
        match self.framing() {
            Framing::Http => http(bytes),
            Framing::Resp => resp(bytes),
            Framing::Nats => nats(bytes),
        }
    }
}

fn name(to: To) -> String {
    match to {
        To::Everybody => "all".to_owned(),
        To::Aside(number) => format!("aside.{number}"),
    }
}

fn plain(path: &str, text: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: load\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n\r\n{text}",
        text.len()
    )
}

fn stream(path: &str, more: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: load\r\nAccept: text/event-stream\r\n{more}\r\n")
}

/// The request that makes a user of veche.
pub fn connect(user: &str) -> String {
    let body = format!("{{\"name\":\"{user}\"}}");
    format!(
        "POST /connect HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A request of veche with a JSON body, by the user whose token it is.
pub fn post(path: &str, token: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: load\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A request of veche without a body, by the user whose token it is.
pub fn get(path: &str, token: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: load\r\nAuthorization: Bearer {token}\r\n\r\n")
}

/// The body of an HTTP answer.
///
/// # Errors
/// Where its head does not end.
pub fn body(answer: &[u8]) -> Result<&[u8], Problem> {
    let end = memchr::memmem::find(answer, b"\r\n\r\n").ok_or("an answer has no body")?;
    Ok(&answer[end + 4..])
}

/// What follows `front` in an answer, up to the next quotation mark.
pub fn word(answer: &[u8], front: &str) -> Option<String> {
    let answer = std::str::from_utf8(answer).ok()?;
    let (_, rest) = answer.split_once(front)?;
    Some(rest.split_once('"')?.0.to_owned())
}

/// The token in the answer to [`connect`].
pub fn token(answer: &[u8]) -> Option<String> {
    word(answer, "\"token\":\"")
}

fn refused(bytes: &[u8]) -> Problem {
    let shown = &bytes[..bytes.len().min(600)];
    format!("the server answered {}", String::from_utf8_lossy(shown)).into()
}

fn http(bytes: &[u8]) -> Result<Option<usize>, Problem> {
    let mut fields = [httparse::EMPTY_HEADER; 64];
    let mut head = httparse::Response::new(&mut fields);
    let httparse::Status::Complete(length) = head.parse(bytes)? else {
        return Ok(None);
    };
    let code = head.code.unwrap_or(0);
    if !(200..300).contains(&code) {
        return Err(refused(bytes));
    }
    let field = head
        .headers
        .iter()
        .find(|field| field.name.eq_ignore_ascii_case("content-length"));
    let body: usize = match field {
        Some(field) => std::str::from_utf8(field.value)?.trim().parse()?,
        None if code == 204 => 0,
        None => return Err(refused(bytes)),
    };
    Ok((bytes.len() >= length + body).then_some(length + body))
}

/// The length of a line, its end included.
fn line(bytes: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', bytes).map(|place| place + 1)
}

fn resp(bytes: &[u8]) -> Result<Option<usize>, Problem> {
    let Some(length) = line(bytes) else {
        return Ok(None);
    };
    match bytes[0] {
        b':' | b'+' => Ok(Some(length)),
        b'$' => {
            let count: usize = std::str::from_utf8(&bytes[1..length])?.trim().parse()?;
            let whole = length + count + 2;
            Ok((bytes.len() >= whole).then_some(whole))
        }
        _ => Err(refused(bytes)),
    }
}

fn nats(bytes: &[u8]) -> Result<Option<usize>, Problem> {
    let mut place = 0;
    while let Some(length) = line(&bytes[place..]) {
        let rest = &bytes[place..];
        place += length;
        match &rest[..length] {
            // The answer to a PING, and the one to a line where the publisher asked for it.
            b"+OK\r\n" | b"PONG\r\n" => return Ok(Some(place)),
            line if line.starts_with(b"MSG ") => {
                let words = std::str::from_utf8(line)?.split_ascii_whitespace();
                let count: usize = words.last().unwrap_or_default().parse()?;
                let Some(payload) = rest.get(length..length + count + 2) else {
                    return Ok(None);
                };
                if memchr::memmem::find(payload, b"\"error\"").is_some() {
                    return Err(refused(payload));
                }
                return Ok(Some(place + count + 2));
            }
            line if line.starts_with(b"-ERR") => return Err(refused(line)),
            // INFO, and PING, which may wait for its answer for longer than a load runs.
            _ => {}
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cut anywhere, an answer is not whole; then it is, with or without what follows it.
    fn whole(kind: Kind, answer: &str) {
        for cut in 0..answer.len() {
            let front = &answer.as_bytes()[..cut];
            assert_eq!(kind.answer(front).unwrap(), None, "{answer:?} cut at {cut}");
        }
        let more = format!("{answer}more");
        for bytes in [answer, &more] {
            assert_eq!(kind.answer(bytes.as_bytes()).unwrap(), Some(answer.len()));
        }
    }

    #[test]
    fn an_answer_ends_where_its_protocol_says() {
        whole(
            Kind::Sse,
            "HTTP/1.1 201 Created\r\ncontent-length: 5\r\n\r\nhello",
        );
        whole(Kind::Veche, "HTTP/1.1 204 No Content\r\n\r\n");
        whole(Kind::Redis, ":1000\r\n");
        whole(Kind::RedisXadd, "$15\r\n1700000000000-0\r\n");
        whole(Kind::Nats, "INFO {\"server_id\":\"a\"}\r\nPING\r\n+OK\r\n");
        whole(
            Kind::Jetstream,
            "PING\r\nMSG answer 1 13\r\n{\"stream\":\"\"}\r\n",
        );
    }

    #[test]
    fn a_refusal_is_an_error_and_says_what_came() {
        for (kind, answer) in [
            (
                Kind::Veche,
                "HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n",
            ),
            (
                Kind::Nchan,
                "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n",
            ),
            (Kind::Redis, "-ERR no\r\n"),
            (Kind::Nats, "-ERR 'no'\r\n"),
            (Kind::Jetstream, "MSG answer 1 14\r\n{\"error\":\"no\"}\r\n"),
        ] {
            assert!(kind.answer(answer.as_bytes()).is_err(), "{answer:?}");
        }
    }

    #[test]
    fn a_text_is_sent_with_its_length() {
        let asked = Kind::Redis.publish(To::Everybody, "", "hello");
        assert_eq!(asked, "*3\r\n$7\r\nPUBLISH\r\n$3\r\nall\r\n$5\r\nhello\r\n");
        let asked = Kind::Veche.publish(To::Aside(3), "abc", "hello");
        assert!(asked.ends_with(
            "\r\nContent-Length: 38\r\n\r\n{\"to\":\"@publisher16-3\",\"text\":\"hello\"}"
        ));
        assert!(asked.contains("\r\nAuthorization: Bearer abc\r\n"));
        assert!(Kind::Jetstream.subscribe("").is_err());
        assert_eq!(token(b"{\"token\":\"12\",\"a\":1}"), Some("12".to_owned()));
        assert_eq!(
            word(b"{\"room\":\"room:7\"}", "\"room\":\"room:"),
            Some("7".to_owned())
        );
        assert_eq!(word(b"{}", "\"room\":\"room:"), None);
        let asked = get("/messages?chat=common", "abc");
        assert!(asked.ends_with("\r\nAuthorization: Bearer abc\r\n\r\n"));
        assert!(post("/join", "abc", "{}").ends_with("\r\nContent-Length: 2\r\n\r\n{}"));
        assert_eq!(body(b"HTTP/1.1 200 OK\r\n\r\nwhole").unwrap(), b"whole");
    }
}
