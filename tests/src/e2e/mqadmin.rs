//! RocketMQ's own tool, in the image of a name server.

use std::collections::BTreeSet;
use std::time::Duration;

use rocketmq::remoting::json;
use serde_json::Value;

use crate::e2e::clusters::{self, BROKER};
use crate::e2e::judge::name_server_address;
use crate::e2e::kubectl::Kubectl;
use crate::e2e::pods::Pod;
use crate::e2e::watch::{self, ensure};
use crate::error::{Context, LabError, Result};
use crate::wait::Look;

/// Until when name servers know of the brokers what `status` read of the brokers themselves.
const AGREES_WITHIN: Duration = Duration::from_secs(90);

/// Runs `mqadmin` with all name servers, as an administrator does: a topic is deleted at those that it is given. Words with
/// special characters must be quoted for a shell.
///
/// # Errors
/// When it cannot be run. What RocketMQ refuses is only printed: the tool ends with 0 all the same.
pub fn mqadmin(kubectl: &Kubectl, command: &str) -> Result<String> {
    let name_servers = clusters::name_server_pods(kubectl)?;
    let first = name_servers.first().ok_or_else(|| LabError::new("there is no name server"))?;
    let addresses: Vec<String> = name_servers.iter().map(name_server_address).collect();
    run(kubectl, first, &addresses.join(";"), command)
}

/// Runs `mqadmin` against one name server, as [`mqadmin`].
///
/// # Errors
/// When it cannot be run.
fn against(kubectl: &Kubectl, name_server: &Pod, command: &str) -> Result<String> {
    run(kubectl, name_server, &name_server_address(name_server), command)
}

fn run(kubectl: &Kubectl, pod: &Pod, name_servers: &str, command: &str) -> Result<String> {
    let command = format!("cd $ROCKETMQ_HOME/bin && sh mqadmin {command} -n '{name_servers}'");
    kubectl.sh(&pod.name, "name-server", &command)
}

/// Creates or changes something at every master of the cluster.
///
/// # Errors
/// When it does not say `success`.
pub fn change(kubectl: &Kubectl, command: &str) -> Result<()> {
    let printed = mqadmin(kubectl, &format!("{command} -c {BROKER}"))?;
    ensure(printed.contains("success"), || format!("`mqadmin {command}` printed:\n{printed}"))
}

/// Waits until what `mqadmin` sees at each name server is what `status` says: each broker with its group, id, address and
/// version, and the same brokers in the route of a topic that all of them have.
///
/// # Errors
/// When they differ for too long.
pub fn mqadmin_agrees(kubectl: &Kubectl, topic: &str) -> Result<()> {
    for name_server in clusters::name_server_pods(kubectl)? {
        let mqadmin = |command: &str| against(kubectl, &name_server, command);
        let what = format!("`mqadmin` at `{}` to see what `status` says", name_server.name);
        watch::until(&what, AGREES_WITHIN, || {
            let agree = || {
                let told = told(&clusters::page(kubectl)?)?;
                same("clusterList", &told, &listed(&mqadmin("clusterList")?))?;
                let route = mqadmin(&format!("topicRoute -t {topic}"))?;
                same("topicRoute", &without_versions(&told), &routed(&route)?)
            };
            match agree() {
                Ok(()) => Look::Ready(()),
                Err(error) => Look::NotYet(error.report()),
            }
        })?;
    }
    Ok(())
}

/// A broker as it is told of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Told {
    group: String,
    id: u64,
    address: String,
    /// Empty where none is told.
    version: String,
}

/// What the status page tells of brokers. A role that is not the id's is an error, and a broker that was not read.
fn told(page: &Value) -> Result<BTreeSet<Told>> {
    let rows = page["brokers"]["rows"].as_array().into_iter().flatten();
    rows.map(|row| {
        let text = |field: &str| row[field].as_str().map(str::to_owned);
        let told = || {
            let id = row["brokerId"].as_u64()?;
            let role = if id == 0 { "master" } else { "slave" };
            let told =
                Told { group: text("group")?, id, address: text("address")?, version: text("version")? };
            (row["role"] == role).then_some(told)
        };
        told().ok_or_else(|| LabError::new(format!("the status page tells too little of a broker: {row}")))
    })
    .collect()
}

/// The rows of `clusterList`: cluster, broker, id, address, version, and numbers.
fn listed(printed: &str) -> BTreeSet<Told> {
    let row = |line: &str| {
        let mut words = line.split_whitespace().skip(1);
        let (group, id) = (words.next()?.to_owned(), words.next()?.parse().ok()?);
        let address = words.next()?.to_owned();
        let version = words.next()?.strip_prefix('V')?.replace('_', ".");
        Some(Told { group, id, address, version })
    };
    printed.lines().filter_map(row).collect()
}

