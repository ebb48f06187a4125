//! Which cluster a Broker belongs to, from its `nameServers`. Pure.

use std::collections::{BTreeMap, BTreeSet};

use k8s::kinds::{Broker, NameServersOf};
use k8s::names;

use crate::error::OpsError;

/// A NameService that a Broker may mean: one of the namespace, or one that is created beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// Its name, which is its cluster's.
    pub name: String,
    /// The addresses of its pods.
    pub pod_ips: BTreeSet<String>,
}

/// Where a Broker's groups register.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Binding {
    /// At the name servers of a NameService.
    NameService {
        /// Its name.
        name: String,
        /// True when the Broker lists addresses of it.
        by_address: bool,
    },
    /// At name servers that this plugin does not manage.
    Unmanaged {
        /// `host:port` each.
        addresses: Vec<String>,
    },
}

/// Finds where a Broker's groups register. `answers` tells of addresses that belong to no NameService here why they
/// do not answer, or nothing if they do.
///
/// # Errors
/// `Refused`, when it is not clear or nobody answers.
pub fn bind(
    broker: &Broker,
    namespace: &str,
    candidates: &[Candidate],
    answers: &BTreeMap<String, Result<(), String>>,
) -> Result<Binding, OpsError> {
    let reference = format!("Broker/{}", broker.metadata.name);
    match &broker.name_servers {
        NameServersOf::TheNamespace => match candidates {
            [only] => Ok(Binding::NameService { name: only.name.clone(), by_address: false }),
            [] => Err(OpsError::refused(format!(
                "{reference}: there is no NameService in namespace `{namespace}`"
            ))
            .hint("apply a NameService first, or put one into the same file")),
            several => Err(several_name_services(&reference, namespace, several)),
        },
        NameServersOf::Addresses(addresses) => {
            by_address(&reference, namespace, addresses, candidates, answers)
        }
    }
}

/// The addresses of a Broker that belong to no NameService here, and so have to be asked.
#[must_use]
pub fn foreign(broker: &Broker, namespace: &str, candidates: &[Candidate]) -> Vec<String> {
    let NameServersOf::Addresses(addresses) = &broker.name_servers else { return Vec::new() };
    addresses.iter().filter(|address| owner(address, namespace, candidates).is_none()).cloned().collect()
}

fn several_name_services(reference: &str, namespace: &str, several: &[Candidate]) -> OpsError {
    let listed: Vec<String> = several.iter().map(|candidate| format!("`{}`", candidate.name)).collect();
    let example = names::name_server_address(&several[0].name, 0, namespace);
    OpsError::refused(format!(
        "{reference}: namespace `{namespace}` has {} NameServices: {}",
        several.len(),
        listed.join(", ")
    ))
    .hint(format!("say which one by an address of it, for example `nameServers: {example}`"))
}

fn by_address(
    reference: &str,
    namespace: &str,
    addresses: &[String],
    candidates: &[Candidate],
    answers: &BTreeMap<String, Result<(), String>>,
) -> Result<Binding, OpsError> {
    let owners: BTreeSet<Option<&str>> =
        addresses.iter().map(|address| owner(address, namespace, candidates)).collect();
    let owners: Vec<Option<&str>> = owners.into_iter().collect();
    match owners.as_slice() {
        [Some(name)] => Ok(Binding::NameService { name: (*name).to_owned(), by_address: true }),
        [None] => {
            let silent = |address: &&String| !matches!(answers.get(*address), Some(Ok(())));
            let Some(address) = addresses.iter().find(silent) else {
                return Ok(Binding::Unmanaged { addresses: addresses.to_vec() });
            };
            let reason = match answers.get(address) {
                Some(Err(reason)) => reason.clone(),
                _ => "it was not asked".to_owned(),
            };
            Err(OpsError::refused(format!(
                "{reference}: `{address}` of `spec.nameServers` is no name server of namespace `{namespace}` and \
                 does not answer"
            ))
            .causes([reason])
            .hint("`nameServers: \"\"` stands for the NameService of the namespace"))
        }
        _ => Err(OpsError::refused(format!(
            "{reference}: the addresses of `spec.nameServers` belong to different sets of name servers"
        ))
        .hint("list the addresses of one NameService, or `nameServers: \"\"`")),
    }
}

/// The NameService that an address belongs to: by a pod's address, a pod's host name, or the Service's name.
fn owner<'a>(address: &str, namespace: &str, candidates: &'a [Candidate]) -> Option<&'a str> {
    let (host, port) = address.rsplit_once(':')?;
    if port != names::NAME_SERVER_PORT.to_string() {
        return None;
    }
    let of = |candidate: &&Candidate| {
        candidate.pod_ips.contains(host) || is_host_of(host, &candidate.name, namespace)
    };
    candidates.iter().find(of).map(|candidate| candidate.name.as_str())
}

