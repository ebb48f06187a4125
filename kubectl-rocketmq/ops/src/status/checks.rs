//! What is wrong with a cluster, from its facts. Pure. Each finding has a stable id.

use k8s::names;
use rocketmq::metadata::REGISTRATION_LIMIT;

use super::gather::Facts;
use super::{
    AgentCell, BrokerRow, BrokersSection, Check, ListState, NameServersSection, OperationLine, Severity,
};
use crate::matrix::Gap;
use crate::operations::known::Known;
use crate::version::CLI;

/// Brokers delete old files from here on (`DefaultMessageStore.CleanCommitLogService`, all tags).
const DISK_CLEANS: f64 = 0.75;

/// Brokers refuse messages from here on (`DefaultMessageStore`, all tags).
const DISK_REFUSES: f64 = 0.90;

/// Name servers close the connection of a broker whose registration is larger than 16 MiB, and drop all its routes
/// (`NettyDecoder`, all tags). From here on there is little room left.
const REGISTRATION_IS_LARGE: u64 = 12 << 20;

/// Everything that is wrong or worth knowing, errors first.
pub(super) fn checks(
    known: &Known,
    facts: &Facts,
    name_servers: &NameServersSection,
    brokers: &BrokersSection,
    operation: Option<&OperationLine>,
) -> Vec<Check> {
    let mut found = Found { namespace: &known.namespace, checks: Vec::new() };
    found.operation(operation);
    found.size(known, facts);
    for server in &facts.name_servers {
        found.pod(&server.pod.name, server.pod.ready, server.trouble.as_deref());
        found.agent(&server.pod.name, &server.agent);
    }
    for (member, row) in facts.members.iter().zip(&brokers.rows) {
        match &member.pod {
            Some(pod) => {
                found.pod(&pod.name, pod.ready, member.trouble.as_deref());
                found.agent(&pod.name, &member.agent);
            }
            None => found.no_pod(&row.pod, &member.stateful_set, member.trouble.as_deref()),
        }
        let problem =
            member.described.as_ref().map(|described| &described.process).filter(|process| !process.answers);
        if let Some(process) = problem.filter(|_| row.ready) {
            found.error(
                "RMQ-BROKER-01",
                &row.pod,
                format!("RocketMQ does not answer: {}", process.problem),
                None,
            );
        }
        found.list(row, name_servers);
        found.health(row);
    }
    found.routes(&facts.matrix.gaps, facts);
    found.agent_versions(facts);
    let mut checks = found.checks;
    checks.sort();
    checks.dedup();
    checks
}

struct Found<'a> {
    namespace: &'a str,
    checks: Vec<Check>,
}

