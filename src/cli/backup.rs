//! `veche backup`: one consistent moment of the data, as a tar that unpacks to a data folder.

use std::io::Write;
use std::path::Path;

use rusqlite::Connection;
use tar::Header;

use super::copy::{self, CopyError, Moment, inside};
use crate::config::S3;
use crate::log::export::open_copy;

/// Writes the data of a folder, in use or not, to `file`. What is restored from it is a new epoch,
/// since the server goes on from here without it. What is damaged is copied as it is, and told: of a
/// disk that fails, whatever can be had is worth having.
pub(super) fn write(data: &Path, s3: &S3, file: &Path) -> Result<(), CopyError> {
    copy::write(data, s3, file, pack)
}

/// Packs the objects, then the database's copy that names them.
fn pack(moment: &Moment<'_>, out: &mut dyn Write) -> Result<Vec<String>, CopyError> {
    let mut tar = tar::Builder::new(out);
    let mut damage = moment.objects(|named, mut found| {
        let mut header = Header::new_gnu();
        let mut append = || {
            header.set_metadata(&found.metadata()?);
            // Also where it lay open to others.
            header.set_mode(0o600);
            let path = inside(&named.place).join(&named.object);
            tar.append_data(&mut header, path, &mut found)
        };
        append().map_err(|source| moment.failed(source))
    })?;
    open_copy(moment.copy)?.verify(&mut |line| damage.push(line));
    // Each start on a copy of this names a history of its own.
    let copy = Connection::open(moment.copy)?;
    copy.pragma_update(None, "journal_mode", "MEMORY")?;
    copy.execute("DELETE FROM meta WHERE key = 'epoch'", [])?;
    drop(copy);
    tar.append_path_with_name(moment.copy, "veche.db")
        .and_then(|()| tar.into_inner()?.flush())
        .map_err(|source| moment.failed(source))?;
    Ok(damage)
}
