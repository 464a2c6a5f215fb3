use super::*;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
}

#[test]
fn a_length_is_decoded_however_the_input_is_split() {
    let input = b"hello worldGET";
    for at in 0..=input.len() {
        let mut decoder = Decoder::Length(11);
        let mut buf = BytesMut::new();
        let mut data = Vec::new();
        for piece in [&input[..at], &input[at..]] {
            buf.extend_from_slice(piece);
            while let Decoded::Data(piece) = decoder.decode(&mut buf).unwrap() {
                data.extend_from_slice(&piece);
            }
        }
        assert!(decoder.is_done());
        assert_eq!(
            (&data[..], &buf[..]),
            (&b"hello world"[..], &b"GET"[..]),
            "split at {at}"
        );
    }
}

#[test]
fn a_body_in_memory_is_read_like_any_other() {
    runtime().block_on(async {
        assert_eq!(Body::empty().len(), Some(0));
        assert!(Body::empty().is_empty());
        assert_eq!(Body::empty().chunk().await.unwrap(), None);
        assert_eq!(Body::empty().bytes(0).await.unwrap(), "");
        let mut body = Body::from_bytes("hello");
        assert_eq!(body.len(), Some(5));
        assert_eq!(body.bytes(4).await.unwrap_err().code, "too_large");
        assert_eq!(body.bytes(5).await.unwrap(), "hello");
        assert_eq!(body.chunk().await.unwrap(), None);
    });
}
