//! Where a file is put: in the folder that its user chose, whatever its name says, and never over
//! another one.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::user_path;

/// The longest name in bytes: file systems take 255, and a number or an ending may be added.
const LONGEST: usize = 180;
/// How many files of one name may lie in a folder.
const COPIES: u32 = 999;

/// A folder and a name in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    folder: PathBuf,
    name: String,
}

impl Place {
    /// The place for a file that its sender called `name`: in the working folder, in the folder
    /// that the user named, or under the very path that they wrote.
    pub fn new(written: Option<&str>, name: &str) -> io::Result<Place> {
        let Some(written) = written else {
            let (folder, name) = (PathBuf::from("."), safe_name(name));
            return Ok(Place { folder, name });
        };
        let path = user_path(written);
        if path.is_dir() {
            let (folder, name) = (path, safe_name(name));
            return Ok(Place { folder, name });
        }
        if path.exists() && !path.is_file() {
            return Err(io::Error::other("it is no file"));
        }
        let own = path.file_name().and_then(|name| name.to_str());
        let Some(own) = own.filter(|_| !written.ends_with('/')) else {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                "there is no such folder",
            ));
        };
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        let folder = folder.unwrap_or(Path::new("."));
        if !folder.is_dir() {
            let why = format!("there is no folder {}", folder.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, why));
        }
        Ok(Place {
            folder: folder.to_owned(),
            name: own.to_owned(),
        })
    }

    /// Where what has come so far of the file with this id lies. It is beside the place, so that
    /// it can be renamed.
    pub fn part(&self, id: &str) -> PathBuf {
        let id: String = id
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .take(8)
            .collect();
        self.folder.join(format!("{}.{id}.part", self.name))
    }

    /// Gives a whole file its name, or the first free one after it.
    pub fn take(&self, part: &Path) -> io::Result<PathBuf> {
        for copy in 0..=COPIES {
            let name = numbered(&self.name, copy);
            let path = match self.folder == Path::new(".") {
                true => PathBuf::from(name),
                false => self.folder.join(name),
            };
            // To make it first is to have it: a rename alone would replace what is there.
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(error) => return Err(error),
            }
            return match fs::rename(part, &path) {
                Ok(()) => Ok(path),
                Err(error) => {
                    // The first error is the one to tell.
                    let _ = fs::remove_file(&path);
                    Err(error)
                }
            };
        }
        let why = format!("there are {COPIES} files of that name");
        Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
    }
}

/// Opens the part of a file, which is made where it is not there, for this process alone.
pub fn open_part(path: &Path) -> io::Result<File> {
    match fs::symlink_metadata(path) {
        Ok(there) if !there.is_file() => return Err(io::Error::other("it is no file")),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.try_lock().map_err(|error| match error {
        fs::TryLockError::WouldBlock => io::Error::other("another download writes to it"),
        fs::TryLockError::Error(error) => error,
    })?;
    Ok(file)
}

/// A name with a number before its ending, but for the first.
fn numbered(name: &str, copy: u32) -> String {
    match (copy, name.rsplit_once('.')) {
        (0, _) => name.to_owned(),
        (copy, Some((stem, ending))) if !stem.is_empty() => format!("{stem} ({copy}).{ending}"),
        (copy, _) => format!("{name} ({copy})"),
    }
}

/// What of a name of somebody else's can be the name of a file here: no path, nothing hidden,
/// nothing that a shell or a file system takes for something else.
fn safe_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let harmless = |c: char| {
        let steers = super::super::text::steers(c);
        !steers && !matches!(c, '<' | '>' | ':' | '"' | '|' | '?' | '*')
    };
    let replaced: String = last
        .chars()
        .map(|c| if harmless(c) { c } else { '_' })
        .collect();
    let mut name = replaced
        .trim_end_matches([' ', '.'])
        .trim_start()
        .to_owned();
    if name.starts_with(['.', '-', '~']) {
        name.replace_range(..1, "_");
    }
    if name.is_empty() {
        return "file".to_owned();
    }
    shortened(&name)
}

