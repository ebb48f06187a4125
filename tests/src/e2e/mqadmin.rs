//! RocketMQ's own tool, in the image of a name server.

use crate::e2e::clusters::{self, BROKER};
use crate::e2e::kubectl::Kubectl;
use crate::e2e::pods::Pod;
use crate::e2e::watch::ensure;
use crate::error::{LabError, Result};

/// Runs `mqadmin` against the first name server. Words with special characters must be quoted for a shell.
///
/// # Errors
/// When it cannot be run. What RocketMQ refuses is only printed: the tool ends with 0 all the same.
pub fn mqadmin(kubectl: &Kubectl, command: &str) -> Result<String> {
    let name_servers = clusters::name_server_pods(kubectl)?;
    let first = name_servers.first().ok_or_else(|| LabError::new("there is no name server"))?;
    against(kubectl, first, command)
}

/// Runs `mqadmin` against one name server, as [`mqadmin`].
///
/// # Errors
/// When it cannot be run.
pub fn against(kubectl: &Kubectl, name_server: &Pod, command: &str) -> Result<String> {
    let command = format!("cd $ROCKETMQ_HOME/bin && sh mqadmin {command} -n localhost:9876");
    kubectl.sh(&name_server.name, "name-server", &command)
}

/// Creates or changes something at every master of the cluster.
///
/// # Errors
/// When it does not say `success`.
pub fn change(kubectl: &Kubectl, command: &str) -> Result<()> {
    let printed = mqadmin(kubectl, &format!("{command} -c {BROKER}"))?;
    ensure(printed.contains("success"), || format!("`mqadmin {command}` printed:\n{printed}"))
}