/// True for `demo`, `demo-0.demo`, and both with the namespace, `svc` and a domain behind them.
fn is_host_of(host: &str, name_service: &str, namespace: &str) -> bool {
    let service = names::name_servers(name_service);
    let ordinal = |pod: &str| {
        pod.strip_prefix(&service)
            .and_then(|rest| rest.strip_prefix('-'))
            .is_some_and(|ordinal| !ordinal.is_empty() && ordinal.bytes().all(|byte| byte.is_ascii_digit()))
    };
    let labels: Vec<&str> = host.split('.').collect();
    let rest = match labels.as_slice() {
        [pod, of, rest @ ..] if ordinal(pod) && *of == service => rest,
        [of, rest @ ..] if *of == service => rest,
        _ => return false,
    };
    match rest {
        [] => true,
        [of, rest @ ..] => *of == namespace && rest.first().is_none_or(|kind| *kind == "svc"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broker(name_servers: &str) -> Broker {
        let text = format!(
            "apiVersion: rocketmq.apache.org/v1alpha1\nkind: Broker\nmetadata:\n  name: broker\nspec:\n  size: 1\n  \
             nameServers: \"{name_servers}\"\n  replicationMode: ASYNC\n  replicaPerGroup: 0\n  \
             brokerImage: rocketmq:5.3.3\n  storageMode: EmptyDir\n"
        );
        k8s::kinds::parse(&text).unwrap().brokers().next().unwrap().1.clone()
    }

    fn candidate(name: &str, pod_ips: &[&str]) -> Candidate {
        let pod_ips = pod_ips.iter().map(|ip| (*ip).to_owned()).collect();
        Candidate { name: name.to_owned(), pod_ips }
    }

    fn check(name_servers: &str, candidates: &[Candidate], expect: Result<Binding, &str>) {
        let answers = BTreeMap::from([
            ("192.0.2.1:9876".to_owned(), Ok(())),
            ("192.0.2.2:9876".to_owned(), Err("connection refused".to_owned())),
        ]);
        let bound = bind(&broker(name_servers), "mq", candidates, &answers);
        assert_eq!(bound.map_err(|error| error.message), expect.map_err(str::to_owned), "{name_servers}");
    }

    fn to(name: &str, by_address: bool) -> Result<Binding, &'static str> {
        Ok(Binding::NameService { name: name.to_owned(), by_address })
    }

    #[test]
    fn an_empty_list_is_the_one_name_service_of_the_namespace() {
        check("", &[candidate("demo", &[])], to("demo", false));
        check("", &[], Err("Broker/broker: there is no NameService in namespace `mq`"));
        check(
            "",
            &[candidate("a", &[]), candidate("b", &[])],
            Err("Broker/broker: namespace `mq` has 2 NameServices: `a`, `b`"),
        );
    }

    #[test]
    fn addresses_of_a_name_service_are_the_name_service() {
        let candidates = [candidate("demo", &["10.0.0.7"]), candidate("demo-0", &[])];
        check("10.0.0.7:9876", &candidates, to("demo", true));
        check("demo-0.demo:9876;demo-1.demo.mq.svc:9876", &candidates, to("demo", true));
        check("demo.mq.svc.cluster.local:9876", &candidates, to("demo", true));
        check("demo-0:9876", &candidates, to("demo-0", true));
        check(
            "demo-0.demo:9876;192.0.2.1:9876",
            &candidates,
            Err(
                "Broker/broker: the addresses of `spec.nameServers` belong to different sets of name servers",
            ),
        );
    }

    #[test]
    fn other_addresses_must_answer() {
        let candidates = [candidate("demo", &["10.0.0.7"])];
        let unmanaged = Binding::Unmanaged { addresses: vec!["192.0.2.1:9876".to_owned()] };
        check("192.0.2.1:9876", &candidates, Ok(unmanaged));
        for (address, whose) in [
            ("192.0.2.2:9876", "another address"),
            ("10.0.0.7:9877", "another port"),
            ("demo.other.svc:9876", "another namespace"),
            ("demo-x.demo:9876", "no pod"),
        ] {
            let message = format!(
                "Broker/broker: `{address}` of `spec.nameServers` is no name server of namespace `mq` and does not \
                 answer"
            );
            check(address, &candidates, Err(&message));
            assert!(!whose.is_empty());
        }
    }

    #[test]
    fn only_foreign_addresses_are_asked() {
        let candidates = [candidate("demo", &["10.0.0.7"])];
        assert_eq!(foreign(&broker("10.0.0.7:9876;192.0.2.1:9876"), "mq", &candidates), ["192.0.2.1:9876"]);
        assert!(foreign(&broker(""), "mq", &candidates).is_empty());
    }
}