/// The name with its middle left out where it is too long, so that its ending stays.
fn shortened(name: &str) -> String {
    if name.len() <= LONGEST {
        return name.to_owned();
    }
    let ending = name.rfind('.').map(|at| &name[at..]);
    let ending = ending
        .filter(|ending| ending.len() <= 20)
        .unwrap_or_default();
    let mut end = LONGEST - ending.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{ending}", &name[..end])
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::folder;
    use super::*;

    #[test]
    fn a_name_is_no_path_and_hides_nothing() {
        for (name, expected) in [
            ("cat.png", "cat.png"),
            ("../../etc/passwd", "passwd"),
            ("..\\..\\boot.ini", "boot.ini"),
            ("/etc/cron.d/x", "x"),
            (".bashrc", "_bashrc"),
            ("..", "file"),
            ("", "file"),
            ("a/", "file"),
            ("-rf", "_rf"),
            ("~", "_"),
            ("a\u{0}b\nc\u{202e}gnp.exe", "a_b_c_gnp.exe"),
            ("C:x?.txt", "C_x_.txt"),
            ("name. . ", "name"),
            ("фото кота.jpg", "фото кота.jpg"),
        ] {
            assert_eq!(safe_name(name), expected, "{name:?}");
        }
        let long = format!("{}.png", "ж".repeat(300));
        let short = safe_name(&long);
        assert!(
            short.len() <= LONGEST && short.ends_with("ж.png"),
            "{short}"
        );
        assert!(safe_name(&"x".repeat(999)).len() <= LONGEST);
        assert!(safe_name(&format!("a.{}", "x".repeat(999))).len() <= LONGEST);
    }

    #[test]
    fn a_copy_has_its_number_before_the_ending() {
        assert_eq!(numbered("cat.png", 0), "cat.png");
        assert_eq!(numbered("cat.png", 2), "cat (2).png");
        assert_eq!(numbered("README", 1), "README (1)");
        assert_eq!(numbered(".rc", 1), ".rc (1)");
    }

    #[test]
    fn a_file_is_put_where_the_user_says_and_over_no_other() {
        let folder = folder();
        let at = |name: &str| folder.path().join(name);
        let text = |path: &Path| fs::read_to_string(path).unwrap();
        let inside = folder.path().to_str().unwrap().to_owned();
        let place = Place::new(Some(&inside), "../x.txt").unwrap();
        for (content, name) in [
            ("one", "x.txt"),
            ("two", "x (1).txt"),
            ("three", "x (2).txt"),
        ] {
            let part = place.part("4062c519-386f");
            assert_eq!(part, at("x.txt.4062c519.part"));
            fs::write(&part, content).unwrap();
            assert_eq!(place.take(&part).unwrap(), at(name));
            assert_eq!(text(&at(name)), content);
            assert!(!part.exists());
        }
        let named = Place::new(Some(&format!("{inside}/mine.txt")), "x.txt").unwrap();
        assert_eq!(named.part("4"), at("mine.txt.4.part"));
        for missing in ["nothing/", "nothing/x.txt"] {
            let error = Place::new(Some(&format!("{inside}/{missing}")), "x").unwrap_err();
            assert!(error.to_string().contains("there is no"), "{error}");
        }
    }

    #[test]
    fn a_part_is_written_by_one_and_is_a_file() {
        let folder = folder();
        let path = folder.path().join("x.part");
        let first = open_part(&path).unwrap();
        let error = open_part(&path).unwrap_err();
        assert_eq!(error.to_string(), "another download writes to it");
        drop(first);
        assert!(open_part(&path).is_ok());
        assert_eq!(
            open_part(folder.path()).unwrap_err().to_string(),
            "it is no file"
        );
    }
}
