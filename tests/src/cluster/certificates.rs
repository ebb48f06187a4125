//! The cluster's certificate authority, its API server's and administrator's certificates, and the service-account key.

use std::path::Path;

use crate::command::Run;
use crate::error::{Context, Result};
use crate::home::{self, Home};

const DAYS: &str = "3650";
const SERVER_NAMES: &str =
    "DNS:kubernetes,DNS:kubernetes.default.svc,DNS:localhost,IP:127.0.0.1,IP:10.96.0.1";

/// Makes the certificates unless they are there; all of them appear at once.
///
/// # Errors
/// When openssl fails or the folder cannot be written.
pub(super) fn ensure(home: &Home) -> Result<()> {
    let folder = home.pki();
    if folder.exists() {
        return Ok(());
    }
    let new = home.cache().join("pki.new");
    if new.exists() {
        std::fs::remove_dir_all(&new).context(|| format!("cannot remove {}", new.display()))?;
    }
    home::make_folder(&new)?;
    openssl(
        &new,
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-keyout",
            "ca.key",
            "-out",
            "ca.crt",
            "-days",
            DAYS,
            "-subj",
            "/CN=kubectl-rocketmq-lab",
        ],
    )?;
    openssl(&new, &["genrsa", "-out", "sa.key", "2048"])?;
    openssl(&new, &["rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub"])?;
    certificate(&new, "apiserver", "/CN=kube-apiserver", SERVER_NAMES)?;
    certificate(&new, "admin", "/O=system:masters/CN=admin", "DNS:admin")?;
    std::fs::rename(&new, &folder).context(|| format!("cannot write {}", folder.display()))
}

fn certificate(folder: &Path, name: &str, subject: &str, names: &str) -> Result<()> {
    let [key, request, crt, extensions] =
        ["key", "csr", "crt", "ext"].map(|extension| format!("{name}.{extension}"));
    home::write_file(
        &folder.join(&extensions),
        format!("subjectAltName={names}\nextendedKeyUsage=serverAuth,clientAuth\n"),
    )?;
    openssl(
        folder,
        &["req", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-out", &request, "-subj", subject],
    )?;
    openssl(
        folder,
        &[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "ca.crt",
            "-CAkey",
            "ca.key",
            "-CAcreateserial",
            "-days",
            DAYS,
            "-out",
            &crt,
            "-extfile",
            &extensions,
        ],
    )
}

fn openssl(folder: &Path, arguments: &[&str]) -> Result<()> {
    Run::new("openssl").args(arguments).in_folder(folder).output().map(drop)
}
