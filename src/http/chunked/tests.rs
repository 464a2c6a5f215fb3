use super::*;

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Whole { data: String, rest: String },
    Unfinished,
    Refused(u16),
}

fn feed(pieces: &[&[u8]], limits: &Limits) -> Outcome {
    let mut decoder = Decoder::new(limits);
    let mut buf = BytesMut::new();
    let mut data = Vec::new();
    for piece in pieces {
        buf.extend_from_slice(piece);
        loop {
            match decoder.decode(&mut buf) {
                Ok(Decoded::Data(piece)) => data.extend_from_slice(&piece),
                Ok(Decoded::More) => break,
                Ok(Decoded::End) => {
                    assert!(decoder.is_done());
                    break;
                }
                Err(problem) => return Outcome::Refused(problem.status.as_u16()),
            }
        }
    }
    if !decoder.is_done() {
        return Outcome::Unfinished;
    }
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    Outcome::Whole {
        data: text(&data),
        rest: text(&buf),
    }
}

/// Feeds the input whole, split at every position, and byte by byte.
fn decode(input: &str, limits: &Limits) -> Outcome {
    let input = input.as_bytes();
    let whole = feed(&[input], limits);
    for at in 0..=input.len() {
        assert_eq!(
            feed(&[&input[..at], &input[at..]], limits),
            whole,
            "split at {at}"
        );
    }
    assert_eq!(
        feed(&input.chunks(1).collect::<Vec<_>>(), limits),
        whole,
        "byte by byte"
    );
    whole
}

fn whole(data: &str, rest: &str) -> Outcome {
    Outcome::Whole {
        data: data.into(),
        rest: rest.into(),
    }
}

#[test]
fn chunks_are_read_however_they_are_split() {
    for (input, data) in [
        ("0\r\n\r\nGET", ""),
        ("5\r\nhello\r\n0\r\n\r\nGET", "hello"),
        (
            "5\r\nhello\r\n00006\r\n world\r\n000\r\n\r\nGET",
            "hello world",
        ),
        (
            "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\nGET",
            "01234567890123456789",
        ),
        ("4\r\n\r\n\r\n\r\n0\r\n\r\nGET", "\r\n\r\n"),
        ("1;a\r\nx\r\n0;b=c;d=\"e;\\\"\";f\r\n\r\nGET", "x"),
        ("1 ; a = b\r\nx\r\n0\r\n\r\nGET", "x"),
        ("1\r\nx\r\n0\r\nExpires: never\r\nX:\r\n\r\nGET", "x"),
        (
            "000000000000000f\r\n0123456789abcde\r\n0\r\n\r\nGET",
            "0123456789abcde",
        ),
    ] {
        assert_eq!(
            decode(input, &Limits::default()),
            whole(data, "GET"),
            "{input:?}"
        );
    }
    assert_eq!(decode("5\r\nhel", &Limits::default()), Outcome::Unfinished);
    assert_eq!(
        decode("5\r\nhello\r\n0\r\n", &Limits::default()),
        Outcome::Unfinished
    );
    assert_eq!(
        decode("ffffffffffffffff\r\nx", &Limits::default()),
        Outcome::Unfinished
    );
}