/// The brokers of a route that `topicRoute` prints.
fn routed(printed: &str) -> Result<BTreeSet<Told>> {
    let unread = || format!("`topicRoute` printed no route:\n{printed}");
    let (start, end) = printed.find('{').zip(printed.rfind('}')).ok_or_else(|| LabError::new(unread()))?;
    let route = json::parse(&printed.as_bytes()[start..=end]).context(unread)?;
    let mut brokers = BTreeSet::new();
    for group in route["brokerDatas"].as_array().into_iter().flatten() {
        for (id, address) in group["brokerAddrs"].as_object().into_iter().flatten() {
            brokers.insert(Told {
                group: group["brokerName"].as_str().unwrap_or_default().to_owned(),
                id: id.parse().context(unread)?,
                address: address.as_str().unwrap_or_default().to_owned(),
                version: String::new(),
            });
        }
    }
    Ok(brokers)
}

fn without_versions(told: &BTreeSet<Told>) -> BTreeSet<Told> {
    told.iter().map(|broker| Told { version: String::new(), ..broker.clone() }).collect()
}

/// Demands that `mqadmin` sees these brokers, and no other ones.
fn same(command: &str, told: &BTreeSet<Told>, seen: &BTreeSet<Told>) -> Result<()> {
    ensure(told == seen && !told.is_empty(), || {
        format!(
            "`status` alone says {:?}, `mqadmin {command}` alone {:?}",
            told.difference(seen).collect::<Vec<_>>(),
            seen.difference(told).collect::<Vec<_>>()
        )
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn page() -> Value {
        let row = |role: &str, id: u64, ip: &str| {
            let address = format!("{ip}:10911");
            json!({"group": "broker-0", "role": role, "brokerId": id, "address": address, "version": "5.3.3"})
        };
        json!({"brokers": {"rows": [row("master", 0, "10.244.0.5"), row("slave", 1, "10.244.0.6")]}})
    }

    /// As 5.3.3 prints it.
    const LIST: &str = "\
#Cluster Name           #Broker Name            #BID  #Addr                   #Version              #InTPS(LOAD)     \
#OutTPS(LOAD)  #Timer(Progress)        #PCWait(ms)  #Hour         #SPACE      #ACTIVATED
broker                  broker-0                0     10.244.0.5:10911        V5_3_3                 0.00(0,0ms)      \
 0.00(0,0ms|0,0ms)  0-0(0.0w, 0.0, 0.0)               0  493222.86     0.0400          true
broker                  broker-0                1     10.244.0.6:10911        V5_3_3                 0.00(0,0ms)      \
 0.00(0,0ms|0,0ms)  0-0(0.0w, 0.0, 0.0)               0  493222.86     0.0400         false
";

    /// Keys that are numbers have no quotes.
    const ROUTE: &str = r#"{
        "brokerDatas":[{
            "brokerAddrs":{0:"10.244.0.5:10911",1:"10.244.0.6:10911"},"brokerName":"broker-0","cluster":"broker"
        }],
        "filterServerTable":{},
        "queueDatas":[{"brokerName":"broker-0","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]
    }
    "#;

    fn agree(page: &Value, list: &str, route: &str) -> bool {
        told(page).is_ok_and(|told| {
            same("clusterList", &told, &listed(list)).is_ok()
                && routed(route).is_ok_and(|seen| same("topicRoute", &without_versions(&told), &seen).is_ok())
        })
    }

    #[test]
    fn the_same_brokers_agree() {
        assert!(agree(&page(), LIST, ROUTE));
    }

    #[test]
    fn whatever_differs_is_seen() {
        for (from, to) in [
            ("10.244.0.6", "10.244.0.7"),
            ("broker-0                1 ", "broker-0                2 "),
            ("broker-0                1 ", "broker-1                1 "),
            ("V5_3_3", "V4_5_0"),
        ] {
            assert!(LIST.contains(from) && !agree(&page(), &LIST.replace(from, to), ROUTE), "{from}");
        }
        let without_slave: String = LIST.lines().take(2).map(|line| format!("{line}\n")).collect();
        assert!(!agree(&page(), &without_slave, ROUTE));
        for (from, to) in [
            (r#",1:"10.244.0.6:10911""#, ""),
            (r#"1:"10.244.0.6"#, r#"2:"10.244.0.6"#),
            ("10.244.0.5", "10.244.0.9"),
            (r#""brokerName":"broker-0","cluster""#, r#""brokerName":"broker-1","cluster""#),
        ] {
            assert!(ROUTE.contains(from) && !agree(&page(), LIST, &ROUTE.replace(from, to)), "{from}");
        }
        assert!(!agree(&page(), LIST, "org.apache.rocketmq.client.exception.MQClientException"));
        let mut unread = page();
        unread["brokers"]["rows"][1]["address"] = Value::Null;
        assert!(!agree(&unread, LIST, ROUTE));
        let mut wrong_role = page();
        wrong_role["brokers"]["rows"][1]["role"] = json!("master");
        assert!(!agree(&wrong_role, LIST, ROUTE));
        assert!(!agree(&json!({"brokers": {"rows": []}}), "", "{}"));
    }
}
