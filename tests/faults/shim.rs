//! The preloaded library of shim.c, and what a power cut makes of its journal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use veche::testing::{Builder, Folder};

use crate::random::Random;

/// What a disk writes whole or not at all.
const SECTOR: u64 = 512;

/// The numbers that a record of the journal begins with, in bytes.
const HEAD: usize = 7 * 8;

/// A journal beside a data folder.
pub struct Shim {
    beside: Folder,
}

/// Which of the writes that no sync covered a power cut takes.
#[derive(Clone, Copy, Debug)]
pub enum Cut {
    /// All of them: nothing had reached the disk.
    All,
    /// Of each sector the later ones, of the changes to folders the last ones, by chance.
    Some,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Write,
    Truncate,
    Sync,
    Lost,
    Create,
    Unlink,
    Rename,
    Make,
    SyncFolder,
}

/// A record as shim.c writes it.
#[derive(Debug)]
struct Record {
    kind: Kind,
    inode: u64,
    offset: u64,
    /// The file's size before.
    before: u64,
    length: u64,
    path: PathBuf,
    data: Vec<u8>,
}

/// The library, compiled once a run.
fn library() -> &'static Path {
    static BUILT: OnceLock<(Folder, PathBuf)> = OnceLock::new();
    let (_, library) = BUILT.get_or_init(|| {
        let folder = Folder::new();
        let source = folder.write("shim.c", include_str!("shim.c"));
        let library = folder.join("shim.so");
        let status = Command::new("cc")
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .args([&library, &source])
            .args(["-ldl", "-lpthread"])
            .status()
            .expect("a C compiler is there");
        assert!(status.success(), "shim.c does not compile");
        (folder, library)
    });
    library
}

impl Shim {
    pub fn new() -> Self {
        Self {
            beside: Folder::new(),
        }
    }