#[test]
fn a_chunk_that_could_be_read_in_two_ways_is_refused() {
    for (input, clause) in [
        ("\r\n", "7.1: chunk-size = 1*HEXDIG"),
        ("0x5\r\nhello\r\n", "7.1: chunk-size = 1*HEXDIG"),
        ("+5\r\nhello\r\n", "7.1: chunk-size = 1*HEXDIG"),
        ("-1\r\n", "7.1: chunk-size = 1*HEXDIG"),
        (" 5\r\nhello\r\n", "7.1: chunk-size = 1*HEXDIG"),
        ("5 \r\nhello\r\n", "7.1: chunk-size [ chunk-ext ] CRLF"),
        ("5_0\r\n", "7.1: chunk-size = 1*HEXDIG"),
        ("g\r\n", "7.1: chunk-size = 1*HEXDIG"),
        (
            "10000000000000000\r\n",
            "7.1: MUST anticipate potentially large hexadecimal numerals",
        ),
        ("00000000000000005\r\n", "7.1: as above"),
        ("5\nhello\r\n", "7.1: CRLF"),
        ("5\rhello\r\n", "7.1: CRLF"),
        ("5\r\nhello\n0\r\n\r\n", "7.1: chunk-data CRLF"),
        ("5\r\nhelloX", "7.1: chunk-data CRLF"),
        ("5\r\nhello\rX", "7.1: chunk-data CRLF"),
        ("5\r\nhello0\r\n\r\n", "7.1: chunk-data CRLF"),
        ("5;\r\nhello\r\n", "7.1.1: chunk-ext-name = token"),
        (
            "5;a=\r\nhello\r\n",
            "7.1.1: chunk-ext-val = token / quoted-string",
        ),
        (
            "5;a=\"\r\nhello\r\n",
            "7.1.1: chunk-ext-val = token / quoted-string",
        ),
        (
            "5;a=\"\u{1}\"\r\n",
            "7.1.1: chunk-ext-val = token / quoted-string",
        ),
        ("5;a b\r\nhello\r\n", "7.1.1: chunk-ext"),
        ("5;a\nb\r\nhello\r\n", "7.1: CRLF"),
        ("5;a\u{0}\r\nhello\r\n", "RFC 9110, 5.5: NUL"),
        ("0\r\nX : y\r\n\r\n", "5.1: no whitespace before the colon"),
        ("0\r\n X: y\r\n\r\n", "5.2: obs-fold"),
        ("0\r\nX: y\r\n z\r\n\r\n", "5.2: obs-fold"),
        ("0\r\nX\r\n\r\n", "5: field-line"),
        ("0\r\n: x\r\n\r\n", "5: field-line"),
        ("0\r\nX: a\nY: b\r\n\r\n", "2.2: bare LF"),
        ("0\r\nX: a\rb\r\n\r\n", "2.2: bare CR"),
        ("0\r\nX: a\u{7f}\r\n\r\n", "RFC 9110, 5.5: CTL"),
        ("0\r\n\n", "7.1: CRLF"),
    ] {
        let outcome = decode(input, &Limits::default());
        assert_eq!(
            outcome,
            Outcome::Refused(400),
            "{input:?}: RFC 9112, {clause}"
        );
    }
}

#[test]
fn extensions_and_trailers_are_bounded_in_total() {
    // RFC 9112, 7.1.1: "A server ought to limit the total length of chunk extensions received in a
    // request to an amount reasonable for the services provided".
    let limits = Limits {
        head: 18,
        fields: 2,
        ..Limits::default()
    };
    let refused = Outcome::Refused(431);
    assert_eq!(
        decode("1;a=567890123456789\r\nx\r\n0\r\n\r\n", &limits),
        whole("x", "")
    );
    assert_eq!(
        decode("1;a=567890\r\nx\r\n1;a=567890\r\ny\r\n0\r\n\r\n", &limits),
        whole("xy", "")
    );
    assert_eq!(
        decode("1;a=567890\r\nx\r\n1;a=5678901\r\ny\r\n0\r\n\r\n", &limits),
        refused
    );
    assert_eq!(
        decode("0;a=567890\r\nXY:567890\r\n\r\n", &limits),
        whole("", "")
    );
    assert_eq!(decode("0;a=567890\r\nXY:5678901\r\n\r\n", &limits), refused);
    assert_eq!(decode("0\r\na: b\r\na: b\r\n\r\n", &limits), whole("", ""));
    assert_eq!(
        decode("0\r\na: b\r\na: b\r\na: b\r\n\r\n", &limits),
        refused
    );
    // However long it goes on without a line's end.
    assert_eq!(
        feed(&[format!("1;{}", "a".repeat(60)).as_bytes()], &limits),
        refused
    );
    assert_eq!(
        feed(&[format!("0\r\n{}", "a".repeat(60)).as_bytes()], &limits),
        refused
    );
    assert_eq!(feed(&["1".repeat(60).as_bytes()], &limits), refused);
}
