//! From the disk to the server.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::super::Output;
use super::super::session::Session;
use super::kinds::kind;
use super::{Meter, TransferError, user_path};

/// Uploads a file; gives what the server says of it. What breaks off leaves nothing there.
pub fn upload(
    session: &Session,
    output: &Arc<dyn Output>,
    written: &str,
) -> Result<Value, TransferError> {
    let path = user_path(written);
    let fail = |error| TransferError::file(&path, error);
    let (file, size) = open(&path).map_err(fail)?;
    if let Some(most) = session.max_file(size)? {
        return Err(TransferError::TooLarge { bytes: size, most });
    }
    let name = path.file_name().unwrap_or(path.as_os_str());
    let name = name.to_string_lossy();
    let mut sending = Sending {
        file,
        left: size,
        read: 0,
        sum: Sha256::new(),
        failed: None,
        meter: Meter::new(&session.transfers, output, &name, Some(size)),
    };
    sending.meter.to_confirm = true;
    let api = session.transfers.carrier(&session.api);
    let answer = api.upload(&name, kind(&name), size, &mut sending);
    match (sending.failed, answer) {
        // Who stopped it does not want it sent, though all of it may have gone out by then.
        _ if session.transfers.is_stopped() => Err(TransferError::Stopped { kept: false }),
        (Some(error), _) => Err(fail(error)),
        (None, Err(error)) => Err(match error.max() {
            Some(most) if most < size => TransferError::TooLarge { bytes: size, most },
            _ => error.into(),
        }),
        (None, Ok(answer)) => {
            let sum = hex::encode(sending.sum.finalize());
            match answer["sha256"].as_str() {
                Some(told) if told != sum => Err(TransferError::Different(
                    "what arrived at the server is not what was sent".to_owned(),
                )),
                _ => Ok(answer),
            }
        }
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    // To open a pipe would wait for whoever writes to it.
    let there = std::fs::metadata(path)?;
    if there.is_dir() {
        return Err(io::Error::other("it is a folder"));
    }
    if !there.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    let file = File::open(path)?;
    let size = file.metadata()?.len();
    Ok((file, size))
}

/// The file as the body of a request: exactly as many bytes as were promised.
struct Sending<'a> {
    file: File,
    left: u64,
    /// How many bytes were read last, which are not on their way yet.
    read: usize,
    sum: Sha256,
    failed: Option<io::Error>,
    meter: Meter<'a>,
}

impl Sending<'_> {
    fn piece(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        self.meter.go_on()?;
        // What is asked for next follows what was handed to the connection.
        self.meter.add(std::mem::take(&mut self.read));
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let most = most.min(piece.len());
        let length = self.file.read(&mut piece[..most])?;
        if length == 0 && most > 0 {
            return Err(io::Error::other("it became shorter while it was sent"));
        }
        self.sum.update(&piece[..length]);
        self.left -= length as u64;
        self.read = length;
        if self.left == 0 {
            // Nobody asks once more; what is shown from here on is that the server is waited for.
            self.meter.add(std::mem::take(&mut self.read));
        }
        Ok(length)
    }
}

