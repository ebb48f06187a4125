//! The lab's network links, and the NAT rules that pods leave behind when they are not taken down in order.

use crate::cluster::NODE_ADDRESS;
use crate::cluster::configuration::{POD_LINK, POD_NETWORK};
use crate::command::Run;
use crate::error::Result;

/// A bridge of its own carries the node's address: the kubelet refuses a loopback address, and the kernel may lack the
/// dummy driver.
const NODE_LINK: &str = "labnode";

/// Gives the machine the node's address.
///
/// # Errors
/// When the link cannot be made.
pub(super) fn make_node_link() -> Result<()> {
    remove_link(NODE_LINK)?;
    ip(&["link", "add", NODE_LINK, "type", "bridge"])?;
    ip(&["addr", "add", &format!("{NODE_ADDRESS}/32"), "dev", NODE_LINK])?;
    ip(&["link", "set", NODE_LINK, "up"])
}

/// Removes links and NAT rules of a lab.
///
/// # Errors
/// When something of it cannot be removed.
pub(super) fn clear() -> Result<()> {
    remove_link(POD_LINK)?;
    remove_link(NODE_LINK)?;
    let rules = Run::new("iptables-save").args(["-t", "nat"]).output()?;
    match removal(&rules) {
        Some(commands) => {
            Run::new("iptables-restore").args(["--noflush", "--wait"]).input(&commands)?.output().map(drop)
        }
        None => Ok(()),
    }
}

fn remove_link(name: &str) -> Result<()> {
    if std::path::Path::new("/sys/class/net").join(name).exists() {
        ip(&["link", "delete", name])
    } else {
        Ok(())
    }
}

fn ip(arguments: &[&str]) -> Result<()> {
    Run::new("ip").args(arguments).output().map(drop)
}

/// What takes the lab's rules out of the nat table, given in `iptables-save`'s words; nothing if it holds none.
/// The CNI plugins write the network's name into the comment of each rule, and jump to a chain of its own per pod.
fn removal(saved: &str) -> Option<String> {
    let mark = format!("name: \\\"{POD_NETWORK}\\\"");
    let ours: Vec<&str> =
        saved.lines().filter(|line| line.starts_with("-A ") && line.contains(&mark)).collect();
    if ours.is_empty() {
        return None;
    }
    let mut chains: Vec<&str> = ours
        .iter()
        .filter_map(|line| line.rsplit_once(" -j ")?.1.split(' ').next())
        .filter(|target| target.starts_with("CNI-"))
        .collect();
    chains.sort_unstable();
    chains.dedup();
    let mut commands = "*nat\n".to_owned();
    for line in ours {
        commands.push_str(&line.replacen("-A ", "-D ", 1));
        commands.push('\n');
    }
    for action in ["-F", "-X"] {
        for chain in &chains {
            commands.push_str(&format!("{action} {chain}\n"));
        }
    }
    commands.push_str("COMMIT\n");
    Some(commands)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_labs_rules_are_removed() {
        let saved = r#"*nat
:POSTROUTING ACCEPT [0:0]
:CNI-1111 - [0:0]
-A POSTROUTING -s 10.244.0.2/32 -m comment --comment "name: \"kubectl-rocketmq-lab\" id: \"a\"" -j CNI-1111
-A POSTROUTING -s 10.88.0.2/32 -m comment --comment "name: \"podman\" id: \"b\"" -j CNI-2222
-A CNI-1111 -d 10.244.0.0/24 -m comment --comment "name: \"kubectl-rocketmq-lab\" id: \"a\"" -j ACCEPT
COMMIT
"#;
        assert_eq!(
            removal(saved).unwrap(),
            r#"*nat
-D POSTROUTING -s 10.244.0.2/32 -m comment --comment "name: \"kubectl-rocketmq-lab\" id: \"a\"" -j CNI-1111
-D CNI-1111 -d 10.244.0.0/24 -m comment --comment "name: \"kubectl-rocketmq-lab\" id: \"a\"" -j ACCEPT
-F CNI-1111
-X CNI-1111
COMMIT
"#
        );
    }

    #[test]
    fn a_table_without_the_lab_is_left_alone() {
        assert_eq!(removal("*nat\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n"), None);
    }
}
