//! From the server to the disk.

use std::fs::{self, File};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::super::Output;
use super::super::answer::CallError;
use super::super::session::Session;
use super::place::{Place, open_part};
use super::{Meter, PIECE, TransferError, was_stopped};

/// A file of the server's, as far as it is known.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Its id.
    pub id: String,
    /// The name that its sender gave it.
    pub name: Option<String>,
    /// How many bytes it has.
    pub size: Option<u64>,
    /// The SHA-256 of them, in hexadecimal digits.
    pub sha256: Option<String>,
}

/// What was downloaded.
#[derive(Debug)]
pub struct Saved {
    /// Where it lies.
    pub path: PathBuf,
    /// How many bytes it has.
    pub size: u64,
}

/// Downloads a file to where the user wrote, or to the working folder. It is there whole or not at
/// all; what has come of it stays beside, and the next download goes on from there.
pub fn download(
    session: &Session,
    output: &Arc<dyn Output>,
    mut wanted: Wanted,
    written: Option<&str>,
) -> Result<Saved, TransferError> {
    let stopped = || session.transfers.is_stopped();
    if wanted.name.is_none() {
        let _asking = Meter::asking(&session.transfers, output, &wanted.id);
        let api = session.transfers.carrier(&session.api);
        let head = api.file_head(&wanted.id);
        let head = head.map_err(|error| match stopped() {
            true => TransferError::Stopped { kept: false },
            false => error.into(),
        })?;
        wanted.name = head.name;
        wanted.size = wanted.size.or(head.size);
    }
    let name = wanted.name.clone().unwrap_or_else(|| wanted.id.clone());
    let place = Place::new(written, &name).map_err(|error| {
        let path = written.unwrap_or(&name);
        TransferError::file(Path::new(path), error)
    })?;
    let part = place.part(&wanted.id);
    let fail = |error| TransferError::file(&part, error);
    let mut partial = Partial {
        file: open_part(&part).map_err(fail)?,
        size: 0,
        sum: Sha256::new(),
    };
    let mut meter = Meter::asking(&session.transfers, output, &name);
    let done = partial
        .look(wanted.size, &meter)
        .map_err(|error| stop_or(error, fail))
        .and_then(|()| partial.fetch(session, &wanted, &mut meter, fail))
        .and_then(|()| partial.check(&wanted));
    drop(meter);
    match done {
        Ok(()) => {
            partial.file.sync_all().map_err(fail)?;
            let path = place.take(&part).map_err(fail)?;
            let size = partial.size;
            Ok(Saved { path, size })
        }
        Err(mut error) => {
            if stopped() {
                let kept = partial.size > 0;
                error = TransferError::Stopped { kept };
            }
            // What is not the file, or nothing of it, is of no use to the next download.
            if partial.size == 0 || matches!(error, TransferError::Different(_)) {
                let _ = fs::remove_file(&part);
            }
            Err(error)
        }
    }
}

fn stop_or(error: io::Error, fail: impl Fn(io::Error) -> TransferError) -> TransferError {
    match was_stopped(&error) {
        // What is kept of it the caller knows.
        true => TransferError::Stopped { kept: false },
        false => fail(error),
    }
}

/// What has come of a file.
struct Partial {
    file: File,
    size: u64,
    sum: Sha256,
}