impl Read for Sending<'_> {
    fn read(&mut self, piece: &mut [u8]) -> io::Result<usize> {
        match self.piece(piece) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                // The caller's own error would hide which end has failed.
                self.failed = Some(error);
                Err(io::Error::other("the file could not be sent"))
            }
            Ok(length) => Ok(length),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::fake::{Asked, Record, Reply, folder, serve, session};
    use super::*;
    use serde_json::json;
    use std::sync::Mutex;

    type Uploads = Arc<Mutex<Vec<Asked>>>;

    fn server(answer: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> (Session, Uploads) {
        let uploads = Uploads::default();
        let seen = uploads.clone();
        let base = serve(move |asked| match asked.path.as_str() {
            "/files" => {
                seen.lock().unwrap().push(asked.clone());
                answer(asked)
            }
            _ => Reply::Json(200, json!({"server": {}, "user": {"name": "ann"}})),
        });
        (session(&base), uploads)
    }

    fn sum(bytes: &[u8]) -> String {
        hex::encode(Sha256::digest(bytes))
    }

    #[test]
    fn a_file_is_sent_whole_with_its_name_type_and_size() {
        let (session, uploads) =
            server(|asked| Reply::Json(201, json!({"id": "f1", "sha256": sum(&asked.bytes)})));
        let folder = folder();
        let bytes: Vec<u8> = (0..300_000u32).map(|n| (n % 251) as u8).collect();
        for (name, kind, bytes) in [
            ("my кот.png", "image/png", bytes.as_slice()),
            ("empty", "application/octet-stream", &[]),
        ] {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let record = Arc::new(Record::default());
            let output: Arc<dyn Output> = record.clone();
            let answer = upload(&session, &output, path.to_str().unwrap()).unwrap();
            assert_eq!(answer["id"], "f1");
            let asked = uploads.lock().unwrap().pop().unwrap();
            assert_eq!(asked.method, "POST");
            assert_eq!(asked.query("name"), Some(name));
            assert_eq!(asked.field("content-type"), Some(kind));
            assert_eq!(asked.bytes, bytes);
            let shown = record.lines().contains(&format!("progress: {name}"));
            assert_eq!(shown, !bytes.is_empty());
        }
    }

    #[test]
    fn what_cannot_be_sent_is_explained() {
        let (session, _) = server(|asked| match asked.query("name") {
            Some("large") => Reply::Json(413, json!({"detail": "a file has at most 5 MiB"})),
            _ => Reply::Json(201, json!({"id": "f1", "sha256": "00"})),
        });
        let folder = folder();
        for name in ["large", "other"] {
            std::fs::write(folder.path().join(name), "text").unwrap();
        }
        let output: Arc<dyn Output> = Arc::new(Record::default());
        for (name, why) in [
            ("large", "a file has at most 5 MiB"),
            ("other", "what arrived at the server is not what was sent"),
            ("missing", "No such file"),
            ("", "it is a folder"),
        ] {
            let path = folder.path().join(name);
            let error = upload(&session, &output, path.to_str().unwrap()).unwrap_err();
            assert!(error.to_string().contains(why), "{name}: {error}");
        }
    }

    #[test]
    fn a_file_that_is_too_large_is_not_sent_where_that_is_known() {
        let most = Arc::new(Mutex::new(Some(1_024)));
        let told = most.clone();
        let asked = Arc::new(Mutex::new(0));
        let uploads = asked.clone();
        let base = serve(move |asked| {
            let most = *told.lock().unwrap();
            if asked.path == "/status" {
                let files = most.map(|most| json!({ "max_size": most }));
                let server = json!({ "files": files });
                return Reply::Json(200, json!({"server": server, "user": {"name": "ann"}}));
            }
            *uploads.lock().unwrap() += 1;
            match most {
                None => Reply::Json(413, json!({"code": "too_large", "max": 1_024})),
                Some(_) => Reply::Json(201, json!({"id": "f1"})),
            }
        });
        let session = session(&base);
        let folder = folder();
        let path = folder.path().join("x");
        std::fs::write(&path, vec![0; 1_025]).unwrap();
        let output: Arc<dyn Output> = Arc::new(Record::default());
        let upload = || upload(&session, &output, path.to_str().unwrap());
        let told = "the file has 1.1 KiB, and this server takes files of up to 1 KiB";
        assert_eq!(upload().unwrap_err().to_string(), told);
        assert_eq!(*asked.lock().unwrap(), 0);
        // It is asked again before anything is refused here.
        *most.lock().unwrap() = Some(2_048);
        assert!(upload().is_ok());
        // A server that tells its limit only when it refuses.
        session.state().max_file = None;
        *most.lock().unwrap() = None;
        assert_eq!(upload().unwrap_err().to_string(), told);
        assert_eq!(*asked.lock().unwrap(), 2);
    }

    #[test]
    fn what_is_read_counts_when_it_was_handed_on() {
        let (session, _) = server(|_| Reply::Json(201, json!({})));
        let folder = folder();
        let path = folder.path().join("x");
        std::fs::write(&path, "meow").unwrap();
        let output: Arc<dyn Output> = Arc::new(Record::default());
        let mut sending = Sending {
            file: File::open(&path).unwrap(),
            left: 4,
            read: 0,
            sum: Sha256::new(),
            failed: None,
            meter: Meter::new(&session.transfers, &output, "x", Some(4)),
        };
        let mut counts = Vec::new();
        for length in [2, 1, 1] {
            assert_eq!(sending.read(&mut vec![0; length]).unwrap(), length);
            counts.push(sending.meter.done);
        }
        assert_eq!(counts, [0, 2, 4]);
    }

    #[test]
    fn a_stopped_upload_ends_and_is_told_from_a_broken_one() {
        let (session, uploads) = server(|_| Reply::Json(201, json!({})));
        /// Stops what it sees.
        struct Stop(Arc<Session>);
        impl Output for Stop {
            fn event(&self, _: &super::super::super::render::Event) {}
            fn ended(&self, _: &super::super::super::render::Event) {}
            fn sent(&self, _: &super::super::super::post::Post, _: &Value) {}
            fn answer(&self, _: &str, _: &Value, _: &str) {}
            fn progress(&self, progress: Option<&super::super::Progress<'_>>) {
                assert_eq!(self.0.transfers.stop(), progress.is_some());
            }
            fn notice(&self, _: &str) {}
            fn trouble(&self, _: &str) {}
            fn broken(&self) -> Option<io::Error> {
                None
            }
        }
        let session = Arc::new(session);
        let folder = folder();
        let path = folder.path().join("x");
        std::fs::write(&path, vec![0; 1 << 20]).unwrap();
        let output: Arc<dyn Output> = Arc::new(Stop(session.clone()));
        let waiting = session.transfers.wait();
        let stopped = upload(&session, &output, path.to_str().unwrap());
        drop(waiting);
        assert!(
            matches!(stopped, Err(TransferError::Stopped { kept: false })),
            "{stopped:?}"
        );
        assert!(uploads.lock().unwrap().is_empty());
    }
}
