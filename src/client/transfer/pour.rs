//! From the server to a pipe.

use std::io::{self, Read as _, Write};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::super::session::Session;
use super::{PIECE, TransferError, Wanted};

/// Writes a file to where its reader reads. What was written is taken back by nobody: a file that
/// breaks off, or is not the one that was sent, is an error at the end.
pub fn pour(session: &Session, wanted: &Wanted, to: &mut dyn Write) -> Result<(), TransferError> {
    let unwritten = |error| TransferError::file(Path::new("-"), error);
    let content = session.api.file(&wanted.id, None)?;
    let mut body = content.body;
    let (mut size, mut sum) = (0, Sha256::new());
    let mut piece = vec![0; PIECE];
    loop {
        let length = match body.read(&mut piece) {
            Ok(0) => break,
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(TransferError::Broken(error)),
        };
        to.write_all(&piece[..length]).map_err(unwritten)?;
        sum.update(&piece[..length]);
        size += length as u64;
    }
    to.flush().map_err(unwritten)?;
    let whole = wanted.size.or(content.whole);
    let wanted = Wanted {
        size: whole,
        ..wanted.clone()
    };
    wanted.check(size, sum)
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::{Reply, serve, session};
    use super::*;
    use serde_json::json;

    #[test]
    fn a_file_is_written_whole_and_one_that_is_another_is_told() {
        let session = session(&serve(|asked| match asked.path.as_str() {
            "/files/f" => Reply::Raw(200, Vec::new(), b"meow\xff".to_vec()),
            "/files/g" => Reply::Json(404, json!({"detail": "there is no such file"})),
            _ => Reply::Json(200, json!({"server": {}, "user": {"name": "ann"}})),
        }));
        let pour = |id: &str, size| {
            let wanted = Wanted {
                id: id.to_owned(),
                size,
                ..Wanted::default()
            };
            let mut out = Vec::new();
            let done = pour(&session, &wanted, &mut out);
            (done.map_err(|error| error.to_string()), out)
        };
        assert_eq!(pour("f", Some(5)), (Ok(()), b"meow\xff".to_vec()));
        let (done, _) = pour("f", Some(4));
        assert_eq!(
            done.unwrap_err(),
            "the file that came has 5 bytes instead of 4"
        );
        let (done, out) = pour("g", None);
        assert_eq!(done.unwrap_err(), "there is no such file");
        assert!(out.is_empty());
    }
}
