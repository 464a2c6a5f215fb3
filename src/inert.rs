//! Which characters could steer a terminal or change the order of what stands around them. What a
//! peer wrote is shown without them, in log lines as on the console.

/// C0, DEL, C1, and the marks, embeddings, overrides and isolates of the bidirectional algorithm,
/// with the two separators that are line breaks.
pub(crate) fn steers(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}
