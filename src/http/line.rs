//! Lines of heads and of the chunked coding: they end with CRLF, and with nothing else.

use super::Problem;
use super::problem::malformed;

/// Looks for the end of the line that `from` is in, and returns the index after its CRLF. `from`
/// then is where to go on, so that no byte is looked at twice however the input is split.
///
/// RFC 9112, section 2.2, lets a recipient take a bare LF as a line's end and a bare CR as a space.
/// Two programs that read the same bytes may differ in it, so both are refused here, as is NUL.
pub(super) fn end(buf: &[u8], from: &mut usize) -> Result<Option<usize>, Problem> {
    while let Some(&byte) = buf.get(*from) {
        match byte {
            b'\r' => match buf.get(*from + 1) {
                Some(b'\n') => {
                    *from += 2;
                    return Ok(Some(*from));
                }
                Some(_) => return Err(malformed("a CR without LF; lines end with CRLF")),
                None => return Ok(None),
            },
            b'\n' => return Err(malformed("an LF without CR; lines end with CRLF")),
            0 => return Err(malformed("a NUL where only text is allowed")),
            _ => *from += 1,
        }
    }
    Ok(None)
}

/// Whether this is a token (RFC 9110, section 5.6.2).
pub(super) fn is_token(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(|byte| is_token_byte(*byte))
}

/// Whether a token may have this byte.
pub(super) fn is_token_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}