impl Partial {
    /// Reads what an earlier download has left; more than the whole is nothing of it.
    fn look(&mut self, whole: Option<u64>, meter: &Meter<'_>) -> io::Result<()> {
        let there = self.file.metadata()?.len();
        if there == 0 || whole.is_none_or(|whole| there > whole) {
            return self.clear();
        }
        let mut piece = vec![0; PIECE];
        loop {
            meter.go_on()?;
            match self.file.read(&mut piece) {
                Ok(0) => return Ok(()),
                Ok(length) => {
                    self.sum.update(&piece[..length]);
                    self.size += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn clear(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.file.seek(SeekFrom::Start(0))?;
        self.size = 0;
        self.sum = Sha256::new();
        Ok(())
    }

    /// Fetches what is not there yet.
    fn fetch(
        &mut self,
        session: &Session,
        wanted: &Wanted,
        meter: &mut Meter<'_>,
        fail: impl Fn(io::Error) -> TransferError,
    ) -> Result<(), TransferError> {
        if self.size > 0 && wanted.size == Some(self.size) {
            return Ok(());
        }
        let api = session.transfers.carrier(&session.api);
        let mut tag = None;
        if self.size > 0 {
            tag = api.file_head(&wanted.id)?.tag;
        }
        let range = tag.as_deref().map(|tag| (self.size, tag));
        let content = match api.file(&wanted.id, range) {
            Err(error) if error.is_status(416) => api.file(&wanted.id, None)?,
            other => other?,
        };
        if content.begins != self.size {
            self.clear().map_err(&fail)?;
        }
        if content.begins != self.size {
            let why = "a range that was not asked for".to_owned();
            return Err(CallError::Strange(why).into());
        }
        let whole = content.whole.or(wanted.size);
        meter.begin(self.size, whole);
        let mut body = content.body;
        let mut piece = vec![0; PIECE];
        loop {
            let length = body.read(&mut piece);
            // A connection that was cut may end like a whole one.
            meter.go_on().map_err(|error| stop_or(error, &fail))?;
            let length = match length {
                Ok(0) => return Ok(()),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(TransferError::Broken(error)),
            };
            self.file.write_all(&piece[..length]).map_err(&fail)?;
            self.sum.update(&piece[..length]);
            self.size += length as u64;
            meter.add(length);
            if whole.is_some_and(|whole| self.size > whole) {
                let why = "the file that came is larger than it was said to be".to_owned();
                return Err(TransferError::Different(why));
            }
        }
    }

    fn check(&self, wanted: &Wanted) -> Result<(), TransferError> {
        wanted.check(self.size, self.sum.clone())
    }
}

impl Wanted {
    /// Whether so many bytes of that sum are the file that was sent.
    pub(super) fn check(&self, came: u64, sum: Sha256) -> Result<(), TransferError> {
        if let Some(size) = self.size.filter(|size| *size != came) {
            return Err(TransferError::Different(format!(
                "the file that came has {came} bytes instead of {size}"
            )));
        }
        let sum = hex::encode(sum.finalize());
        match &self.sha256 {
            Some(told) if !told.eq_ignore_ascii_case(&sum) => Err(TransferError::Different(
                "the file that came is not the one that was sent: its SHA-256 differs".to_owned(),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::{Asked, Folder, Record, Reply, folder, serve, session};
    use super::*;
    use serde_json::json;
    use std::sync::Mutex;

    const TAG: &str = "\"t1\"";

    /// A method and a range.
    type Call = (String, Option<String>);

    /// A server of one file that knows ranges, and what it was asked for.
    struct Server {
        session: Session,
        asked: Arc<Mutex<Vec<Call>>>,
        folder: Folder,
    }

    fn content() -> Vec<u8> {
        (0..200_000u32).map(|n| (n % 251) as u8).collect()
    }

    fn answer(asked: &Asked, content: &[u8]) -> Reply {
        let whole = content.len();
        let name = "attachment; filename=\"cat.png\"".to_owned();
        let mut fields = vec![("ETag", TAG.to_owned()), ("Content-Disposition", name)];
        let range = asked.field("range").and_then(|range| {
            let from = range.strip_prefix("bytes=")?.strip_suffix('-')?;
            from.parse::<usize>().ok()
        });
        match range.filter(|_| asked.field("if-range") == Some(TAG)) {
            Some(from) if from >= whole => Reply::Json(416, json!({})),
            Some(from) => {
                fields.push((
                    "Content-Range",
                    format!("bytes {from}-{}/{whole}", whole - 1),
                ));
                Reply::Raw(206, fields, content[from..].to_vec())
            }
            None if asked.method == "HEAD" => {
                fields.push(("Content-Length", whole.to_string()));
                Reply::Raw(200, fields, Vec::new())
            }
            None => Reply::Raw(200, fields, content.to_vec()),
        }
    }

    fn server(reply: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Server {
        let asked = Arc::<Mutex<Vec<_>>>::default();
        let seen = asked.clone();
        let base = serve(move |asked| {
            if asked.path == "/status" {
                return Reply::Json(200, json!({"server": {}, "user": {"name": "ann"}}));
            }
            assert_eq!(asked.path, "/files/4062c519-386f");
            let range = asked.field("range").map(str::to_owned);
            seen.lock().unwrap().push((asked.method.clone(), range));
            reply(asked)
        });
        Server {
            session: session(&base),
            asked,
            folder: folder(),
        }
    }

    fn wanted() -> Wanted {
        Wanted {
            id: "4062c519-386f".to_owned(),
            name: Some("../cat.png".to_owned()),
            size: Some(content().len() as u64),
            sha256: Some(hex::encode(Sha256::digest(content()))),
        }
    }

    impl Server {
        fn get(&self, wanted: Wanted) -> Result<Saved, TransferError> {
            let output: Arc<dyn Output> = Arc::new(Record::default());
            let folder = self.folder.path().to_str();
            download(&self.session, &output, wanted, folder)
        }

        fn asked(&self) -> Vec<Call> {
            std::mem::take(&mut *self.asked.lock().unwrap())
        }

        fn files(&self) -> Vec<String> {
            let files = fs::read_dir(self.folder.path()).unwrap();
            let name = |file: io::Result<fs::DirEntry>| file.unwrap().file_name();
            let mut names: Vec<String> = files
                .map(|file| name(file).into_string().unwrap())
                .collect();
            names.sort_unstable();
            names
        }

        fn part(&self) -> PathBuf {
            self.folder.path().join("cat.png.4062c519.part")
        }
    }

    fn call(method: &str, range: Option<&str>) -> Call {
        (method.to_owned(), range.map(str::to_owned))
    }

    #[test]
    fn a_file_is_saved_whole_under_its_own_name_in_the_folder() {
        let server = server(|asked| answer(asked, &content()));
        let saved = server.get(wanted()).unwrap();
        assert_eq!(fs::read(&saved.path).unwrap(), content());
        assert_eq!(server.files(), ["cat.png"]);
        assert_eq!(server.asked(), [call("GET", None)]);
        server.get(wanted()).unwrap();
        assert_eq!(server.files(), ["cat (1).png", "cat.png"]);
    }

    #[test]
    fn what_an_earlier_download_left_is_not_fetched_again() {
        let server = server(|asked| answer(asked, &content()));
        fs::write(server.part(), &content()[..150_000]).unwrap();
        let saved = server.get(wanted()).unwrap();
        assert_eq!(fs::read(&saved.path).unwrap(), content());
        let rest = call("GET", Some("bytes=150000-"));
        assert_eq!(server.asked(), [call("HEAD", None), rest]);
        assert_eq!(server.files(), ["cat.png"]);
        // All of it was there, but for the name.
        fs::write(server.part(), content()).unwrap();
        server.get(wanted()).unwrap();
        assert_eq!(server.asked(), []);
        // More than all is not the file.
        fs::write(server.part(), [content(), content()].concat()).unwrap();
        server.get(wanted()).unwrap();
        assert_eq!(server.asked(), [call("GET", None)]);
    }

    #[test]
    fn a_server_that_sends_all_of_it_again_is_taken_at_its_word() {
        let server = server(|asked| {
            let mut asked = asked.clone();
            asked.fields.retain(|(name, _)| name != "if-range");
            answer(&asked, &content())
        });
        fs::write(server.part(), b"something else").unwrap();
        let saved = server.get(wanted()).unwrap();
        assert_eq!(fs::read(&saved.path).unwrap(), content());
    }

    #[test]
    fn what_is_not_the_file_is_refused_and_leaves_nothing() {
        let server = server(|asked| {
            let mut other = content();
            other[7] ^= 1;
            answer(asked, &other)
        });
        let error = server.get(wanted()).unwrap_err();
        assert!(error.to_string().contains("its SHA-256 differs"), "{error}");
        assert_eq!(server.files(), Vec::<String>::new());
        let larger = Wanted {
            size: Some(7),
            sha256: None,
            ..wanted()
        };
        let error = server.get(larger).unwrap_err();
        assert!(error.to_string().contains("instead of 7"), "{error}");
        assert_eq!(server.files(), Vec::<String>::new());
    }

    #[test]
    fn a_download_that_breaks_off_goes_on_the_next_time() {
        let broken = Mutex::new(true);
        let server = server(move |asked| {
            if std::mem::take(&mut *broken.lock().unwrap()) {
                let length = content().len().to_string();
                let fields = vec![("Content-Length", length)];
                return Reply::Raw(200, fields, content()[..100_000].to_vec());
            }
            answer(asked, &content())
        });
        let error = server.get(wanted()).unwrap_err();
        assert!(matches!(error, TransferError::Broken(_)), "{error}");
        assert_eq!(server.files(), ["cat.png.4062c519.part"]);
        let saved = server.get(wanted()).unwrap();
        assert_eq!(fs::read(&saved.path).unwrap(), content());
        let (_, range) = server.asked().pop().unwrap();
        assert_eq!(range.as_deref(), Some("bytes=100000-"));
        assert_eq!(server.files(), ["cat.png"]);
    }

    #[test]
    fn a_file_that_is_known_by_its_id_alone_has_the_name_that_the_server_says() {
        let server = server(|asked| answer(asked, &content()));
        let wanted = Wanted {
            id: wanted().id,
            ..Wanted::default()
        };
        let saved = server.get(wanted).unwrap();
        assert_eq!(saved.path, server.folder.path().join("cat.png"));
        assert_eq!(saved.size, content().len() as u64);
    }

    #[test]
    fn a_file_that_is_gone_is_told_and_leaves_nothing() {
        let server = server(|_| Reply::Json(404, json!({"detail": "there is no such file"})));
        let error = server.get(wanted()).unwrap_err();
        assert_eq!(error.to_string(), "there is no such file");
        assert_eq!(server.files(), Vec::<String>::new());
    }
}
