//! The certificate that servers under TLS show: made by openssl for the comparison, gone with it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::Error;

/// Removes its folder when it is dropped.
pub struct Certificate(PathBuf);

impl Certificate {
    /// Makes `own.crt` and `own.key` in the folder: ECDSA on P-256, which certbot makes, too.
    pub fn make(folder: &Path) -> Result<Certificate, Error> {
        fs::create_dir_all(folder).map_err(|source| Error::File { path: folder.to_owned(), source })?;
        let made = Certificate(folder.to_owned());
        let output = Command::new("openssl")
            .args(["req", "-x509", "-nodes", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-days", "2"])
            .args(["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"])
            .arg("-keyout")
            .arg(folder.join("own.key"))
            .arg("-out")
            .arg(folder.join("own.crt"))
            .output();
        match output {
            Ok(output) if output.status.success() => Ok(made),
            Ok(output) => Err(Error::Server(format!("openssl: {}", String::from_utf8_lossy(&output.stderr).trim()))),
            Err(error) => Err(Error::Server(format!("openssl, which makes a certificate, does not run: {error}"))),
        }
    }
}

impl Drop for Certificate {
    fn drop(&mut self) {
        // It may be gone already.
        let _ = fs::remove_dir_all(&self.0);
    }
}
