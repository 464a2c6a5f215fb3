//! Whom the client trusts to vouch for a server that speaks HTTPS.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use tokio_rustls::rustls;
use tokio_rustls::rustls::crypto::ring;
use ureq::tls::{Certificate, PemItem, RootCerts, TlsConfig, parse_pem};

use super::Error;

/// All the authorities of a large system are a quarter of that.
const LONGEST: u64 = 1 << 20;

/// How servers are verified: by the authorities of a file, or without one by the system's.
///
/// # Errors
/// A file that cannot be read or has no certificate; a system that has none.
pub fn trust(ca: Option<&Path>) -> Result<TlsConfig, Error> {
    let roots = match ca {
        Some(file) => of_file(file)?,
        None => of_system()?,
    };
    Ok(TlsConfig::builder()
        .root_certs(RootCerts::Specific(Arc::new(roots)))
        // Named here, so that it does not depend on what else is linked in.
        .unversioned_rustls_crypto_provider(Arc::new(ring::default_provider()))
        .build())
}

fn of_file(file: &Path) -> Result<Vec<Certificate<'static>>, Error> {
    let wrong = |why: String| Error::Settings(format!("{}: {why}", file.display()));
    let mut pem = Vec::new();
    File::open(file)
        .and_then(|opened| opened.take(LONGEST).read_to_end(&mut pem))
        .map_err(|error| wrong(error.to_string()))?;
    let mut found = Vec::new();
    for item in parse_pem(&pem) {
        match item {
            Ok(PemItem::Certificate(certificate)) => found.push(certificate),
            Ok(_) => {}
            Err(error) => return Err(wrong(error.to_string())),
        }
    }
    if found.is_empty() {
        return Err(wrong("it has no certificate in PEM".to_owned()));
    }
    Ok(found)
}

fn of_system() -> Result<Vec<Certificate<'static>>, Error> {
    let loaded = rustls_native_certs::load_native_certs();
    if loaded.certs.is_empty() {
        let why = loaded.errors.first().map(|error| format!(": {error}"));
        return Err(Error::Settings(format!(
            "this system has no certificates of authorities{}; name one with --ca FILE",
            why.unwrap_or_default()
        )));
    }
    let certificates = loaded.certs.iter();
    Ok(certificates
        .map(|certificate| Certificate::from_der(certificate).to_owned())
        .collect())
}

/// What TLS found wrong, where that is why a call failed.
pub fn fault(error: &ureq::Error) -> Option<&rustls::Error> {
    match error {
        ureq::Error::Rustls(error) => Some(error),
        ureq::Error::Io(error) => error.get_ref()?.downcast_ref(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fake::folder;
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_named_with_the_reason() {
        let folder = folder();
        let path = folder.path().join("ca.pem");
        let said = |path: &Path| trust(Some(path)).err().map(|error| error.to_string());
        let missing = said(&path).unwrap_or_default();
        assert!(missing.contains("ca.pem: No such file"), "{missing}");
        std::fs::write(&path, "no certificate").expect("a file");
        let empty = said(&path).unwrap_or_default();
        assert!(
            empty.ends_with("ca.pem: it has no certificate in PEM"),
            "{empty}"
        );
    }
}
