//! The lab's ports are fixed, so one that is taken is named with who holds it, before anything is started.

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::linux::fs::MetadataExt;

use crate::error::{LabError, Result};
use crate::process::table;

/// Checks that `address`, needed by `component`, is free.
///
/// # Errors
/// When it is taken, with the process that holds it.
pub(super) fn check_free(component: &str, address: &str) -> Result<()> {
    let parsed: SocketAddr =
        address.parse().map_err(|error| LabError::new(format!("{address} is no address")).because(error))?;
    match TcpListener::bind(parsed) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(LabError::new(format!(
            "port {} is busy: {} needs {address}, which is held by {}",
            parsed.port(),
            component,
            holder(parsed.port())
        ))
        .hint("end that program, then run the same command again")),
        Err(error) => Err(LabError::new(format!("{component} cannot listen at {address}")).because(error)),
    }
}

fn holder(port: u16) -> String {
    let listening: Vec<u64> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .flat_map(|text| listening_inodes(&text, port))
        .collect();
    table::all()
        .into_iter()
        .find(|pid| sockets(*pid).iter().any(|inode| listening.contains(inode)))
        .map_or("an unknown process".to_owned(), |pid| format!("`{}` (process {pid})", table::name(pid)))
}

fn sockets(pid: u32) -> Vec<u64> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    entries
        .flatten()
        .filter(|entry| {
            std::fs::read_link(entry.path()).is_ok_and(|link| link.to_string_lossy().starts_with("socket:"))
        })
        .filter_map(|entry| std::fs::metadata(entry.path()).ok())
        .map(|metadata| metadata.st_ino())
        .collect()
}

/// The inodes of sockets that listen on `port`, from the text of `/proc/net/tcp`: the state of such a socket is 0A.
fn listening_inodes(text: &str, port: u16) -> Vec<u64> {
    text.lines()
        .skip(1)
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let (_, hex) = fields.get(1)?.rsplit_once(':')?;
            let listens = *fields.get(3)? == "0A" && u16::from_str_radix(hex, 16).ok()? == port;
            listens.then(|| fields.get(9)?.parse().ok()).flatten()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_listening_sockets_of_the_port_count() {
        let text = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:3A98 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4711 1 x 100 0 0 10 0
   1: 0100007F:3A98 0100007F:C001 01 00000000:00000000 00:00000000 00000000     0        0 4712 1 x 100 0 0 10 0
   2: 0100007F:3A99 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 4713 1 x 100 0 0 10 0";
        assert_eq!(listening_inodes(text, 15000), [4711]);
        assert!(listening_inodes("", 15000).is_empty());
    }

    #[test]
    fn a_busy_port_names_its_holder() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let error = check_free("registry", &address).unwrap_err();
        assert!(error.to_string().contains(&format!("(process {})", std::process::id())), "{error}");
        // Any free port; the one above may live on in a process that another test is just starting.
        check_free("registry", "127.0.0.1:0").unwrap();
    }
}