    /// The variables of a program's environment that have it journaled, below a folder of its
    /// working folder.
    pub fn environment(&self, folder: &str) -> [(&'static str, PathBuf); 3] {
        [
            ("LD_PRELOAD", library().to_owned()),
            ("SHIM_FOLDER", folder.into()),
            ("SHIM_JOURNAL", self.beside.path().to_owned()),
        ]
    }

    /// A server whose data folder is journaled.
    pub fn around(&self, server: Builder) -> Builder {
        let variables = self.environment("data").into_iter();
        variables.fold(server, |server, (name, value)| server.env(name, value))
    }

    /// From now on syncs fail, or there is no room.
    pub fn begin(&self, what: &str) {
        self.beside.write(what, "");
    }

    pub fn end(&self, what: &str) {
        fs::remove_file(self.beside.join(what)).expect("it had begun");
    }

    /// Cuts the power of a program that was killed: takes what no sync covered away, and begins a new
    /// journal. Gives how many writes and changes to folders that concerned.
    pub fn cut(&self, folder: &Path, cut: Cut, random: &mut Random) -> (usize, usize) {
        let journal = self.beside.join("journal");
        let records = read(&fs::read(&journal).unwrap_or_default());
        let writes = self.undo_writes(folder, &records, cut, random);
        let entries = undo_entries(&records, cut, random);
        for (path, _) in files(folder) {
            if path.to_string_lossy().ends_with("-shm") {
                fs::remove_file(path).expect("a file can be removed");
            }
        }
        for (path, _) in files(self.beside.path()) {
            fs::remove_file(path).expect("a file can be removed");
        }
        (writes, entries)
    }

    fn undo_writes(
        &self,
        folder: &Path,
        records: &[Record],
        cut: Cut,
        random: &mut Random,
    ) -> usize {
        let mut found: BTreeMap<u64, PathBuf> = BTreeMap::new();
        for (path, inode) in files(folder).into_iter().chain(files(self.beside.path())) {
            found.insert(inode, path);
        }
        let mut count = 0;
        let inodes: BTreeSet<u64> = records.iter().map(|record| record.inode).collect();
        for inode in inodes {
            let Some(path) = found.get(&inode) else {
                continue;
            };
            let loose = loose(records, inode);
            if loose.is_empty() {
                continue;
            }
            count += loose.len();
            undo(path, &loose, cut, random);
        }
        count
    }
}

/// The changes of a file that no sync covered, oldest first.
fn loose(records: &[Record], inode: u64) -> Vec<&Record> {
    let (mut loose, mut lost) = (Vec::new(), Vec::new());
    for record in records.iter().filter(|record| record.inode == inode) {
        match record.kind {
            Kind::Write | Kind::Truncate => loose.push(record),
            Kind::Sync => loose.clear(),
            Kind::Lost => lost.append(&mut loose),
            _ => {}
        }
    }
    lost.append(&mut loose);
    lost
}

fn undo(path: &Path, loose: &[&Record], cut: Cut, random: &mut Random) {
    let file = File::options().read(true).write(true).open(path);
    let file = file.expect("the file opens");
    let mut size = file.metadata().expect("it has a size").len();
    let is_by_chance = matches!(cut, Cut::Some);
    // How long a file is, is durable in order: what was written after a change of it that was lost is
    // lost with it.
    let shortened = |record: &&Record| record.kind == Kind::Truncate;
    let is_size_kept = is_by_chance && random.coin();
    let first_lost = match loose.iter().position(shortened) {
        Some(first) if !is_size_kept => first,
        _ => loose.len(),
    };
    let last_kept = match loose.iter().rposition(shortened) {
        Some(last) if is_size_kept => last + 1,
        _ => 0,
    };
    if !is_size_kept {
        size = loose[0].before;
    }
    for record in loose[first_lost..].iter().rev() {
        restore(&file, record, record.offset, record.offset + record.length);
    }
    // Of each sector the later ones of what is left.
    let mut touched: BTreeMap<u64, Vec<&Record>> = BTreeMap::new();
    for &record in &loose[last_kept.min(first_lost)..first_lost] {
        let sectors = record.offset / SECTOR..(record.offset + record.length).div_ceil(SECTOR);
        for sector in sectors {
            touched.entry(sector).or_default().push(record);
        }
    }
    for (sector, changes) in touched {
        let kept = match cut {
            Cut::All => 0,
            Cut::Some => random.below(changes.len() + 1),
        };
        for change in changes[kept..].iter().rev() {
            let upto = (change.offset + change.length).min((sector + 1) * SECTOR);
            restore(&file, change, change.offset.max(sector * SECTOR), upto);
        }
    }
    file.set_len(size).expect("the file is cut");
}

/// Writes what was there before a change.
fn restore(file: &File, change: &Record, from: u64, upto: u64) {
    let bytes: Vec<u8> = (from..upto)
        .map(|at| {
            let at = usize::try_from(at - change.offset).expect("in memory");
            change.data.get(at).copied().unwrap_or(0)
        })
        .collect();
    file.write_all_at(&bytes, from)
        .expect("the file is written");
}

/// Undoes the last ones of the changes to folders that no sync of the folder covered.
fn undo_entries(records: &[Record], cut: Cut, random: &mut Random) -> usize {
    let is_covered = |number: usize, path: &Path| {
        records[number..].iter().any(|later| {
            later.kind == Kind::SyncFolder && Some(later.path.as_path()) == path.parent()
        })
    };
    let changes = records.iter().enumerate().filter(|(number, record)| {
        let is_change = matches!(
            record.kind,
            Kind::Create | Kind::Unlink | Kind::Rename | Kind::Make
        );
        is_change && !is_covered(*number, &record.path)
    });
    let changes: Vec<_> = changes.map(|(_, record)| record).collect();
    let kept = match cut {
        Cut::All => 0,
        Cut::Some => random.below(changes.len() + 1),
    };
    for change in changes[kept..].iter().rev() {
        let other = || PathBuf::from(String::from_utf8_lossy(&change.data).into_owned());
        let undone = match change.kind {
            Kind::Create => fs::remove_file(&change.path),
            Kind::Unlink => fs::rename(other(), &change.path),
            Kind::Rename => fs::rename(other(), &change.path),
            // What lay in it is lost with it.
            _ => fs::remove_dir_all(&change.path),
        };
        undone.unwrap_or_else(|error| panic!("{:?} {:?}: {error}", change.kind, change.path));
    }
    changes.len()
}

/// Every file below a folder, with its inode.
fn files(folder: &Path) -> Vec<(PathBuf, u64)> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let metadata = entry.metadata().expect("nobody else is at work");
            if metadata.is_dir() {
                folders.push(entry.path());
            } else {
                found.push((entry.path(), metadata.ino()));
            }
        }
    }
    found
}

/// The records of a journal; a last one that is cut was never followed by what it tells of.
fn read(mut bytes: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    while bytes.len() >= HEAD {
        let numbers: Vec<u64> = bytes[..HEAD]
            .chunks_exact(8)
            .map(|number| u64::from_ne_bytes(number.try_into().expect("8 bytes")))
            .collect();
        let length = |number: u64| usize::try_from(number).expect("in memory");
        let (path, data) = (length(numbers[5]), length(numbers[6]));
        if bytes.len() < HEAD + path + data {
            break;
        }
        records.push(Record {
            kind: match numbers[0] {
                1 => Kind::Write,
                2 => Kind::Truncate,
                3 => Kind::Sync,
                4 => Kind::Lost,
                5 => Kind::Create,
                6 => Kind::Unlink,
                7 => Kind::Rename,
                8 => Kind::Make,
                9 => Kind::SyncFolder,
                other => panic!("a record of kind {other}"),
            },
            inode: numbers[1],
            offset: numbers[2],
            before: numbers[3],
            length: numbers[4],
            path: String::from_utf8_lossy(&bytes[HEAD..HEAD + path])
                .into_owned()
                .into(),
            data: bytes[HEAD + path..HEAD + path + data].to_vec(),
        });
        bytes = &bytes[HEAD + path + data..];
    }
    records
}