impl Found<'_> {
    fn error(&mut self, id: &'static str, subject: &str, message: String, hint: Option<String>) {
        self.add(Severity::Error, id, subject, message, hint);
    }

    fn warning(&mut self, id: &'static str, subject: &str, message: String, hint: Option<String>) {
        self.add(Severity::Warning, id, subject, message, hint);
    }

    fn add(
        &mut self,
        severity: Severity,
        id: &'static str,
        subject: &str,
        message: String,
        hint: Option<String>,
    ) {
        self.checks.push(Check { severity, id, subject: subject.to_owned(), message, hint });
    }

    fn describe_pod(&self, pod: &str) -> Option<String> {
        Some(format!("kubectl describe pod {pod} -n {}", self.namespace))
    }

    fn operation(&mut self, operation: Option<&OperationLine>) {
        let Some(operation) = operation.filter(|operation| operation.holder.is_none()) else { return };
        let OperationLine { operation: id, title, state, .. } = operation;
        let hint = Some(format!("kubectl rocketmq ops show {id} -n {}", self.namespace));
        let message = format!("operation {id} ({title}) is {state}");
        if state == "stuck" {
            self.error("RMQ-OPS-01", id, message, hint);
        } else {
            self.warning("RMQ-OPS-01", id, message, hint);
        }
    }

    fn size(&mut self, known: &Known, facts: &Facts) {
        let Some(name_service) = known.name_service_fields() else { return };
        let set = names::name_servers(&name_service.metadata.name);
        match facts.name_servers_wanted {
            None => self.error("RMQ-POD-02", &set, format!("StatefulSet/{set} does not exist"), None),
            Some(wanted) if wanted != name_service.size => {
                let noted = name_service.size;
                let message =
                    format!("StatefulSet/{set} asks for {wanted} name servers, the record for {noted}");
                self.warning("RMQ-SIZE-01", &set, message, None);
            }
            Some(wanted) => {
                let there = facts.name_servers.len();
                if there < wanted as usize {
                    let hint = Some(format!("kubectl describe statefulset {set} -n {}", self.namespace));
                    self.error("RMQ-POD-02", &set, format!("{there} of {wanted} pods exist"), hint);
                }
            }
        }
        if known.record.name_servers.is_none() {
            self.error(
                "RMQ-LIST-05",
                known.cluster(),
                "no list of name servers is recorded".to_owned(),
                None,
            );
        }
    }

    fn pod(&mut self, pod: &str, ready: bool, trouble: Option<&str>) {
        if !ready {
            let message =
                trouble.map_or_else(|| "the pod is not ready".to_owned(), |why| format!("not ready: {why}"));
            self.error("RMQ-POD-01", pod, message, self.describe_pod(pod));
        }
    }

    fn no_pod(&mut self, pod: &str, stateful_set: &str, trouble: Option<&str>) {
        let hint = Some(format!("kubectl describe statefulset {stateful_set} -n {}", self.namespace));
        let why = trouble.map_or_else(String::new, |why| format!(": {why}"));
        self.error("RMQ-POD-02", pod, format!("the pod does not exist{why}"), hint);
    }

    fn agent(&mut self, pod: &str, agent: &AgentCell) {
        match agent {
            AgentCell::Ok => {}
            AgentCell::Silent(reason) => {
                let hint =
                    Some(format!("kubectl logs {pod} -c {} -n {}", names::CONTAINER_AGENT, self.namespace));
                self.error("RMQ-AGENT-01", pod, format!("its agent could not be asked: {reason}"), hint);
            }
            AgentCell::Unproved(reason) => {
                self.warning(
                    "RMQ-AGENT-02",
                    pod,
                    format!("what its agent says is not proved: {reason}"),
                    None,
                );
            }
        }
    }

    fn list(&mut self, row: &BrokerRow, name_servers: &NameServersSection) {
        let Some(list) = &row.list else { return };
        let joined =
            |addresses: &[String]| if addresses.is_empty() { "-".to_owned() } else { addresses.join(";") };
        match list.state {
            ListState::Live => {}
            ListState::Wrong => self.error(
                "RMQ-LIST-01",
                &row.pod,
                format!(
                    "its file lists {}, the record {}",
                    joined(&list.file),
                    joined(&name_servers.desired)
                ),
                None,
            ),
            ListState::Settling => {
                let message = format!("it still uses {}, its file has the new list", joined(&list.live));
                self.warning("RMQ-LIST-02", &row.pod, message, None);
            }
            ListState::Bridged => {
                let message = format!(
                    "a bridge holds its registration at {}",
                    row.registrations
                        .iter()
                        .filter(|held| held.owner == "bridge")
                        .map(|held| held.name_server.as_str())
                        .collect::<Vec<_>>()
                        .join(", ")
                );
                self.warning("RMQ-LIST-03", &row.pod, message, None);
            }
        }
        for held in row.registrations.iter().filter(|held| matches!(held.owner, "none" | "unreachable")) {
            let what = if held.owner == "none" { "is not registered at" } else { "cannot reach" };
            let why = held.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
            self.error("RMQ-LIST-04", &row.pod, format!("it {what} {}{why}", held.name_server), None);
        }
    }

    fn health(&mut self, row: &BrokerRow) {
        if let Some(ratio) = row.disk_ratio {
            let percent = (ratio * 100.0).round();
            if ratio >= DISK_REFUSES {
                self.error(
                    "RMQ-DISK-01",
                    &row.pod,
                    format!("its disk is {percent}% full: it refuses messages"),
                    None,
                );
            } else if ratio >= DISK_CLEANS {
                let message =
                    format!("its disk is {percent}% full: it deletes old messages before their time");
                self.warning("RMQ-DISK-01", &row.pod, message, None);
            }
        }
        if let Some(bytes) = row.registration_bytes.filter(|bytes| *bytes >= REGISTRATION_IS_LARGE) {
            let message = format!(
                "with {} topics its registration has {bytes} bytes: above 16 MiB name servers drop it with all its \
                 routes; delete topics that nobody uses",
                row.topics.unwrap_or_default()
            );
            if bytes > REGISTRATION_LIMIT {
                self.error("RMQ-SIZE-02", &row.pod, message, None);
            } else {
                self.warning("RMQ-SIZE-02", &row.pod, message, None);
            }
        }
        if let Some(permission) = row.permission.as_ref().filter(|permission| !permission.contains('W')) {
            self.warning(
                "RMQ-PERM-01",
                &row.pod,
                format!("it takes no messages (permission {permission})"),
                None,
            );
        }
    }

    /// Gaps of the matrix; members that could not be asked at all have their own line already.
    fn routes(&mut self, gaps: &[Gap], facts: &Facts) {
        for gap in gaps {
            match gap {
                Gap::NameServerSilent { name_server, reason } => {
                    let server = facts.name_servers.iter().find(|server| server.pod.name == *name_server);
                    if server.is_some_and(|server| server.described.is_some()) {
                        let message = format!("its routes could not be read: {reason}");
                        self.error("RMQ-ROUTE-04", name_server, message, self.describe_pod(name_server));
                    }
                }
                Gap::BrokerSilent { pod, reason } => {
                    let member =
                        facts.members.iter().find(|member| names::pod(&member.stateful_set, 0) == *pod);
                    let process = member
                        .and_then(|member| member.described.as_ref())
                        .map(|described| &described.process);
                    if process.is_some_and(|process| process.answers) {
                        self.error(
                            "RMQ-ROUTE-04",
                            pod,
                            format!("its topics could not be read: {reason}"),
                            None,
                        );
                    }
                }
                Gap::BrokerMissing { name_server, .. } => {
                    self.error("RMQ-ROUTE-01", name_server, gap.to_string(), None);
                }
                Gap::BrokerElsewhere { name_server, .. } => {
                    self.error("RMQ-ROUTE-02", name_server, gap.to_string(), None);
                }
                Gap::RowsMissing { name_server, .. } => {
                    self.error("RMQ-ROUTE-03", name_server, gap.to_string(), None);
                }
            }
        }
    }

    fn agent_versions(&mut self, facts: &Facts) {
        let described = facts.name_servers.iter().map(|server| &server.described);
        for described in described.chain(facts.members.iter().map(|member| &member.described)).flatten() {
            let version = &described.agent_version;
            if version != CLI {
                let message = format!("its agent is {version}, this program is {CLI}");
                self.warning("RMQ-AGENT-03", &described.pod_name, message, None);
            }
        }
    }
}
