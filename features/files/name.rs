//! Names of files: made harmless when they come in, written by RFC 6266 when they go out.

/// The longest name that is kept, in bytes; most file systems take no longer one.
const LONGEST: usize = 255;

/// The longest ending that a name that is cut keeps.
const ENDING: usize = 16;

/// Names that stand for devices on Windows, whatever their ending.
const DEVICES: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// A name without a path, control characters or characters that turn the direction of writing,
/// at most 255 bytes long. What leaves nothing is `file`.
pub(super) fn clean(given: &str) -> String {
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last
        .chars()
        .filter(|char| !char.is_control() && !is_invisible(*char))
        .collect();
    let plain = plain.trim().trim_end_matches(['.', ' ']);
    let stem = plain.split('.').next().unwrap_or_default().trim_end();
    let device = stem.to_ascii_lowercase();
    let device = device.trim_end_matches(|char: char| char.is_ascii_digit());
    let name = if plain.is_empty() {
        "file".to_owned()
    } else if DEVICES.contains(&device) {
        format!("_{plain}")
    } else {
        plain.to_owned()
    };
    cut(&name)
}

/// Marks of direction, and separators that are no space.
fn is_invisible(char: char) -> bool {
    matches!(
        char,
        '\u{61c}'
            | '\u{200b}'
            | '\u{200e}'
            | '\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
    )
}

fn cut(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let ending = name.rfind('.').map_or("", |dot| &name[dot..]);
    let ending = if ending.len() <= ENDING { ending } else { "" };
    let mut end = LONGEST - ending.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ending}", &name[..end])
}

/// The value of `Content-Disposition` (RFC 6266, section 4) for a clean name: in ASCII for all,
/// and by RFC 8187 where that is not the whole of it.
pub(super) fn disposition(name: &str) -> String {
    let ascii: String = name
        .chars()
        .map(|char| match char {
            // What programs read in different ways, even between quotes.
            '"' | '\\' | '%' => '_',
            ' '..='~' => char,
            _ => '_',
        })
        .collect();
    if ascii == name {
        return format!("attachment; filename=\"{name}\"");
    }
    let encoded: String =
        name.bytes()
            .map(|byte| match byte {
                b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
                b'!' | b'#' | b'$' | b'&' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|'
                | b'~' => char::from(byte).to_string(),
                _ => format!("%{byte:02X}"),
            })
            .collect();
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_no_part_of_a_name() {
        for (given, name) in [
            ("photo.jpg", "photo.jpg"),
            ("/etc/passwd", "passwd"),
            ("../../.ssh/authorized_keys", "authorized_keys"),
            ("C:\\Windows\\system.ini", "system.ini"),
            ("..", "file"),
            ("a/", "file"),
            ("", "file"),
            (" . ", "file"),
            (".bashrc", ".bashrc"),
            ("evil.txt. . ", "evil.txt"),
            ("a\0b\r\nc.txt", "abc.txt"),
            ("gnp\u{202e}exe.scr", "gnpexe.scr"),
            ("NUL.txt", "_NUL.txt"),
            ("com1", "_com1"),
            ("comet.txt", "comet.txt"),
            (
                "\u{444}\u{43e}\u{442}\u{43e} 1.png",
                "\u{444}\u{43e}\u{442}\u{43e} 1.png",
            ),
        ] {
            assert_eq!(clean(given), name, "{given:?}");
        }
    }

    #[test]
    fn a_long_name_keeps_its_ending() {
        let name = clean(&format!("{}.tar", "\u{e9}".repeat(300)));
        assert!(name.len() <= LONGEST && name.len() > LONGEST - 4, "{name}");
        assert!(name.ends_with("\u{e9}.tar"), "{name}");
        let name = clean(&format!("a.{}", "x".repeat(300)));
        assert_eq!(name.len(), LONGEST);
    }

    #[test]
    fn a_name_goes_out_in_ascii_and_by_rfc_8187() {
        assert_eq!(disposition("a b.txt"), "attachment; filename=\"a b.txt\"");
        assert_eq!(
            disposition("na\u{ef}ve \"50%\".txt"),
            "attachment; filename=\"na_ve _50__.txt\"; \
             filename*=UTF-8''na%C3%AFve%20%2250%25%22.txt"
        );
    }
}
