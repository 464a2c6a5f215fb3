use futures_util::StreamExt;

use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap()
}

fn upload(kind: Option<&str>, body: &[u8]) -> Upload {
    let mut headers = HeaderMap::new();
    if let Some(kind) = kind {
        headers.insert(CONTENT_TYPE, kind.parse().unwrap());
    }
    Upload::new(&headers, Body::from_bytes(body.to_vec())).unwrap()
}

async fn read(mut reader: UploadReader) -> Result<Vec<u8>, Problem> {
    let mut whole = Vec::new();
    while let Some(piece) = reader.chunk().await? {
        whole.extend_from_slice(&piece);
    }
    Ok(whole)
}

/// A file's name, type and bytes.
type Found = (Option<String>, Option<String>, Vec<u8>);

/// What an upload of at most `max` bytes comes to.
fn come_to(kind: Option<&str>, body: &[u8], max: u64) -> Result<Found, (u16, String)> {
    let done = runtime().block_on(async {
        let reader = upload(kind, body).open(max).await?;
        let (name, kind) = (
            reader.name().map(str::to_owned),
            reader.kind().map(str::to_owned),
        );
        Ok((name, kind, read(reader).await?))
    });
    done.map_err(|problem: Problem| (problem.status.as_u16(), problem.code.to_string()))
}

fn form(bytes: &[u8]) -> Vec<u8> {
    let head = b"--xyz\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a.png\"\r\n\
        content-type: image/png\r\n\r\n";
    [&head[..], bytes, b"\r\n--xyz--\r\n"].concat()
}

const FORM: Option<&str> = Some("multipart/form-data; boundary=xyz");

#[test]
fn a_bare_body_is_the_file() {
    let whole = come_to(Some("image/png"), b"12345", 5);
    assert_eq!(
        whole,
        Ok((None, Some("image/png".into()), b"12345".to_vec()))
    );
    assert_eq!(come_to(None, b"", 5), Ok((None, None, Vec::new())));
    assert_eq!(
        come_to(None, b"123456", 5),
        Err((413, "too_large".to_owned()))
    );
}

#[test]
fn a_form_has_the_file_in_it_whatever_its_bytes_are() {
    for bytes in [&b"12345"[..], b"", b"\r\n--xy", b"--xyz", b"\r\n\r\n--xy\r"] {
        let named = (Some("a.png".into()), Some("image/png".into()));
        let (name, kind, found) = come_to(FORM, &form(bytes), 100).unwrap();
        assert_eq!(((name, kind), &found[..]), (named, bytes));
    }
    assert_eq!(
        come_to(FORM, &form(&[0; 101]), 100),
        Err((413, "too_large".to_owned()))
    );
}

#[test]
fn a_form_that_is_cut_off_anywhere_is_refused() {
    let whole = form(b"12345");
    // The last line break is not the form's.
    for end in 0..whole.len() - 4 {
        let cut = come_to(FORM, &whole[..end], 100);
        assert_eq!(cut, Err((400, "malformed".to_owned())), "cut at {end}");
    }
}

#[test]
fn pieces_are_given_to_the_forms_reader_one_at_a_time() {
    let pieces = [&b"a"[..], b"b", b"c"].map(|piece| Ok(Bytes::from_static(piece)));
    let budget = Arc::new(Budget::default());
    budget.allow(2);
    let mut paced = Paced {
        bytes: Box::pin(futures_util::stream::iter(pieces)),
        budget: Arc::clone(&budget),
        rests: false,
    };
    let waker = std::task::Waker::noop();
    let mut cx = Context::from_waker(waker);
    let mut polled = Vec::new();
    for _ in 0..3 {
        polled.push(paced.poll_next_unpin(&mut cx).is_ready());
    }
    assert_eq!(polled, [true, false, true], "the whole body was taken in");
    assert!(paced.poll_next_unpin(&mut cx).is_pending());
    let Poll::Ready(Some(Err(problem))) = paced.poll_next_unpin(&mut cx) else {
        panic!("the bound does not hold");
    };
    assert_eq!(problem.code, "too_large");
}

#[test]
fn a_name_is_read_as_clients_write_it() {
    let name = |parameters: &str| {
        let body = format!(
            "--xyz\r\ncontent-disposition: form-data; name=\"file\"; {parameters}\r\n\r\na\r\n--xyz--"
        );
        come_to(FORM, body.as_bytes(), 10).unwrap().0
    };
    for (parameters, expected) in [
        ("filename=\"a b.txt\"", Some("a b.txt")),
        ("filename=plain.txt", Some("plain.txt")),
        ("filename=\"a%22b.txt\"", Some("a\"b.txt")),
        ("filename=\"\u{444}.txt\"", Some("\u{444}.txt")),
        ("filename*=utf-8''na%C3%AFve.txt", Some("na\u{ef}ve.txt")),
        ("filename=\"x\"; filename*=UTF-8'en'y%20z", Some("y z")),
        ("filename=\"x\"; filename*=latin1''%E9", Some("x")),
        ("filename=\"x\"; filename*=UTF-8''%E9", Some("x")),
        ("other=1", None),
    ] {
        assert_eq!(name(parameters).as_deref(), expected, "{parameters}");
    }
}
