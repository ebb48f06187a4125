//! Who is connected to a port, from the kernel's tables of TCP connections.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `TCP_ESTABLISHED` of the kernel's `include/net/tcp_states.h`.
const ESTABLISHED: &str = "01";

/// The remote ends of the established connections to a local port in the text of `/proc/net/tcp` or `tcp6`, in
/// order. Lines that do not look as they should are skipped.
pub fn remotes(table: &str, local_port: u16) -> Vec<SocketAddr> {
    let mut remotes: Vec<SocketAddr> = table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace().skip(1);
            let (local, remote, state) = (fields.next()?, fields.next()?, fields.next()?);
            (state == ESTABLISHED && address(local)?.port() == local_port).then(|| address(remote))?
        })
        .collect();
    remotes.sort();
    remotes
}

/// The kernel prints each 32 bits of an address in the machine's byte order, and the port as a number.
fn address(text: &str) -> Option<SocketAddr> {
    let (ip, port) = text.split_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    let bytes: Vec<u8> = ip
        .as_bytes()
        .chunks(8)
        .map(|word| u32::from_str_radix(std::str::from_utf8(word).ok()?, 16).ok().map(u32::to_ne_bytes))
        .collect::<Option<Vec<_>>>()?
        .concat();
    let ip = match bytes.len() {
        4 => IpAddr::from(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        // Java listens on both families, so IPv4 peers stand in tcp6 as mapped addresses.
        16 => IpAddr::from(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?)).to_canonical(),
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_endian = "little")]
    #[test]
    fn established_remotes_of_the_port_are_found_in_both_tables() {
        let head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode";
        let tcp = format!(
            "{head}\n   0: 00000000:2694 00000000:0000 0A 00000000:00000000 00:00000000 00000000  3000        0 1 1\n\
             1: 0700F40A:2694 0900F40A:C350 01 00000000:00000000 00:00000000 00000000  3000        0 2 1\n\
             2: 0700F40A:2695 0900F40A:C351 01 00000000:00000000 00:00000000 00000000  3000        0 3 1\n\
             3: 0700F40A:2694 0900F40A:C352 06 00000000:00000000 03:00000000 00000000     0        0 0 3\nnonsense\n"
        );
        assert_eq!(remotes(&tcp, 9876), ["10.244.0.9:50000".parse().unwrap()]);
        let tcp6 = format!(
            "{head}\n   0: 0000000000000000FFFF00000700F40A:2694 0000000000000000FFFF00000A00F40A:C350 01 0 0 0\n\
             1: 000080FE00000000000000000100000A:2694 000080FE00000000000000000200000A:C351 01 0 0 0\n"
        );
        assert_eq!(
            remotes(&tcp6, 9876),
            ["10.244.0.10:50000".parse().unwrap(), "[fe80::a00:2]:50001".parse().unwrap()]
        );
    }
}
